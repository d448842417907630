"""What the candidates of a trajectory stand for, as their task has parsed them: each candidate once.

    step = task.parse(step)                    # of a Step as it is stored
    step.actions[0].target                     # 'ACTION_SELECTED = ActionWrapper(thoughts="First.", action=...)'
    ParsedTrajectory(trajectory, (step, ...))  # what selectors and filters see

Stages and selection work on these records alone, so they know no task's actions.
Not here: how a text is parsed (each task), and what is stored (records).
"""

from dataclasses import dataclass
from typing import Any

from rest_react.records import Step, Trajectory

CUT_OFF = "length"  # a candidate's `finish` where its token limit ended it
SLIP = "slip"  # and where a scripted expert made a mistake on purpose, to show its repair


@dataclass(frozen=True, slots=True)
class ParsedAction:
    """What one candidate stands for.

    `action` is a record of its task, None where the text stands for none: `problem` says why. `target` is the training
    text, which spells equal actions alike. `decision` is what majority votes count: equal for actions that differ in
    their reasons alone. `complete` says that no element is empty.
    """

    action: Any
    problem: str = ""
    target: str = ""
    decision: str = ""
    complete: bool = False


@dataclass(frozen=True, slots=True)
class ParsedStep:
    """A step, and what each of its candidates stands for."""

    step: Step
    actions: tuple[ParsedAction, ...]

    @property
    def chosen(self) -> ParsedAction | None:
        """The action that moved the trajectory on."""
        return None if self.step.chosen is None else self.actions[self.step.chosen]


@dataclass(frozen=True, slots=True)
class ParsedTrajectory:
    """A trajectory with its steps parsed."""

    trajectory: Trajectory
    steps: tuple[ParsedStep, ...]


@dataclass(frozen=True, slots=True)
class Violations:
    """The rules that a trajectory violates, one message each: by step and candidate (None where a candidate stands for
    no action), and those of the final answer."""

    steps: tuple[tuple[tuple[str, ...] | None, ...], ...] = ()
    answer: tuple[str, ...] = ()
