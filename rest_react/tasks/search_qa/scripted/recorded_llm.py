"""`RecordedLLM`, a fake language model that returns the texts that a test needs, and raises recorded errors.

    RecordedLLM({"# step: decision": [["ACTION_SELECTED = ..."], OutsideFault("HTTP 503")]})

Not here: a model that reads the state (scripted.scripted_llm).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from rest_react.errors import ModelFault, OutsideFault
from rest_react.llm.option_scores import scores_of_listed
from rest_react.protocols import LLM
from rest_react.records import Completion, OptionScores, Prompt, Sampling
from rest_react.remote.usage import Tokens

Reply: TypeAlias = Sequence[str | Completion] | Mapping[str, float] | ModelFault | OutsideFault


class RecordedLLM(LLM):
    """An `LLM` that returns recorded replies. The first key of `replies` that the prompt contains selects the replies;
    the nth call with that key gets the nth reply, and later calls the last one.

    A reply is an error to raise, a list of samples, which repeats if more are requested, or the log-probabilities that
    a server lists for options; then a list of samples means that it gives none. A plain text has one token per word,
    with equal log-probabilities. `asked` has every prompt and its sampling settings, or the options to score.
    """

    def __init__(self, replies: Mapping[str, Sequence[Reply]]) -> None:
        self._replies = replies
        self._calls: Counter[str] = Counter()
        self.asked: list[tuple[Prompt, Sampling | tuple[str, ...]]] = []

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        """n samples of the next reply."""
        self.asked.append((prompt, sampling))
        reply = self._next(prompt)
        if isinstance(reply, Mapping):
            raise LookupError("scores are recorded here, but samples are asked for")
        return [_recorded(reply[i % len(reply)], prompt.text) for i in range(n)]

    async def score(self, prompt: Prompt, options: Sequence[str]) -> OptionScores | None:
        """The next reply, if it has scores. A reply with samples is kept for `sample`."""
        self.asked.append((prompt, tuple(options)))
        reply = self._next(prompt, only_scores=True)
        used = Tokens(len(prompt.text.split()), 1)
        return scores_of_listed(options, reply, used) if isinstance(reply, Mapping) else None

    def _next(self, prompt: Prompt, *, only_scores: bool = False) -> Sequence[str | Completion] | Mapping[str, float]:
        text = prompt.text
        mark = next((mark for mark in self._replies if mark in text), None)
        if mark is None:
            raise LookupError(f"no reply is recorded for: ...{text[-200:]}")
        reply = self._replies[mark][: self._calls[mark] + 1][-1]
        if not only_scores or isinstance(reply, (Mapping, ModelFault, OutsideFault)):
            self._calls[mark] += 1
        if isinstance(reply, (ModelFault, OutsideFault)):
            raise reply
        return reply


def _recorded(sample: str | Completion, prompt: str) -> Completion:
    if isinstance(sample, Completion):
        return sample
    words = len(sample.split())
    return Completion(sample, words, -float(words), "stop", len(prompt.split()))
