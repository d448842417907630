"""Clients for tests: one around another, that passes calls on, late, and remembers them; and a recorded search."""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from rest_react.errors import ModelFault, OutsideFault
from rest_react.metrics.prices import NO_PRICE
from rest_react.protocols import LLM
from rest_react.records import Completion, Hit, Prompt, Sampling
from rest_react.remote.cache import Cache, CachedSearch
from rest_react.seeds import derive_seed


class Killed(Exception):
    """Stands for the end of the process in the middle of its work."""


FREE = dict.fromkeys(("policy", "reward_model", "grader"), NO_PRICE)


class Spied:
    """An `LLM` around another. Each call takes its own random pause, so that calls end in no particular order.

    `shut` maps a text to the fault that prompts with this text meet; after `killed_after` calls everything ends.
    """

    def __init__(
        self,
        llm: LLM,
        *,
        pauses: int | None = None,
        shut: dict[str, ModelFault | OutsideFault] | None = None,
        killed_after: int | None = None,
    ) -> None:
        self.llm, self.pauses, self.killed_after = llm, pauses, killed_after
        self.shut = shut or {}
        self.prompts: list[Prompt] = []
        self.at_once = self.most_at_once = self.closed = 0

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        if len(self.prompts) == self.killed_after:
            raise Killed
        self.prompts.append(prompt)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.pauses is not None:
                await asyncio.sleep(Random(derive_seed(self.pauses, prompt.state)).random() / 200)
            for text, fault in self.shut.items():
                if text in prompt.state:
                    raise fault
            return await self.llm.sample(prompt, n=n, sampling=sampling)
        finally:
            self.at_once -= 1

    async def aclose(self) -> None:
        self.closed += 1


_FOLDER = TemporaryDirectory()  # gone with the process
_CACHE = Cache(Path(_FOLDER.name))
_NAMES = map(str, itertools.count())


def recorded_search(hits: Mapping[str, Sequence[Hit]] | None = None, k: int = 3) -> CachedSearch:
    """Replays these hits by query; any other query is an outage."""
    search = CachedSearch(None, next(_NAMES), _CACHE)
    for query, found in (hits or {}).items():
        search.keep(query, k, found)
    return search
