"""The good steps of rejected trajectories: those that gather the same evidence as a kept trajectory of the question.

    good = gathered(kept, task.gathering)                               # {"search bob lin born", "select p3 of p3 p4"}
    good_candidates(usable, task.gathering(step), good)                 # of a step of a rejected trajectory

A trajectory with a wrong answer often searches and selects well before its error. Without labels, a search or a
selection is taken for good if a kept trajectory of the same question did the same. Decisions to stop, answers and
checks never are: whether they are right depends on all that was done before.
Source: SRFT (2026), rejection fine-tuning that keeps the correct steps of incorrect trajectories; there a judge finds
them.
Not here: which trajectories are rejected (selection.trajectory_filters).
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Literal, TypeAlias

from rest_react.trajectories.parsed import ParsedStep, ParsedTrajectory

RejectedTrajectories = Literal["drop", "good_steps"]
Gathering: TypeAlias = Callable[[ParsedStep], Sequence[str]]


def gathered(kept: Iterable[ParsedTrajectory], gathering: Gathering) -> frozenset[str]:
    """What the chosen candidates of these trajectories gathered. `gathering` gives a key for each candidate of a step,
    the same for candidates that gather the same; empty for one that gathers nothing."""
    return frozenset(
        key
        for trajectory in kept
        for step in trajectory.steps
        if step.step.chosen is not None and (key := gathering(step)[step.step.chosen])
    )


def good_candidates(usable: Sequence[int], keys: Sequence[str], good: Collection[str]) -> tuple[int, ...]:
    """The candidates among `usable` that gather what a kept trajectory gathered."""
    return tuple(i for i in usable if keys[i] in good)
