"""Parsed trajectories: each candidate of a trajectory as its task has parsed it.

    step = task.parse(step)                    # from a stored Step
    step.actions[0].target                     # 'ACTION_SELECTED = ActionWrapper(thoughts="First.", action=...)'
    ParsedTrajectory(trajectory, (step, ...))  # what selectors and filters see

Stages and selection work on these records alone, so they know no task's actions.
Not here: how a text is parsed (each task), and what is stored (records).
"""

from dataclasses import dataclass, field
from typing import Any

from rest_react.records import Hit, Step, Trajectory

CUT_OFF = "length"  # a candidate's `finish` where its token limit ended it
SLIP = "slip"  # and where a scripted expert made a mistake on purpose, to show its repair
SUPPLIED = "supplied"  # and where the task wrote it in place of the policy


@dataclass(frozen=True, slots=True)
class ParsedAction:
    """One parsed candidate.

    `action` is a record of the task; None if the text has no action, and `problem` says why. `target` is the training
    text in canonical form, the same for equal actions. `decision` is the key for majority votes, the same for actions
    that differ only in their reasons. `complete` says that no element is empty.
    """

    action: Any
    problem: str = ""
    target: str = ""
    decision: str = ""
    complete: bool = False


@dataclass(frozen=True, slots=True)
class ParsedStep:
    """A step with its parsed candidates."""

    step: Step
    actions: tuple[ParsedAction, ...]

    @property
    def chosen(self) -> ParsedAction | None:
        """The action of the chosen candidate; None if there is none."""
        return None if self.step.chosen is None else self.actions[self.step.chosen]

    @property
    def all_equal(self) -> bool:
        """Whether there are several candidates, and all stand for the same action."""
        return len(self.actions) > 1 and len({action.target for action in self.actions}) == 1


@dataclass(frozen=True, slots=True)
class ParsedTrajectory:
    """A trajectory with its parsed steps."""

    trajectory: Trajectory
    steps: tuple[ParsedStep, ...]


@dataclass(frozen=True, slots=True)
class Violations:
    """The rules that a trajectory violates, one message each: by step and candidate (None if a candidate has no
    action), and for the final answer."""

    steps: tuple[tuple[tuple[str, ...] | None, ...], ...] = ()
    answer: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """The final answer of a trajectory and what it rests on: all that a trajectory signal sees
    (selection.trajectory_signals).

    `short_answer` is the part of the answer that answers the question, for comparisons. `queries` are the searches,
    `retrieved` the distinct results of all searches, `selected` those that the trajectory selected, `cited` those that
    the answer cites, with the numbers of their links. A task that does not search has none. `exact`: two short answers
    are the same only if they are equal; else they are compared by the rules for answers in sentences."""

    question: str
    answer: str
    short_answer: str
    queries: tuple[str, ...] = ()
    selected: tuple[Hit, ...] = ()
    retrieved: tuple[Hit, ...] = ()
    cited: tuple[tuple[int, Hit], ...] = ()
    exact: bool = field(default=False, repr=False)
