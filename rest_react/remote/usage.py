"""Checks the token usage that a server reports for a call.

    >>> most = Tokens(4_000, 160)
    >>> told(11, 12, most=most, wrote=True)
    Usage(prompt=11, completion=12, impossible='')
    >>> told(-28_000, 12, most=most, wrote=True)
    Usage(prompt=None, completion=None, impossible='-28000 prompt and 12 completion tokens')
    >>> charged(_, Tokens(40, 160))
    Tokens(prompt=40, completion=160)

An impossible count would lower the budget's sum, or end the run at once. So if one count is impossible, the whole usage
is ignored and the call is charged at its worst case. A count that the server does not report is charged so too.
Not here: the formats in which servers report usage (llm.openai_api.openai_replies, llm.gemini_replies), and the
spending (budget).
"""

from dataclasses import dataclass

from rest_react.records import Sampling

OF_TEMPLATE = 2048  # tokens that a server may add to a prompt: the template's system turn, tools, dates
_SLACK = 16  # tokens that a server may count beyond a sample's limit: end of turn, special tokens
_THOUGHTS = 65_536  # thinking tokens of one sample, if the server does not count them against the limit


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of one call: input and output."""

    prompt: int
    completion: int

    @property
    def total(self) -> int:
        """Both together."""
        return self.prompt + self.completion


@dataclass(frozen=True, slots=True)
class Usage:
    """The reported counts, None if a count is not reported; `impossible` quotes an impossible usage, else empty."""

    prompt: int | None = None
    completion: int | None = None
    impossible: str = ""


def most_tokens(request: bytes, n: int, sampling: Sampling) -> Tokens:
    """An upper bound on the tokens of a call with this request, without thinking. A token has at least one byte, and
    some servers count the prompt once for each of the n samples."""
    return Tokens(n * (len(request) + OF_TEMPLATE), n * (sampling.max_tokens + _SLACK))


def with_thoughts(most: Tokens, n: int) -> Tokens:
    """The upper bound for a reply with thinking tokens, which some servers do not count against the limit."""
    return Tokens(most.prompt, most.completion + n * _THOUGHTS)


def told(prompt: int | None, completion: int | None, *, most: Tokens | None, wrote: bool) -> Usage:
    """The usage from the counts that a server reports. `most` is the upper bound; `wrote`: the reply contains text, so
    at least one completion token."""
    least = 1 if wrote else 0
    in_, out = (None, None) if most is None else (most.prompt, most.completion)
    if _is_possible(prompt, 1, in_) and _is_possible(completion, least, out):
        return Usage(prompt, completion)
    return Usage(impossible=f"{_shown(prompt)} prompt and {_shown(completion)} completion tokens")


def charged(usage: Usage, worst: Tokens) -> Tokens:
    """The tokens that the budget charges for a call: the reported counts, or those of the worst case."""
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
