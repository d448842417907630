"""The verdicts of a run are one more signal, as its Improve used them."""

from pathlib import Path

import pytest

from benchmarks.labelled_run import LabelledRun
from benchmarks.own_verdicts import OwnVerdicts, own_verdicts
from rest_react.records import Trajectory, TrajectoryVerdict, Usage
from rest_react.storage.jsonl import replace_lines
from rest_react.storage.run_folder import RunFolder

VERDICTS = [
    TrajectoryVerdict("q1.0", "judged", True, "Vell", (-0.1, -4.0)),
    TrajectoryVerdict("q1.1", "judged", True, "Vell", (-2.0, -0.5)),
    TrajectoryVerdict("q2.0", "judged", False, "Gar", (-0.2, -3.0)),
    TrajectoryVerdict("q2.1", "errored", reply="outside fault: HTTP 503"),
]
ENDED = tuple(
    Trajectory(f"q{i}.{k}", f"q{i}", "Q?", "finished", None, (), "a", "a", Usage()) for i in (1, 2) for k in (0, 1)
)


def of_run(root: Path, keep: str, verdicts: list[TrajectoryVerdict]) -> LabelledRun:
    folder = RunFolder(root)
    if verdicts:
        replace_lines(folder.stage(1, "improve", "verdicts.jsonl"), verdicts)
    return LabelledRun(folder, 1, {"improve.keep_trajectories": keep}, ENDED, {}, None)


@pytest.mark.parametrize(
    ("keep", "scores", "kept"),
    [
        ("judged_good", (3.9, -1.5, 2.8, None), (True, True, False, True)),
        ("judged_better", (3.9, -1.5, 2.8, None), (True, False, True, True)),
        ("reader_agrees", (1.0, 1.0, 0.0, None), (True, True, False, True)),
        ("reader_and_judge", (1.0, 0.0, 0.0, None), (True, False, False, True)),
    ],
)
def test_what_the_filter_left_out_is_not_kept_and_an_errored_one_is(tmp_path: Path, keep, scores, kept) -> None:
    found = own_verdicts(of_run(tmp_path, keep, VERDICTS))
    assert found == OwnVerdicts(keep, pytest.approx(scores), kept)  # type: ignore[arg-type]


def test_a_trajectory_about_which_nothing_was_asked_is_not_kept(tmp_path: Path) -> None:
    found = own_verdicts(of_run(tmp_path, "reader_agrees", VERDICTS[:2]))
    assert found == OwnVerdicts("reader_agrees", (1.0, 1.0, None, None), (True, True, False, False))


@pytest.mark.parametrize(("keep", "verdicts"), [("agreeing", VERDICTS), ("judged_good", [])])
def test_a_run_that_asked_nothing_has_no_such_row(tmp_path: Path, keep: str, verdicts: list) -> None:
    assert own_verdicts(of_run(tmp_path, keep, verdicts)) is None
