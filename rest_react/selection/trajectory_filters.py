"""The filters of trajectories: which of them may train (`improve.keep_trajectories`).

    TRAJECTORY_FILTERS["agreeing"].keeps([first, second, third])      # [True, True, False]

To add one: write its signal in selection/trajectory_signals/, and enter its name in `KeepTrajectories`, what it keeps
and what it needs in `TRAJECTORY_FILTERS`.
Not here: filters of steps (selection.filters), and the filters of one task (`Task.may_train`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from rest_react.records import TrajectoryVerdict
from rest_react.selection.read_trajectory import Reading, answer_read, question_read, worse_than_average
from rest_react.selection.trajectory_signals import (
    agreement,
    corroboration,
    cross_fitting,
    reconstruction,
    support,
)
from rest_react.trajectories.parsed import Evidence

Asks = Literal["right", "answer"]  # is the answer right? what is the answer?
KeepTrajectories = Literal[
    "all", "agreeing", "agreeing_in_band", "cross_fitted", "reconstructable", "supported", "corroborated",
    "judged_good", "judged_better", "reader_agrees", "reader_and_judge",
    "cycle_consistent", "evidence_needed",
]  # fmt: skip


def every_trajectory(found: Sequence[Evidence]) -> list[bool]:
    """Keeps every trajectory."""
    return [True] * len(found)


def called_bad(verdicts: Iterable[TrajectoryVerdict]) -> frozenset[str]:
    """The ids of the trajectories that the reward model called bad. One without a verdict stays."""
    return frozenset(one.id for one in verdicts if one.good is False)


def worse_half(verdicts: Iterable[TrajectoryVerdict]) -> frozenset[str]:
    """The ids of the trajectories whose score, the log-probability of yes minus that of no, is below the median of all
    scored ones, and of those called bad in writing. One with neither scores nor a verdict stays."""
    found = list(verdicts)
    scores = {one.id: one.logprobs[0] - one.logprobs[1] for one in found if one.logprobs}
    middle = median(scores.values()) if scores else 0.0
    below = {id_ for id_, score in scores.items() if score < middle}
    return frozenset(below | called_bad(one for one in found if one.id not in scores))


def other_answer_or_worse_half(verdicts: Iterable[TrajectoryVerdict]) -> frozenset[str]:
    """The ids of the trajectories that either of the two leaves out. The half is that of all scored ones: one without a
    selected passage has no score. One to which the reader gave no answer stays."""
    found = list(verdicts)
    return (called_bad(found) | worse_half(found)) - {one.id for one in found if one.good is None}


@dataclass(frozen=True, slots=True)
class TrajectoryFilter:
    """What a filter keeps and needs.

    `keeps` takes the evidence of all finished trajectories of one question and returns a verdict for each; `fewest` is
    the number of them below which it keeps none. `needs_searches`: it is refused for a task that does not search.
    `leaves_out` gives the ids that the reward model's verdicts leave out (stages.improve.judge_trajectories); without
    it the reward model is not asked. `asks` are the questions it is asked: whether the answer is right, and what it
    would answer itself (selection.trajectory_signals.reader_agreement); with `reads` it reads a text instead."""

    keeps: Callable[[Sequence[Evidence]], Sequence[bool]] = every_trajectory
    fewest: int = 1
    needs_searches: bool = False
    leaves_out: Callable[[Iterable[TrajectoryVerdict]], frozenset[str]] | None = None
    asks: tuple[Asks, ...] = ()
    reads: Callable[[Evidence], Reading] | None = None


TRAJECTORY_FILTERS: Mapping[KeepTrajectories, TrajectoryFilter] = {
    "all": TrajectoryFilter(),
    "agreeing": TrajectoryFilter(agreement.has_majority, fewest=2),
    "agreeing_in_band": TrajectoryFilter(agreement.in_band, fewest=3),
    "cross_fitted": TrajectoryFilter(cross_fitting.is_confirmed, fewest=2, needs_searches=True),
    "reconstructable": TrajectoryFilter(reconstruction.is_reconstructable, needs_searches=True),
    "supported": TrajectoryFilter(support.is_supported, needs_searches=True),
    "corroborated": TrajectoryFilter(corroboration.is_corroborated, fewest=2, needs_searches=True),
    "judged_good": TrajectoryFilter(leaves_out=called_bad, asks=("right",)),
    "judged_better": TrajectoryFilter(leaves_out=worse_half, asks=("right",)),
    "reader_agrees": TrajectoryFilter(needs_searches=True, leaves_out=called_bad, asks=("answer",)),
    "reader_and_judge": TrajectoryFilter(
        needs_searches=True, leaves_out=other_answer_or_worse_half, asks=("answer", "right")
    ),
    "cycle_consistent": TrajectoryFilter(
        fewest=2, needs_searches=True, leaves_out=worse_than_average, reads=question_read
    ),
    "evidence_needed": TrajectoryFilter(needs_searches=True, leaves_out=called_bad, reads=answer_read),
}
ASK_REWARD_MODEL = frozenset(name for name, one in TRAJECTORY_FILTERS.items() if one.leaves_out is not None)
JUDGE_ANSWERS = frozenset(name for name, one in TRAJECTORY_FILTERS.items() if "right" in one.asks)
ANSWER_AGAIN = frozenset(name for name, one in TRAJECTORY_FILTERS.items() if "answer" in one.asks)
COMPARE_SCORES: frozenset[KeepTrajectories] = frozenset({"judged_better", "reader_and_judge"})  # of yes and no
READ_TEXTS = frozenset(name for name, one in TRAJECTORY_FILTERS.items() if one.reads is not None)
