"""The comparison of engines, with two that tell how long they took."""

import asyncio

import pytest

from benchmarks import servers
from rest_react.protocols import LLM
from rest_react.records import Completion, Prompt, Sampling


class Slow(LLM):
    """An `LLM` whose every request takes so many seconds of the clock."""

    def __init__(self, clock: list[float], seconds: float) -> None:
        self.clock, self.seconds = clock, seconds
        self.seeds: list[int] = []

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        self.clock[0] += self.seconds
        self.seeds.append(sampling.seed)
        return [Completion("text", 10, None, "stop", 1)] * n


def test_each_engine_answers_the_same_steps_in_each_round_and_the_ratio_is_that_of_their_speeds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr("benchmarks.servers.time.perf_counter", lambda: clock[0])
    fast, slow = Slow(clock, 1), Slow(clock, 4)
    engines: dict[str, LLM] = {"ours": fast, "theirs": slow}
    steps = [("a.0", ["first", "second"]), ("b.0", ["first"])]
    speeds = asyncio.run(servers.compare(engines, steps, 2, Sampling(1.0, 8, 0), 3))
    assert speeds == {"ours": [20.0] * 3, "theirs": [5.0] * 3}
    assert fast.seeds == slow.seeds and len({*fast.seeds}) == 1 + 3 * 3  # a request to warm up, then 3 in each round
    assert list(servers.ratios(speeds)) == ["ours ÷ theirs: 4.00 [4.00, 4.00], 3 rounds"]
