import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pytest

from rest_react.errors import OutsideFault
from rest_react.protocols import Tracker
from rest_react.reporting.tracking.track_iteration import IterationTracking
from rest_react.reporting.tracking.trackers import GivenMode
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.summaries import read_summary, write_summary
from tests.runs import result, write_evaluation


@pytest.fixture(autouse=True)
def no_wandb_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)


class Recording(Tracker):
    """Keeps the names of what it is sent, unless it refuses everything or does not finish."""

    def __init__(self, sent: list[str], refuses: bool = False, finishes: bool = True) -> None:
        self.sent, self.refuses, self.finishes = sent, refuses, finishes

    def log(self, stage: str, metrics: Mapping[str, float]) -> None:
        if self.refuses:
            raise OutsideFault("wandb: no space")
        self.sent.append(stage)

    def finish(self) -> None:
        if not self.finishes:
            raise OutsideFault("wandb: TimeoutError: Timed out finishing run.")


class Command:
    """One command of a run with complete iterations 0 to 2, and the trackers that it opened."""

    def __init__(self, root: Path, kind: Literal["none", "wandb"] = "wandb", **behaviour: bool) -> None:
        self.folder, self.opened, self.sent = RunFolder(root), list[tuple[int, GivenMode]](), list[str]()
        for k in (0, 1, 2):
            write_summary(self.folder.stage(k, "grow"), {"trajectories": 1})
        self.behaviour = behaviour
        self.tracking = IterationTracking(self.folder, kind, "offline", self.open)

    def open(self, k: int, mode: GivenMode) -> Recording:
        self.opened.append((k, mode))
        return Recording(self.sent, **self.behaviour)

    def summary(self, k: int) -> dict[str, object] | None:
        return read_summary(self.folder.stage(k, "tracking"))


def test_an_iteration_is_sent_once_to_each_tracker(tmp_path: Path) -> None:
    commands = [Command(tmp_path, kind) for kind in ("none", "wandb", "wandb", "none", "wandb")]
    assert [command.tracking.track(1) for command in commands] == [True, True, False, False, False]
    assert [command.opened for command in commands] == [[], [(1, "offline")], [], [], []]
    assert commands[-1].summary(1) == {"schema": 1, "tracking": "wandb", "mode": "offline"}


def test_a_failing_tracker_is_reported_once_and_the_next_command_tries_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = Command(tmp_path, refuses=True)
    assert [first.tracking.track(k) for k in (0, 1)] == [True, True]
    assert first.opened == [(0, "offline")]
    note, advice = capsys.readouterr().err.splitlines()
    assert note.startswith("note: Nothing was sent to W&B") and note.endswith("wandb: no space")
    assert "same command again" in advice
    failed = {"schema": 1, "tracking": "wandb", "mode": "offline", "problems": ["wandb: no space"]}
    assert [first.summary(k) for k in (0, 1)] == [failed, failed]
    second = Command(tmp_path)
    assert [second.tracking.track(k) for k in (0, 1, 1)] == [True, True, False]
    assert second.sent == ["grow", "grow"]
    to_send = f"wandb sync {tmp_path}/wandb/offline-run-*"
    assert capsys.readouterr().err == f"W&B is offline; send its files with: {to_send}\n"


def test_track_returns_false_if_logging_fails_again(tmp_path: Path) -> None:
    assert [Command(tmp_path, refuses=True).tracking.track(1) for _ in range(2)] == [True, False]


def test_a_tracker_that_does_not_finish_is_tried_once_per_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = Command(tmp_path, finishes=False)
    assert [command.tracking.track(k) for k in (1, 2)] == [True, True]
    assert command.opened == [(1, "offline")]
    note, advice = capsys.readouterr().err.splitlines()
    assert note.startswith("note: Iteration 1 ") and note.endswith("wandb: TimeoutError: Timed out finishing run.")
    assert "same command again" in advice


def test_the_scores_that_a_task_gives_its_answers_are_sent(tmp_path: Path) -> None:
    sent: dict[str, Mapping[str, float]] = {}

    class Metrics(Tracker):
        def log(self, stage: str, metrics: Mapping[str, float]) -> None:
            sent[stage] = metrics

    write_evaluation(tmp_path, 1, [result("a")])
    tracking = IterationTracking(
        RunFolder(tmp_path), "wandb", "offline", lambda k, mode: Metrics(), lambda _: {"valid": 1.0}
    )
    assert tracking.track(1)
    assert (sent["evaluate/world"]["accuracy/mean"], sent["evaluate/world"]["scores/valid/mean"]) == (1.0, 1.0)


def test_an_environment_variable_turns_the_tracker_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    command = Command(tmp_path)
    assert command.tracking.track(1)
    assert command.opened == []
    assert capsys.readouterr().err == "note: WANDB_MODE=disabled is set in the environment: nothing is sent to W&B\n"
    monkeypatch.delenv("WANDB_MODE")
    command = Command(tmp_path)
    assert command.tracking.track(1)
    assert command.opened == [(1, "offline")]
