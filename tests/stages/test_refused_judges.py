"""Whole runs whose judges are refused by their servers, in one process, against a server on loopback."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rest_react.config.compose import compose
from rest_react.errors import RunFolderError, UsageError
from rest_react.run import run
from tests.loopback import Reply, Request, serve
from tests.test_under_fire import Provider

JUDGED = {"choices": [{"message": {"content": "# Fine.\nVERDICT = True\nRANKING: 1, 2\nBEST: 1"}}]}
SIZES = ["world.passages=200", "world.train=3", "world.demonstrations=0", "world.evaluation=3"]


def refusal(message: str, status: int = 400, **fields: object) -> Reply:
    return Reply(status, {"error": {"message": message, **fields}})


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`command(judge, *settings)` runs a small evaluation whose policy works and whose judge answers as told."""
    world = compose([*SIZES, "policy=scripted", "start=prompted"]).world
    provider = Provider(_world(world))
    monkeypatch.setenv("KEY", "sk-test-0123456789")

    def go(judge: Callable[[dict[str, Any]], Reply], *settings: str) -> None:
        def answer(request: Request) -> Reply:
            is_chat = request.path.endswith("/chat/completions")
            return judge(request.json) if is_chat and request.json["model"] == "judge" else provider(request)

        with serve(answer) as server:
            url = f"{server.url}/v1"
            # The address is locked: a gateway keeps its own.
            monkeypatch.setattr("rest_react.llm.openai_api.settings.OPENAI_URL", url)
            run(compose([
                "run=r", f"output={tmp_path}", *SIZES, "policy=openai", "policy.api_key_env=KEY", "start=prompted",
                "tracking=none", "policy.requests_per_minute=null", "finetune=hosted", "finetune.api_key_env=KEY",
                "iteration=0",
                *settings,
            ]))  # fmt: skip

    return go


def _world(settings: Any):
    from rest_react.tasks.search_qa.world import build_world

    return build_world(
        settings.seed, passages=settings.passages, demonstrations=settings.demonstrations, train=settings.train,
        evaluation=settings.evaluation,
    )  # fmt: skip


def results(folder: Path) -> list[dict[str, Any]]:
    path = folder / "r/iter_0/evaluate/world/results.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


GRADER = ("grader=openai", "grader.model=judge", "grader.api_key_env=KEY", "grader.requests_per_minute=null")


@pytest.mark.parametrize(
    ("reply", "named"),
    [
        (refusal("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens'."), "grader.token_limit"),
        (refusal("Invalid model name passed in model=judge."), "grader.model"),
        (refusal("No connected db.", type="no_db_connection"), "the key in KEY"),
        (refusal("The prompt is longer than the maximum model length of 64"), "grader.model"),
        (refusal("njet"), "grader.model"),
    ],
    ids=["parameter", "model", "key", "context", "unknown-words"],
)
def test_a_grader_that_refuses_all_stops_the_run_and_is_retried_after_the_correction(
    command, tmp_path, reply, named
) -> None:
    with pytest.raises(UsageError) as stopped:
        command(lambda _: reply, *GRADER)
    assert named in str(stopped.value)
    stage = tmp_path / "r/iter_0/evaluate/world"
    assert not (stage / "summary.json").exists() and not (stage / "results.jsonl").exists()
    trajectories = (stage / "trajectories.jsonl").read_bytes()
    command(lambda _: Reply(200, JUDGED), *GRADER, "grader.token_limit=max_completion_tokens", "grader.omit=[stop]")
    assert (stage / "trajectories.jsonl").read_bytes() == trajectories
    assert {line["verdict"]["reason"] for line in results(tmp_path) if line["outcome"] == "finished"} == {"Fine."}
    with pytest.raises(RunFolderError, match=r"grader\.omit"):
        command(lambda _: Reply(200, JUDGED), *GRADER)


def test_answers_unscored_because_of_the_token_limit_are_graded_again_with_another_limit(command, tmp_path) -> None:
    count = iter(range(100))

    def tight(body: dict[str, Any]) -> Reply:
        long = body["max_tokens"] > 100 and next(count) % 2
        return refusal("'max_tokens' is too large: the context length is 4096") if long else Reply(200, JUDGED)

    command(tight, *GRADER)
    before = results(tmp_path)
    verdicts = ("verdict", "verdict_before_checks")
    lost = [line["id"] for line in before if any(line[name]["refused"] for name in verdicts)]
    assert lost
    command(tight, *GRADER, "evaluate.grader_max_tokens=90")
    after = results(tmp_path)
    assert [line for line in after if line["id"] not in lost] == [line for line in before if line["id"] not in lost]
    assert [line["id"] for line in after if any(line[name]["verdict"] == "unscored" for name in verdicts)] == []
