"""Counts of tokens that servers tell, from one reply to what a run writes."""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.build import Parts
from rest_react.config.compose import compose
from rest_react.protocols import LLM
from rest_react.records import ModelRef, Sampling, Trajectory
from rest_react.remote.usage import Tokens, Usage, charged, most_tokens, told, with_thoughts
from rest_react.run import run
from rest_react.setting_types import Mode
from rest_react.stages.rollouts import TRAJECTORIES
from rest_react.storage.jsonl import read_lines
from rest_react.storage.run_folder import RunFolder
from tests.loopback import Reply, Request, serve
from tests.serving import Service
from tests.test_over_http import BASE, HOSTED

COUNTS = st.none() | st.integers() | st.integers(-5, 300)
SAMPLING = Sampling(0.5, 40, seed=7)


def test_a_request_has_room_for_its_bytes_and_its_samples_for_their_limit() -> None:
    most = most_tokens(b"x" * 100, 4, SAMPLING)
    assert most == Tokens(4 * (100 + 2048), 4 * (40 + 16))
    assert with_thoughts(most, 4) == Tokens(most.prompt, most.completion + 4 * 65_536)


@given(prompt=COUNTS, completion=COUNTS, wrote=st.booleans())
def test_a_charge_is_always_possible(prompt: int | None, completion: int | None, wrote: bool) -> None:
    most, worst = Tokens(200, 100), Tokens(150, 90)
    usage = told(prompt, completion, most=most, wrote=wrote)
    cost = charged(usage, worst)
    assert 0 < cost.prompt <= most.prompt
    assert (1 if wrote else 0) <= cost.completion <= most.completion
    if usage.impossible:
        assert (usage, cost) == (Usage(impossible=usage.impossible), worst)
    else:
        assert usage == Usage(prompt, completion)


def scripted_service(folder: Path) -> Service:
    parts = Parts(compose(["experiment=smoke"]), RunFolder(folder / "unused"))

    def open_model(name: str, asked: Mode) -> LLM:
        return parts.llm(ModelRef(name, "hosted", tuned=False))

    return Service(open_model, folder / "service")


LIES = (
    {"prompt_tokens": -28_000, "completion_tokens": 7},
    {"prompt_tokens": 40, "completion_tokens": -3},
    {"prompt_tokens": 10**30, "completion_tokens": 10**30},
    {"prompt_tokens": 0, "completion_tokens": 0},
)


@pytest.mark.parametrize("lies", [LIES, ({},)])
def test_impossible_counts_of_a_server_are_not_written_by_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lies: tuple[dict[str, int], ...]
) -> None:
    usages: Iterator[dict[str, int]] = cycle(lies)
    service = scripted_service(tmp_path)

    def lying(request: Request) -> Reply:
        reply = service.answer(request)
        assert isinstance(reply.body, dict)
        return replace(reply, body={**reply.body, "usage": next(usages)})

    try:
        with serve(lying) as server:
            given = ["experiment=smoke", "iteration=0", "start=prompted", "policy.logprobs=false", f"output={tmp_path}"]
            run(compose([*given, *HOSTED, f"policy.base_url={server.url}/v1", f"policy.model={BASE}"]))
            calls = len(server.requests)
    finally:
        service.close()
    spent = json.loads((tmp_path / "smoke" / "spending.json").read_text())["policy"]
    assert spent["calls"] == calls
    assert spent["prompt_tokens"] > 100 * calls  # each prompt has some kB
    assert calls <= spent["completion_tokens"] < 10_000 * calls
    stage = tmp_path / "smoke" / "iter_0" / "evaluate" / "world"
    trajectories = read_lines(stage / TRAJECTORIES, Trajectory)
    assert {(trajectory.usage.prompt_tokens, trajectory.usage.completion_tokens) for trajectory in trajectories} == {
        (0, 0)
    }
    summary = json.loads((stage / "summary.json").read_text())
    numbers = [value for key, value in summary.items() if "tokens" in key and isinstance(value, int | float)]
    assert numbers and all(0 <= value < 10**6 for value in numbers)
    assert capsys.readouterr().err.count("an impossible usage") == (1 if lies == LIES else 0)
