"""What a model is asked, and what it replies: prompts, sampling, completions, scores of options.

Prompt(prefix="Instructions.", state="QUESTION: ...").text
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered prompt. All calls of a step kind share `prefix` (instructions) and `turns` (exemplars, each a
    state and its completion); `state` is the current step. `closing` is the last instruction of a chat."""

    prefix: str
    state: str
    turns: tuple[tuple[str, str], ...] = ()
    closing: str = ""

    @property
    def text(self) -> str:
        """The prompt as one text, for a base model: the exemplars with numbered headings, then the state to
        complete."""
        if not self.turns:
            return self.prefix + self.state
        shown = "".join(f"{example_rule(i)}{a}{b}\n\n" for i, (a, b) in enumerate(self.turns, start=1))
        return f"{self.prefix}{shown}{example_rule(len(self.turns) + 1)}{self.state}"


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample one step. Sample i has the seed `derive_seed(seed, i)`, so the order of arrival has no effect.
    Judges set `logprobs` to False: they are not needed, and many models refuse to return them. `top_logprobs` is how
    many likely tokens a server lists at each position. With `echo` the reply begins with the prompt, whose tokens have
    log-probabilities too (text completions of some servers)."""

    temperature: float
    max_tokens: int
    seed: int
    stop: tuple[str, ...] = ()
    logprobs: bool = True
    top_logprobs: int = 0
    echo: bool = False


@dataclass(frozen=True, slots=True)
class Completion:
    """One sample of an LLM. `logprob` sums the natural log-probabilities of its `tokens` tokens at temperature 1,
    None if the provider gives none. `prompt_tokens` counts the whole prompt, cached or not; that of the first sample
    counts the prompts of all requests of its call. Token i has `token_logprobs[i]` and ends before byte
    `token_ends[i]` of the text in UTF-8; both are empty if they are unknown."""

    text: str
    tokens: int
    logprob: float | None
    finish: str
    prompt_tokens: int
    token_ends: tuple[int, ...] = ()
    token_logprobs: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class OptionScores:
    """How likely a reply is to begin with each of the given options: natural log-probabilities at temperature 1, in the
    order of the options; empty if the reply begins with none of them. `floored` are the indexes of options that a
    server did not list; their values are upper bounds."""

    logprobs: tuple[float, ...]
    floored: tuple[int, ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0


def example_rule(number: int) -> str:
    """The heading of an exemplar in a prompt that is one text."""
    rule = "#" * 25
    return f"{rule}\n# Example {number}:\n{rule}\n"


def chat_turns(prompt: Prompt, *, system: bool = True) -> list[dict[str, str]]:
    """The prompt as the turns of a chat: a system turn, exemplars as user and assistant turns, and the user's last one.

    With `system=False`, for templates without a system turn, the first user turn starts with the prefix.
    """
    head = [{"role": "system", "content": prompt.prefix}] if prompt.prefix and system else []
    turns = [
        {"role": role, "content": text}
        for pair in prompt.turns
        for role, text in zip(("user", "assistant"), pair, strict=True)
    ]
    turns.append({"role": "user", "content": prompt.state + prompt.closing})
    if not system:
        turns[0]["content"] = prompt.prefix + turns[0]["content"]
    return head + turns
