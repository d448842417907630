"""What a server says that a call took, and whether that is possible.

    >>> most = Tokens(4_000, 160)
    >>> told(11, 12, most=most, wrote=True)
    Usage(prompt=11, completion=12, impossible='')
    >>> told(-28_000, 12, most=most, wrote=True)
    Usage(prompt=None, completion=None, impossible='-28000 prompt and 12 completion tokens')
    >>> charged(_, Tokens(40, 160))
    Tokens(prompt=40, completion=160)

A count that cannot be would lower the budget's sum or end the run at once. So a usage with one is not believed at all:
its call is charged at its worst case. So is each count that a server does not tell.
Not here: how servers spell their usage (llm.replies, llm.gemini), and what is spent (budget).
"""

from dataclasses import dataclass

from rest_react.records import Sampling

_OF_TEMPLATE = 2048  # tokens that a server may put around a prompt: a template's own system turn, tools, dates
_SLACK = 16  # tokens that a server may count beyond the limit of a sample: its end, marks around it
_THOUGHTS = 65_536  # before one sample, where a server does not count them against the limit


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of one call, in and out."""

    prompt: int
    completion: int

    @property
    def total(self) -> int:
        """Both together."""
        return self.prompt + self.completion


@dataclass(frozen=True, slots=True)
class Usage:
    """The counts that a server tells, None where it does not; `impossible` quotes one that cannot be."""

    prompt: int | None = None
    completion: int | None = None
    impossible: str = ""


def most_tokens(request: bytes, n: int, sampling: Sampling) -> Tokens:
    """More than any call with this request can take, thoughts aside: no token is shorter than a byte, and some servers
    count the prompt for each of the n samples."""
    return Tokens(n * (len(request) + _OF_TEMPLATE), n * (sampling.max_tokens + _SLACK))


def with_thoughts(most: Tokens, n: int) -> Tokens:
    """The same where the reply tells of thoughts, which some servers do not count against the limit."""
    return Tokens(most.prompt, most.completion + n * _THOUGHTS)


def told(prompt: int | None, completion: int | None, *, most: Tokens | None, wrote: bool) -> Usage:
    """The usage of a call whose server tells these counts; `wrote` says that its reply holds text."""
    least = 1 if wrote else 0
    in_, out = (None, None) if most is None else (most.prompt, most.completion)
    if _is_possible(prompt, 1, in_) and _is_possible(completion, least, out):
        return Usage(prompt, completion)
    return Usage(impossible=f"{_shown(prompt)} prompt and {_shown(completion)} completion tokens")


def charged(usage: Usage, worst: Tokens) -> Tokens:
    """What the budget charges for a call."""
    return Tokens(
        worst.prompt if usage.prompt is None else usage.prompt,
        worst.completion if usage.completion is None else usage.completion,
    )


def _is_possible(count: int | None, least: int, most: int | None) -> bool:
    return count is None or (count >= least and (most is None or count <= most))


def _shown(count: int | None) -> str:
    if count is None:
        return "no"
    return str(count) if abs(count) < 10**12 else f"{'-' if count < 0 else ''}more than {10**12}"
