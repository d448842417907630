"""The filters of trajectories: which of them may train (`improve.keep_trajectories`).

    TRAJECTORY_FILTERS["agreeing"]([first, second, third])      # [True, True, False]

A filter takes the evidence of all finished trajectories of one question and returns a verdict for each. To add one:
write its signal in selection/trajectory_signals/, and enter its name in `KeepTrajectories` and `TRAJECTORY_FILTERS`.
Those in `ASK_REWARD_MODEL` keep what the reward model's verdicts leave (stages.improve.judge_trajectories).
Not here: filters of steps (selection.filters), and the filters of one task (`Task.may_train`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

from rest_react.selection.trajectory_signals import (
    agreement,
    corroboration,
    cross_fitting,
    reconstruction,
    support,
)
from rest_react.trajectories.parsed import Evidence

KeepTrajectories = Literal[
    "all", "agreeing", "agreeing_in_band", "cross_fitted", "reconstructable", "supported", "corroborated",
    "judged_good", "cycle_consistent", "evidence_needed",
]  # fmt: skip
TrajectoryFilter: TypeAlias = Callable[[Sequence[Evidence]], Sequence[bool]]


def every_trajectory(found: Sequence[Evidence]) -> list[bool]:
    """Keeps every trajectory."""
    return [True] * len(found)


TRAJECTORY_FILTERS: Mapping[KeepTrajectories, TrajectoryFilter] = {
    "all": every_trajectory,
    "agreeing": agreement.has_majority,
    "agreeing_in_band": agreement.in_band,
    "cross_fitted": cross_fitting.is_confirmed,
    "reconstructable": reconstruction.is_reconstructable,
    "supported": support.is_supported,
    "corroborated": corroboration.is_corroborated,
    "judged_good": every_trajectory,
    "cycle_consistent": every_trajectory,
    "evidence_needed": every_trajectory,
}
# Trajectories of one question below which a filter keeps none.
FEWEST_TRAJECTORIES: Mapping[KeepTrajectories, int] = {
    "agreeing": 2, "agreeing_in_band": 3, "cross_fitted": 2, "corroborated": 2, "cycle_consistent": 2,
}  # fmt: skip
ASK_REWARD_MODEL: frozenset[KeepTrajectories] = frozenset({"judged_good", "cycle_consistent", "evidence_needed"})
NEED_SEARCHES: frozenset[KeepTrajectories] = frozenset(
    {"cross_fitted", "reconstructable", "supported", "corroborated", "cycle_consistent", "evidence_needed"}
)
