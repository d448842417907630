"""The order of the loop: the policy is closed while a training or a reward model needs its memory."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from rest_react.build import Parts
from rest_react.config.compose import compose
from rest_react.loop import Loop
from rest_react.protocols import LLM, Trainer
from rest_react.records import Completion, ModelRef, OptionScores, Prompt, Sampling
from rest_react.storage.locked_settings import locked_settings
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.settings_file import lock_settings


class Watched(LLM):
    """A client that tells when it is asked for the first time and when it is closed."""

    def __init__(self, llm: LLM, events: list[str]) -> None:
        self._llm, self._events, self._is_open = llm, events, False

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        if not self._is_open:
            self._is_open = True
            self._events.append("open")
        return await self._llm.sample(prompt, n=n, sampling=sampling)

    async def score(self, prompt: Prompt, options: Sequence[str]) -> OptionScores | None:
        return await self._llm.score(prompt, options)

    async def aclose(self) -> None:
        if self._is_open:
            self._events.append("close")
        self._is_open = False
        await self._llm.aclose()


class WatchedParts(Parts):
    """The parts of a run, of which policy and trainer are watched."""

    def __init__(self, folder: Path, *overrides: str) -> None:
        settings = compose(["experiment=smoke", "world.evaluation=6", *overrides])
        super().__init__(settings, RunFolder(folder))
        lock_settings(folder, locked_settings(settings), {})
        self.events: list[str] = []

    def llm(self, model: ModelRef) -> LLM:
        return Watched(super().llm(model), self.events)

    def trainer(self, iteration: int, stage: str = "finetune", epochs: float | None = None) -> Trainer:
        self.events.append(f"train {iteration}")
        return super().trainer(iteration, stage, epochs)


def test_the_policy_is_closed_before_each_training_and_the_next_one_opened_after_it(tmp_path: Path) -> None:
    parts = WatchedParts(tmp_path, "finetune=dry_run")
    asyncio.run(Loop(parts.settings, parts).run_to(2))
    asked = ["open", "close"]
    # Iteration 0 trains on demonstrations. Its model is evaluated and grows the data of the next one, and so on.
    assert parts.events == ["train 0", *asked, "train 1", *asked, "train 2", *asked]
