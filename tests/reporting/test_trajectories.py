"""Trajectories with their results and rankings, read one at a time."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from rest_react.errors import RunFolderError
from rest_react.reporting.trajectories import recorded_trajectories
from tests.runs import result, trajectory, write_evaluation, write_lines

QUESTIONS = [f"w{i}" for i in range(40)]
LONG = "A" * 100_000


def evaluation(folder: Path, order: list[str]) -> Path:
    """A graded answer of 100 kB to each question, 4 MB in all; the trajectories are in this order."""
    results = (replace(result(id_, answer=LONG), question=id_) for id_ in QUESTIONS)
    stage = write_evaluation(folder, 0, results)
    write_lines(stage / "trajectories.jsonl", (trajectory(id_, id_) for id_ in order))
    return stage


def test_of_many_results_one_is_in_memory(tmp_path: Path) -> None:
    evaluation(tmp_path, QUESTIONS)
    tracemalloc.start()
    try:
        pairs = [(r.trajectory.id, r.result and r.result.id) for r in recorded_trajectories(tmp_path)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert pairs == [(f"{id_}.0", f"{id_}.0") for id_ in QUESTIONS]
    assert peak < 1_000_000  # a few copies of one line, of 40


def test_results_in_another_order_than_the_trajectories_are_refused(tmp_path: Path) -> None:
    stage = evaluation(tmp_path, QUESTIONS[::-1])
    with pytest.raises(
        RunFolderError, match=r"results\.jsonl has 'w0\.0' where .* has 'w39\.0'; remove .*summary\.json"
    ):
        list(recorded_trajectories(tmp_path))
    (stage / "summary.json").unlink()
    assert list(recorded_trajectories(tmp_path)) == []
