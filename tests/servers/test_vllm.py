"""vLLM's CPU build over the embedded model, as `policy=vllm` starts it."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

import pytest

from rest_react.errors import UsageError
from rest_react.llm.openai_api.openai_compatible import OpenAICompatible
from rest_react.llm.vllm.vllm_process import free_port
from rest_react.protocols import LLM
from rest_react.remote.session import session
from rest_react.seeds import derive_seed
from rest_react.setting_types import Mode
from tests.servers.parity import (
    CHOICE,
    GREEDY,
    MODEL,
    PROMPTS,
    WARM,
    WHOLE_TEXT,
    ask,
    check_context,
    check_sampling,
    check_scores,
    check_stop,
    in_process,
    loop,
    per_token,
)
from tests.servers.vllm_server import opened, overrides

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module", autouse=True)
def _memory() -> Iterator[None]:
    """A gigabyte for the key-value cache: its default is more than a small machine has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        yield


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with loop() as runner:
        yield runner


@pytest.fixture(scope="module")
def served(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LLM, int]]:
    """A running server in completion mode, and its port."""
    port = free_port(0)
    llm = opened(tmp_path_factory.mktemp("vllm"), "policy.mode=completion", f"policy.port={port}")
    yield llm, port
    runner.run(llm.aclose())


def in_mode(served: tuple[LLM, int], mode: Mode) -> LLM:
    llm, port = served
    if mode == "completion":
        return llm
    return OpenAICompatible(MODEL, base_url=f"http://127.0.0.1:{port}/v1", api_key_env=None, mode=mode)


@pytest.mark.parametrize("mode", ["completion", "chat"])
def test_greedy_texts_log_probabilities_and_scores_are_those_in_process(
    mode: Mode, served: tuple[LLM, int], runner: asyncio.Runner
) -> None:
    expected, scores, of_text = in_process(mode)
    llm = in_mode(served, mode)
    answers = [samples[0] for samples in ask(runner, llm, GREEDY)]
    assert [one.text for one in answers] == [one.text for one in expected]
    assert [one.tokens for one in answers] == [one.tokens for one in expected]
    for a, b in zip(answers, expected, strict=True):
        assert per_token(a) == pytest.approx(per_token(b), abs=2e-3)
    check_scores(runner.run(llm.score(CHOICE, ["yes", "no"])), scores, tolerance=0.05)
    read = runner.run(llm.score(CHOICE, [WHOLE_TEXT]))
    if mode == "chat":
        assert read is None
    else:
        assert read is not None
        assert read.logprobs == pytest.approx(of_text.logprobs, abs=0.05)


@pytest.mark.parametrize("mode", ["completion", "chat"])
def test_samples_seeds_stop_strings_and_the_context_limit(
    mode: Mode, served: tuple[LLM, int], runner: asyncio.Runner
) -> None:
    llm = in_mode(served, mode)
    check_sampling(runner, llm)
    check_stop(runner, llm)
    check_context(runner, llm, words=9000)


def api_servers(port: int) -> list[int]:
    """The processes of the server on that port that answer requests: those with it among their arguments."""
    return processes(lambda pid, command: str(port).encode() in command.split(b"\0") and b"serve" in command)


def engines(port: int) -> list[int]:
    """The engine processes of the server on that port."""
    groups = {os.getpgid(pid) for pid in api_servers(port)}
    return processes(lambda pid, command: b"EngineCore" in command and os.getpgid(pid) in groups)


def processes(chosen: Callable[[int, bytes], bool]) -> list[int]:
    """The processes of this machine that are `chosen` by their number and command line."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            if chosen(int(place.name), (place / "cmdline").read_bytes()):
                found.append(int(place.name))
    return found


@pytest.mark.parametrize("victims", [engines, api_servers])
def test_a_process_of_the_server_killed_in_mid_request_costs_a_restart_and_no_sample(
    victims: Callable[[int], list[int]],
    served: tuple[LLM, int],
    runner: asyncio.Runner,
    capsys: pytest.CaptureFixture[str],
) -> None:
    llm, port = served
    before = ask(runner, llm, WARM, n=2)

    async def main() -> list[list[str]]:
        asked = [asyncio.create_task(llm.sample(prompt, n=2, sampling=WARM)) for prompt in PROMPTS]
        await asyncio.sleep(0.3)
        killed = victims(port)
        assert killed
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        return [[one.text for one in await samples] for samples in asked]

    assert runner.run(main()) == [[one.text for one in samples] for samples in before]
    assert "The server is restarted" in " ".join(capsys.readouterr().err.split())


def test_two_replicas_answer_like_one_also_while_one_of_them_is_killed(
    served: tuple[LLM, int], runner: asyncio.Runner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = ask(runner, served[0], WARM, n=2)
    runner.run(served[0].aclose())  # the next test starts it again
    port = free_port(0)
    llm = opened(tmp_path, "policy.mode=completion", f"policy.port={port}", "policy.replicas=2")

    async def trajectory(i: int) -> list[str]:
        with session(f"q{i}.0"):
            return [one.text for one in await llm.sample(PROMPTS[i], n=2, sampling=WARM)]

    async def main() -> list[list[list[str]]]:
        try:
            first = await asyncio.gather(*map(trajectory, range(4)))
            asked = [asyncio.create_task(trajectory(i)) for i in range(4)]
            await asyncio.sleep(0.3)
            for pid in engines(port):
                os.kill(pid, signal.SIGKILL)
            return [first, list(await asyncio.gather(*asked))]
        finally:
            await llm.aclose()

    expected = [[one.text for one in samples] for samples in alone]
    assert runner.run(main()) == [expected, expected]
    assert all((tmp_path / f"vllm-{i}.log").is_file() for i in (1, 2))
    assert "replica 1 of 2 is lost" in " ".join(capsys.readouterr().err.split())


def test_two_engines_in_one_server_take_the_trajectory_s_number_and_answer_alike(
    runner: asyncio.Runner, tmp_path: Path
) -> None:
    port, ids = free_port(0), ("a.0", "b.0", "c.0", "d.0", "e.0")
    llm = opened(tmp_path, "policy.mode=completion", f"policy.port={port}", arguments=["--data-parallel-size", "2"])

    async def main() -> tuple[list[list[str]], dict[str, int]]:
        try:
            found = []
            for id_ in ids:
                with session(id_):
                    found.append([one.text for one in await llm.sample(PROMPTS[0], n=2, sampling=WARM)])
            return found, await asyncio.to_thread(requests_by_engine, port)
        finally:
            await llm.aclose()

    (first, *others), answered = runner.run(main())
    assert others == [first] * 4
    own = Counter(str(derive_seed(id_) % 2) for id_ in ids)
    assert len(own) == 2
    assert answered in (
        own,
        {engine: 2 * count for engine, count in own.items()},
    )  # a request of two samples may be two


def requests_by_engine(port: int) -> dict[str, int]:
    """How many requests each engine of the server on that port has answered, by its metrics."""
    counts = Counter[str]()
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as reply:
        for line in reply.read().decode().splitlines():
            if found := re.match(r'vllm:request_success_total\{.*engine="(\d+)".*\} ([\d.]+)$', line):
                counts[found[1]] += int(float(found[2]))
    return +counts


def test_a_flag_that_it_does_not_know_and_a_port_in_use_end_the_run(runner: asyncio.Runner, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no-such-flag"):
        runner.run(opened(tmp_path, arguments=["--no-such-flag"]).sample(PROMPTS[0], n=1, sampling=GREEDY))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        llm = opened(tmp_path, f"policy.port={other.getsockname()[1]}")
        with pytest.raises(UsageError, match="is in use"):
            runner.run(llm.sample(PROMPTS[0], n=1, sampling=GREEDY))


def test_a_whole_small_iteration_serves_the_tuned_weights_next_and_survives_a_killed_server(tmp_path: Path) -> None:
    port, folder = free_port(0), tmp_path / "real"
    settings = overrides(
        "run=real", f"output={tmp_path}", "tracking=none", "iteration=1", "policy.mode=completion",
        f"policy.port={port}", "start=demonstrations", "agent.max_tokens=96", "grow.samples=2",
        "grow.trajectories_per_question=1", "world.passages=200", "world.train=4", "world.evaluation=2",
        "world.demonstrations=10", "evaluate.repeats=1", "improve.selector=majority", "improve.keep=all",
        "finetune=local", "finetune.steps=[1]",
    )  # fmt: skip
    command, output = [sys.executable, "-m", "rest_react.run", *settings], tmp_path / "output.txt"
    with output.open("wb") as said:
        run = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        try:
            kill_engines_during(folder / "iter_1" / "grow" / "trajectories.jsonl", port, run)
            status = run.wait(1500)
        finally:
            run.kill()
    told = output.read_text()
    assert status == 0, told[-6000:]
    assert "The server is restarted" in " ".join(told.split())
    rows = json.loads((folder / "results.json").read_text())["rows"]
    assert [(row["iteration"], row["questions"], row["unscored"]) for row in rows] == [(0, 2, 0), (1, 2, 0)]
    grown = [json.loads(line)["id"] for line in (folder / "iter_1" / "grow" / "trajectories.jsonl").open()]
    assert len(set(grown)) == len(grown) == 4
    log = (folder / "vllm.log").read_text()
    assert "iter_0-finetune-model" in log and "iter_1-finetune-model" in log


def kill_engines_during(stage: Path, port: int, run: "subprocess.Popen[bytes]") -> None:
    """Kills the engine processes of the server on that port as soon as the file of a stage exists."""
    deadline = time.monotonic() + 1200
    while not stage.exists():
        assert run.poll() is None and time.monotonic() < deadline, f"the run did not come to {stage}"
        time.sleep(0.1)
    time.sleep(2.0)  # the first requests are under way
    killed = engines(port)
    assert killed, "the server has no engine process"
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
