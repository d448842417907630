"""The filters of trajectories: each value of the setting has one, and keeps none of fewer trajectories than it says."""

from typing import get_args

import pytest

from rest_react.records import Hit, TrajectoryVerdict
from rest_react.selection.judge_trajectory import left_out_by
from rest_react.selection.trajectory_filters import TRAJECTORY_FILTERS, KeepTrajectories
from rest_react.trajectories.parsed import Evidence

MELL = Hit("p1", "Ada Mell", "Ada Mell was born in Vell.")
FOUND = Evidence(
    "Where was Ada Mell born?", "Ada Mell was born in Vell [link_id=1].", "Vell", ("birthplace of Ada Mell",), (MELL,),
    (MELL,), ((1, MELL),),
)  # fmt: skip


def kept(name: KeepTrajectories, trajectories: int) -> int:
    """How many of these equal trajectories of one question train, each judged right and read as likelier."""
    keeps = TRAJECTORY_FILTERS[name].keeps([FOUND] * trajectories)
    ids = [f"q.{i}" for i in range(trajectories)]
    out = left_out_by(name, (TrajectoryVerdict(id_, "judged", True, logprobs=(-1.0, -10.0)) for id_ in ids))
    return sum(keep and id_ not in out for id_, keep in zip(ids, keeps, strict=True))


def test_each_value_of_the_setting_is_a_filter() -> None:
    assert set(TRAJECTORY_FILTERS) == set(get_args(KeepTrajectories))


def test_the_better_half_by_the_judge_s_score_stays_and_so_does_what_has_no_verdict() -> None:
    def judged(id_: str, yes: float, no: float) -> TrajectoryVerdict:
        return TrajectoryVerdict(id_, "judged", yes > no, logprobs=(yes, no))

    verdicts = [
        judged("a.0", -0.1, -4.0),
        judged("a.1", -0.2, -2.0),
        judged("b.0", -0.3, -1.5),
        judged("b.1", -2.0, -0.2),
    ]
    verdicts += [
        TrajectoryVerdict("c.0", "unscored"),
        TrajectoryVerdict("c.2", "unscored", logprobs=(-0.7, -0.7)),
        TrajectoryVerdict("c.1", "errored"),
        TrajectoryVerdict("d.0", "judged", True, reply="GOOD: yes"),
        TrajectoryVerdict("d.1", "judged", False, reply="GOOD: no"),
    ]
    assert left_out_by("judged_better", verdicts) == {"b.1", "c.2", "d.1"}
    assert left_out_by("judged_better", verdicts[:3]) == {"b.0"}  # the median itself stays
    assert left_out_by("judged_better", []) == frozenset()


def test_with_a_reader_and_a_judge_what_either_of_them_leaves_out_does_not_train() -> None:
    verdicts = [
        TrajectoryVerdict("a.0", "judged", True, "Vell", (-0.1, -4.0)),
        TrajectoryVerdict("a.1", "judged", False, "Gar", (-0.2, -2.0)),  # better half, another answer
        TrajectoryVerdict("b.0", "judged", True, "Vell", (-2.0, -0.2)),  # the same answer, worse half
        TrajectoryVerdict("b.1", "judged", False),  # no passage selected
        TrajectoryVerdict("c.0", "unscored"),
        TrajectoryVerdict("c.1", "errored"),
        TrajectoryVerdict("c.2", "unscored", None, "", (-3.0, -0.1)),  # worse half, no answer of the reader
    ]
    assert left_out_by("reader_agrees", verdicts) == {"a.1", "b.1"}
    assert left_out_by("reader_and_judge", iter(verdicts)) == {"a.1", "b.0", "b.1"}


@pytest.mark.parametrize("name", TRAJECTORY_FILTERS)
def test_a_filter_keeps_none_of_fewer_trajectories_than_it_says(name: KeepTrajectories) -> None:
    assert kept(name, TRAJECTORY_FILTERS[name].fewest - 1) == 0


@pytest.mark.parametrize("name", sorted(set(TRAJECTORY_FILTERS) - {"agreeing_in_band", "cross_fitted"}))
def test_a_filter_keeps_equal_trajectories_as_soon_as_there_are_as_many_as_it_says(name: KeepTrajectories) -> None:
    fewest = TRAJECTORY_FILTERS[name].fewest
    assert kept(name, fewest) == fewest
