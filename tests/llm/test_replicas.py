"""Several servers of the same model: where a trajectory goes, what a dead server costs, what stays the same."""

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from contextvars import Context
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from rest_react.build import Parts
from rest_react.config.compose import compose
from rest_react.errors import OutsideFault, UsageError
from rest_react.llm import replicas as replicas_module
from rest_react.llm.replicas import Replicas
from rest_react.records import Completion, ModelRef, OptionScores, Prompt, Sampling
from rest_react.remote.session import session
from rest_react.run import run
from rest_react.seeds import derive_seed
from rest_react.storage.run_folder import RunFolder
from tests.loopback import Reply, Request, serve
from tests.serving import Service, chat_prompt, listing, reply_with

PROMPT, SAMPLING = Prompt("", "state"), Sampling(0.5, 10, seed=1)


class Scripted:
    """A replica that counts its calls, and fails while `dead`."""

    def __init__(self) -> None:
        self.calls, self.closed = 0, 0
        self.dead: OutsideFault | None = None
        self.gone: OutsideFault | UsageError | None = None
        self.back = asyncio.Event()

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        self.calls += 1
        await asyncio.sleep(0)
        if self.dead is not None:
            raise self.dead
        return [Completion("text", 1, -1.0, "stop", 1)] * n

    async def score(self, prompt: Prompt, options: Sequence[str]) -> OptionScores | None:
        await self.sample(prompt, n=1, sampling=SAMPLING)
        return None

    async def revive(self) -> None:
        if self.gone:
            raise self.gone
        await self.back.wait()
        self.dead = None

    async def aclose(self) -> None:
        self.closed += 1


def with_replicas(count: int, use: Callable[..., object], *, patience_s: float = 0.05) -> list[Scripted]:
    """What `use(llm, replicas)` did to each replica."""

    async def main() -> list[Scripted]:
        replicas = [Scripted() for _ in range(count)]
        llm = Replicas(replicas, patience_s=patience_s)
        await use(llm, replicas)
        await llm.aclose()
        return replicas

    return asyncio.run(main())


async def trajectory(llm: Replicas, id_: str, calls: int = 2) -> None:
    with session(id_):
        for _ in range(calls - 1):
            await llm.sample(PROMPT, n=1, sampling=SAMPLING)
        await llm.score(PROMPT, ["A", "B"])


def test_a_trajectory_stays_on_the_replica_with_the_fewest_in_flight() -> None:
    async def use(llm: Replicas, _: object) -> None:
        await asyncio.gather(*(trajectory(llm, f"q{i}.0", calls=i + 1) for i in range(4)))
        await trajectory(llm, "q4.0")  # the others are over

    assert [one.calls for one in with_replicas(2, use)] == [1 + 3 + 2, 2 + 4]


def test_calls_outside_of_a_trajectory_go_to_the_least_busy_replica() -> None:
    async def use(llm: Replicas, _: object) -> None:
        await asyncio.gather(*(llm.sample(PROMPT, n=1, sampling=SAMPLING) for _ in range(6)))

    assert [one.calls for one in with_replicas(3, use)] == [2, 2, 2]


def test_a_call_outside_of_a_trajectory_takes_as_many_steps_however_many_trajectories_are_in_flight() -> None:
    def steps_with(trajectories: int) -> int:
        steps = 0

        def count(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal steps
            steps += frame.f_code.co_filename == replicas_module.__file__
            return count

        async def use(llm: Replicas, _: object) -> None:
            with ExitStack() as opened:
                for number in range(trajectories):
                    opened.enter_context(session(f"q{number}.0"))
                    await llm.sample(PROMPT, n=1, sampling=SAMPLING)
                traced = asyncio.create_task(llm.sample(PROMPT, n=1, sampling=SAMPLING), context=Context())
                before = sys.gettrace()
                sys.settrace(count)
                try:
                    await traced
                finally:
                    sys.settrace(before)

        with_replicas(3, use)
        return steps

    assert steps_with(300) == steps_with(3) > 0


def test_a_lost_replica_s_trajectories_move_and_it_is_used_again_once_it_answers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def use(llm: Replicas, replicas: list[Scripted]) -> None:
        replicas[0].dead = OutsideFault("m at http://a: refused")
        await asyncio.gather(*(trajectory(llm, f"q{i}.0") for i in range(4)))
        assert [one.calls for one in replicas] == [2, 8]
        replicas[0].back.set()
        await asyncio.sleep(0.01)
        await trajectory(llm, "q5.0")

    assert [one.calls for one in with_replicas(2, use)] == [4, 8]
    told = " ".join(capsys.readouterr().err.split())
    assert told.count("replica 1 of 2 is lost") == 1
    assert "m at http://a: refused" in told
    assert "replica 1 of 2 answers again" in told


def test_while_all_are_lost_a_call_waits_for_the_first_that_answers_again() -> None:
    async def use(llm: Replicas, replicas: list[Scripted]) -> None:
        for one in replicas:
            one.dead = OutsideFault("refused")
        asked = asyncio.create_task(trajectory(llm, "q.0", calls=1))
        await asyncio.sleep(0.02)
        replicas[1].back.set()
        await asked

    assert [one.calls for one in with_replicas(2, use, patience_s=10)] == [1, 2]


@pytest.mark.parametrize("why", [OutsideFault("no restart is left"), UsageError("port 8011 is in use")])
def test_a_replica_that_is_gone_for_good_does_not_end_the_wait_for_the_others(why: OutsideFault | UsageError) -> None:
    async def use(llm: Replicas, replicas: list[Scripted]) -> None:
        replicas[0].dead, replicas[0].gone = OutsideFault("refused"), why
        replicas[1].dead = OutsideFault("refused")
        asked = asyncio.create_task(trajectory(llm, "q.0", calls=1))
        await asyncio.sleep(0.05)
        replicas[1].back.set()
        await asked
        await trajectory(llm, "q.1", calls=3)

    assert [one.calls for one in with_replicas(2, use, patience_s=10)] == [1, 5]


@pytest.mark.parametrize("gone", [False, True])
def test_a_call_that_no_replica_answers_raises_the_last_error(gone: bool) -> None:
    async def use(llm: Replicas, replicas: list[Scripted]) -> None:
        for number, one in enumerate(replicas):
            one.dead = OutsideFault(f"refused by {number}")
            one.gone = OutsideFault("no restart is left") if gone else None
        with pytest.raises(OutsideFault, match="refused by 1"):
            await trajectory(llm, "q.0")
        with pytest.raises(OutsideFault, match="refused"):
            await trajectory(llm, "q.1")

    assert [one.closed for one in with_replicas(2, use)] == [1, 1]


# ── three servers, of which one is killed ─────────────────────────────────────────────────────────────────────────────

BLOCK = 16  # characters that a server caches as one


class PrefixCache:
    """The prompts that a server has seen, by their prefixes, as engines keep them: in blocks."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def read(self, prompt: str) -> int:
        """How many characters of a prompt were cached; all of it is afterwards."""
        ends = range(BLOCK, len(prompt) + 1, BLOCK)
        cached = next((end for end in reversed(ends) if prompt[:end] in self.seen), 0)
        self.seen.update(prompt[:end] for end in ends)
        return cached


class Servers:
    """Servers of one scripted model, each with a cache of its own. Number 1 is killed after `die_at` requests to all of
    them, and restarted 10 later; the others then wait until it is asked again. The lines of `loaded` are the weights
    that the command of the run has loaded, each with its name."""

    def __init__(self, count: int, service: Service, loaded: Path, die_at: int | None = None) -> None:
        self.service, self.loaded, self.die_at = service, loaded, die_at
        self.caches = [PrefixCache() for _ in range(count)]
        self.prompts: list[tuple[str, str, int]] = []  # prompt, session, number of the server
        self.cached = 0
        self.lock, self.asked_again = threading.Lock(), threading.Event()
        self.asked_again.set()
        self.stacks = [ExitStack() for _ in range(count)]
        self.ports = [0] * count
        for number in range(count):
            self.start(number)

    def start(self, number: int) -> None:
        server = self.stacks[number].enter_context(
            serve(lambda request: self.answer(number, request), self.ports[number])
        )
        self.ports[number] = int(server.url.rpartition(":")[2])

    def answer(self, number: int, request: Request) -> Reply:
        if request.method == "GET":
            names = [line.split()[1] for line in self.loaded.read_text().splitlines()]
            return listing([{"id": name} for name in names])
        prompt, named = chat_prompt(request.json["messages"]).text, request.headers.get("x-session-id")
        with self.lock:
            if named is not None:  # the request that finds out whether a server answers again has no session
                self.cached += self.caches[number].read(prompt)
                self.prompts.append((prompt, named, number))
            asked = len(self.prompts)
            if asked == self.die_at:
                self.stacks[1].close()
            elif self.die_at is not None and asked == self.die_at + 10 and self.asked_again.is_set():
                time.sleep(1)  # until its clients have found out
                self.asked_again.clear()
                self.caches[1] = PrefixCache()
                self.start(1)
        if number == 1:
            self.asked_again.set()
        if named is None:
            return reply_with([Completion("Hello", 1, None, "stop", 3)], "chat")
        assert self.asked_again.wait(60)
        return self.service.answer(request)

    def close(self) -> None:
        for stack in self.stacks:
            stack.close()

    @property
    def urls(self) -> str:
        return "[" + ",".join(f"http://127.0.0.1:{port}/v1" for port in self.ports) + "]"


def run_with(folder: Path, count: int, die_at: int | None = None) -> Servers:
    """A run of one iteration whose policy is that many servers."""
    loop = [
        "experiment=smoke", "iteration=1", "start=prompted", "agent.exemplars=never", "finetune=dry_run",
        "world.evaluation=2", "world.train=8", "improve.selector=perplexity",
    ]  # fmt: skip
    parts = Parts(compose(loop), RunFolder(folder / "unused"))
    service = Service(lambda name, _: parts.llm(ModelRef(name, "base", tuned=False)), folder / "service")
    loaded = folder / f"loaded_{count}"
    servers = Servers(count, service, loaded, die_at)
    command = [sys.executable, "-c", f"import sys; print(*sys.argv[1:], file=open({str(loaded)!r}, 'a'))"]
    policy = [
        "policy=openai", "policy.model=tiny-random", "policy.api_key_env=null", "policy.requests_per_minute=null",
        "policy.in_flight=3", "policy.price={input: 0.0, output: 0.0}", f"policy.base_url={servers.urls}",
        f"policy.load_weights={json.dumps(command)}",
    ]  # fmt: skip
    try:
        run(compose([*loop, *policy, f"output={folder}", f"run=of_{count}"]))
    finally:
        servers.close()
        service.close()
    return servers


def test_three_servers_of_which_one_dies_and_returns_make_the_examples_of_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = run_with(tmp_path, 1)
    three = run_with(tmp_path, 3, die_at=20)

    records = sorted(path.relative_to(tmp_path / "of_1") for path in (tmp_path / "of_1").rglob("*.jsonl"))
    assert "iter_1/improve/examples.jsonl" in map(str, records)
    for name in records:
        assert (tmp_path / "of_3" / name).read_bytes() == (tmp_path / "of_1" / name).read_bytes(), name

    told = " ".join(capsys.readouterr().err.split())
    assert "replica 2 of 3 is lost" in told
    assert "replica 2 of 3 answers again" in told
    ids = [named for _, named, _ in three.prompts]
    assert ids[20].startswith("train-")
    grown_by_restarted = {
        named for _, named, number in three.prompts[30:] if number == 1 and named.startswith("train-")
    }
    assert grown_by_restarted
    assert not grown_by_restarted & set(ids[:30])
    assert 0 <= len(ids) - len(alone.prompts) <= 3  # a call that was lost with its server is repeated, and no other

    hashed = [PrefixCache() for _ in range(3)]
    by_request = sum(hashed[derive_seed(prompt) % 3].read(prompt) for prompt, _, _ in alone.prompts)
    assert three.cached > 0.9 * alone.cached
    assert by_request < 0.75 * alone.cached
