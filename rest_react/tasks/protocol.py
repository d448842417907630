"""The protocol of a task: everything that the loop asks of one. Each task is a package beside this module.

    task = parts.task(passages)                                          # build chooses; e.g. search_qa.task.SearchQA
    policy = Policy(llm, samples=4, temperature=1.0, max_tokens=128, select="perplexity", tuned=True)
    trajectory = await task.rollout(question, policy, trajectory_id="q1.0", seed=7)
    parsed = [task.parse(step) for step in trajectory.steps]
    result = await task.grade(labelled, trajectory, grader, seed=7)

Stages, selection and pages know a task by this protocol alone.
Not here: which task a run has (build), and what parsed candidates are (parsed).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from rest_react.judges.grader import Grader
from rest_react.parsed_trajectories import ParsedStep, ParsedTrajectory, Violations
from rest_react.protocols import LLM
from rest_react.records import LabelledQuestion, Question, Result, Step, Trajectory
from rest_react.step_view import StepView, plain_view

Watch: TypeAlias = Callable[[ParsedStep], None]


@dataclass(frozen=True, slots=True)
class Policy:
    """A model and how a rollout samples it: so many samples of each step, of at most `max_tokens` tokens. `select` says
    which sample moves a trajectory on; `verified` prefers samples without violations. An untuned model is shown the
    task's prompts."""

    llm: LLM
    samples: int
    temperature: float
    max_tokens: int
    select: Literal["verified", "perplexity", "majority", "first"]
    tuned: bool


class Task(Protocol):
    """What a model is asked to do, and the rules that hold for this task alone. A task that has no filter, verifier or
    sources, and whose steps are shown as their text, subclasses it and leaves these methods out."""

    __slots__ = ()

    @property
    def name(self) -> str: ...

    @property
    def step_kinds(self) -> tuple[str, ...]:
        """What the steps of its trajectories are called."""
        ...

    async def rollout(
        self, question: Question, policy: Policy, *, trajectory_id: str, seed: int, watch: Watch = lambda _: None
    ) -> Trajectory:
        """One trajectory. Never raises for a fault of the model or of a server: the trajectory holds it. `seed` fixes
        every draw; `watch` sees each step as it happens."""
        ...

    def parse(self, step: Step) -> ParsedStep:
        """What the candidates of a stored step stand for. Depends on the step alone and never raises."""
        ...

    async def grade(self, labelled: LabelledQuestion, trajectory: Trajectory, grader: Grader, *, seed: int) -> Result:
        """The verdict on one trajectory: the only method that is given labels."""
        ...

    def may_train(self, trajectory: ParsedTrajectory) -> bool:
        """Whether the filters of this task, as they are set, let this finished trajectory train."""
        return True

    def render(self, steps: Sequence[ParsedStep]) -> list[StepView]:
        """How each step of a trajectory, or of its beginning, is shown to people: by pages, and by `ask`."""
        return [plain_view(parsed.step.kind.capitalize(), parsed) for parsed in steps]

    def citations(self, trajectory: Trajectory) -> Iterable[str]:
        """What the answer cites, a line for each source; nothing where the task has no sources."""
        return ()

    def violations(self, trajectory: ParsedTrajectory) -> Violations:
        """What a verifier that needs no labels objects to; nothing where a task has none."""
        return Violations(tuple(((),) * len(step.actions) for step in trajectory.steps))
