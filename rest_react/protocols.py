"""What the stages ask of a client: `LLM`, `Search`, `Trainer`, `Tracker`. Each has several implementations.

    async def ask(llm: LLM) -> str:
        [completion] = await llm.sample(prompt, n=1, sampling=Sampling(temperature=0.7, max_tokens=256, seed=1))
        return completion.text

Clients are in llm/, search/, training/ and reporting/tracking; build opens those that the settings name.
Not here: what passes between them (records).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from rest_react.records import Completion, Example, Hit, ModelRef, Prompt, Sampling


class LLM(Protocol):
    """A client of a language model. Errors: `ModelFault` (refused, too long), `OutsideFault`, and `UsageError` where
    no call could succeed (no key, no such model), which ends the run."""

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        """n samples of one prompt, in a fixed order."""
        ...

    async def aclose(self) -> None:
        """Releases what the client holds (memory, connections, a process)."""
        ...


class Search(Protocol):
    """A client of a search engine. No results is an empty list; an outage is an `OutsideFault`."""

    async def search(self, query: str, k: int) -> list[Hit]:
        """At most k hits, best first."""
        ...


class Trainer(Protocol):
    """Fine-tuning, local or hosted (paper section 3.4): loss on the completions alone."""

    async def train(self, examples: Sequence[Example], base: ModelRef, folder: Path, seed: int) -> ModelRef:
        """Tunes `base` on `examples`, working in `folder`. Calling again with the same arguments resumes; a hosted
        job's id is on disk there before the first wait."""
        ...


class Tracker(Protocol):
    """An experiment tracker."""

    def log(self, stage: str, metrics: Mapping[str, float]) -> None: ...

    def curve(self, stage: str, name: str, points: Sequence[tuple[int, float]]) -> None: ...

    def table(self, name: str, rows: Sequence[Mapping[str, object]]) -> None: ...

    def artifact(self, name: str, files: Sequence[Path], *, kind: str, used: bool = False) -> None: ...

    def finish(self) -> None: ...
