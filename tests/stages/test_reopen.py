"""Stages that another token limit of a judge makes incomplete, and what depends on them."""

from pathlib import Path

import pytest

from rest_react.reporting.results.rows import compute_rows
from rest_react.stages.reopen import reopen_where_limits_changed
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.settings_file import lock_settings
from rest_react.storage.summaries import reopen, write_summary
from tests.runs import result, write_lines

SETTINGS = {"task.kind": "search_qa", "evaluate.grader_max_tokens": 4}
OTHER_LIMIT = {**SETTINGS, "evaluate.grader_max_tokens": 400}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """Three complete iterations, sent to a tracker; of 1 and 2 an answer is unscored."""
    run = RunFolder(tmp_path)
    lock_settings(run.root, SETTINGS, {"python": "3"})
    for k, verdict in enumerate(("correct", "unscored", "unscored")):
        stage = run.stage(k, "evaluate", "world")
        write_lines(stage / "results.jsonl", [result("a"), result("b", verdict=verdict)])
        write_summary(stage, {"grader": "llm", "questions": 2, "repeats": 1, "seconds": 1.0})
        write_summary(run.stage(k, "tracking"), {"tracking": "wandb"})
    return run


def tracked(folder: RunFolder) -> list[int]:
    return [k for k in range(3) if folder.stage(k, "tracking").exists()]


def test_trackers_get_the_numbers_of_reopened_iterations_and_of_those_behind_them_again(folder: RunFolder) -> None:
    write_lines(folder.stage(2, "evaluate", "world") / "results.jsonl", [result("a"), result("b")])
    write_summary(folder.stage(2, "evaluate", "world"), {"grader": "llm", "questions": 2, "repeats": 1, "seconds": 1.0})
    reopen_where_limits_changed(folder, OTHER_LIMIT, iteration=2)
    assert [row.iteration for row in compute_rows(folder.root)] == [0, 2]
    assert tracked(folder) == [0]


def test_after_a_kill_between_a_reopened_stage_and_its_tracker_the_next_command_sends_it_again(
    folder: RunFolder,
) -> None:
    for k in (1, 2):
        reopen(folder.stage(k, "evaluate", "world"))
    reopen_where_limits_changed(folder, OTHER_LIMIT, iteration=2)
    assert tracked(folder) == [0]


def test_iterations_that_the_command_does_not_reach_are_named(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    reopen_where_limits_changed(folder, OTHER_LIMIT, iteration=1)
    told = " ".join(capsys.readouterr().err.split())
    assert "The results lack iteration 2 until a command with iteration=2 has done it" in told


def test_without_another_limit_nothing_is_reopened(folder: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    reopen_where_limits_changed(folder, SETTINGS, iteration=0)
    assert [row.iteration for row in compute_rows(folder.root)] == tracked(folder) == [0, 1, 2]
    assert capsys.readouterr().err == ""
