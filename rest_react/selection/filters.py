"""The filters: which steps and candidates may become training targets (paper section 3.5).

    for index, usable in trainable_steps(trajectory, task.violations, selector="perplexity", keep="all"):
        ...                                     # candidates usable[0], usable[1], ... of step `index` may train

A step may train if its trajectory finished and its task allows it, the step was not forced, and at least one sample
parses (one that was cut off seldom does) and has no empty element.
Not here: which candidate is best (selection.selectors), and the rules of a verifier (tasks.search_qa.judging.verifier).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, TypeAlias

from rest_react.selection.selectors import SelectorName
from rest_react.trajectories.parsed import SLIP, SUPPLIED, ParsedStep, ParsedTrajectory, Violations

Keep = Literal["all", "verified", "judged_good"]
Verifier: TypeAlias = Callable[[ParsedTrajectory], Violations]


def trainable_steps(
    trajectory: ParsedTrajectory, verify: Verifier, *, selector: SelectorName, keep: Keep
) -> Iterator[tuple[int, tuple[int, ...]]]:
    """The index and the usable candidates of every step that may train. `verify` gives the rules that a trajectory
    violates; it is called only if `selector` or `keep` is `verified`."""
    for index, usable in enumerate(candidates_of(trajectory, verify, selector=selector, keep=keep)):
        if usable:
            yield index, usable


def candidates_of(
    trajectory: ParsedTrajectory, verify: Verifier, *, selector: SelectorName, keep: Keep
) -> Sequence[tuple[int, ...]]:
    """The usable candidates of each step. With the selector `verified`, only candidates without violations if there are
    any. With `keep="verified"`, only candidates without violations, and none if the answer violates a rule."""
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
    """The indexes of candidates that may become a training target: parsable, no empty element, not an error injected
    by the scripted policy, and written by the policy. Of equal targets only the first. Tasks decide what of a sample
    that was cut off they parse: as a rule nothing, of a label its first line."""
    first_with: dict[str, int] = {}
    for index, (candidate, action) in enumerate(zip(step.step.candidates, step.actions, strict=True)):
        if action.action is not None and action.complete and candidate.finish not in (SLIP, SUPPLIED):
            first_with.setdefault(action.target, index)
    return tuple(first_with.values())
