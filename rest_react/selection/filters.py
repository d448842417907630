"""The filters: which trajectories, which steps and which candidates may train (paper section 3.5).

    for index, usable in trainable_steps(trajectory, task.violations, selector="perplexity", keep="all"):
        ...                                     # candidates usable[0], usable[1], ... of step `index` may train

A step trains if its trajectory finished and its task lets it train, the step was not forced, and at least one sample is
whole, parses and has no empty element.
Not here: which of the candidates is best (selectors), and the rules of a verifier (the task).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, TypeAlias

from rest_react.parsed_trajectories import SLIP, ParsedStep, ParsedTrajectory, Violations
from rest_react.selection.selectors import SelectorName

Keep = Literal["all", "verified", "judged_good"]
Verifier: TypeAlias = Callable[[ParsedTrajectory], Violations]


def trainable_steps(
    trajectory: ParsedTrajectory, verify: Verifier, *, selector: SelectorName, keep: Keep
) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Index and usable candidates of every step that may train. `verify` says which rules a trajectory violates; it is
    asked where `verified` is set."""
    for index, usable in enumerate(candidates_of(trajectory, verify, selector=selector, keep=keep)):
        if usable:
            yield index, usable


def candidates_of(
    trajectory: ParsedTrajectory, verify: Verifier, *, selector: SelectorName, keep: Keep
) -> Sequence[tuple[int, ...]]:
    """The usable candidates of each step. The selector `verified` leaves those without violations if there are any;
    `keep="verified"` leaves these alone, and no candidate at all if the answer violates a rule."""
    every = [usable_candidates(step) for step in trajectory.steps]
    if "verified" not in (selector, keep):
        return every
    found = verify(trajectory)
    verified = [
        tuple(i for i in usable if of_step[i] == ()) for usable, of_step in zip(every, found.steps, strict=True)
    ]
    if keep == "verified":
        return [()] * len(every) if found.answer else verified
    return [some or usable for some, usable in zip(verified, every, strict=True)]


def usable_candidates(step: ParsedStep) -> tuple[int, ...]:
    """Indexes of the candidates that may become a training target: whole, parsable, no element empty, no scripted slip,
    and of equal targets the first."""
    first_with: dict[str, int] = {}
    for index, (candidate, action) in enumerate(zip(step.step.candidates, step.actions, strict=True)):
        if action.action is not None and action.complete and candidate.finish != SLIP:
            first_with.setdefault(action.target, index)
    return tuple(first_with.values())
