"""The interfaces of clients: `LLM`, `Search`, `Trainer`, `Tracker`. Each has several implementations.

    async def ask(llm: LLM) -> str:
        [completion] = await llm.sample(prompt, n=1, sampling=Sampling(temperature=0.7, max_tokens=256, seed=1))
        return completion.text

Clients are in llm/, search/, training/ and reporting/tracking. Their settings open them (`policy.kind: transformers`
opens llm.transformers_engine), called by build; a budget (remote.budget) and a cache (remote.cache) may wrap them.
Not here: the records that they exchange (records).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from rest_react.records import Completion, Example, Hit, ModelRef, OptionScores, Prompt, Sampling


class LLM(Protocol):
    """A client of a language model. Errors: `ModelFault` (refused, too long), `OutsideFault`, and `UsageError` where
    no call can succeed (missing key, unknown model), which ends the run. A class that inherits from it may leave out
    `score` and `aclose`: it has no log-probabilities, and nothing to release."""

    __slots__ = ()

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        """n samples of one prompt, at least 1, in a fixed order. Never fewer: missing ones are asked for, and a reply
        without any is an error."""
        ...

    async def score(self, prompt: Prompt, options: Sequence[str]) -> OptionScores | None:
        """How likely the reply is to begin with each option ("A", "yes"), or with a text of any length, the only
        option. None if the model or its server gives no log-probabilities, and no values if it begins with none of
        them: then the caller must ask for text. No option may begin with another. The spellings of an option
        (llm.option_scores) count together."""
        return None

    async def aclose(self) -> None:
        """Releases memory, connections and processes. A later call opens them again."""
        return


class Search(Protocol):
    """A client of a search engine. No results are an empty list; an outage raises `OutsideFault`."""

    async def search(self, query: str, k: int) -> list[Hit]:
        """At most k hits, best first."""
        ...


class Trainer(Protocol):
    """Fine-tuning, local or hosted, with the loss on the completions only (paper section 3.4)."""

    async def train(self, examples: Sequence[Example], base: ModelRef, folder: Path, seed: int) -> ModelRef:
        """Tunes `base` on `examples` and returns the new model. Keeps its files in `folder`. A second call with the
        same arguments resumes, and the id of a hosted job is saved before the first wait."""
        ...


class Tracker(Protocol):
    """An experiment tracker."""

    def log(self, stage: str, metrics: Mapping[str, float]) -> None: ...

    def curve(self, stage: str, name: str, points: Sequence[tuple[int, float]]) -> None: ...

    def table(self, name: str, rows: Sequence[Mapping[str, object]]) -> None: ...

    def artifact(self, name: str, files: Sequence[Path], *, kind: str, used: bool = False) -> None: ...

    def finish(self) -> None: ...
