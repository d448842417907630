"""The interface of a task.

    task = parts.task(passages)                                          # e.g. search_qa.task.SearchQA
    policy = Policy(llm, samples=4, temperature=1.0, max_tokens=128, select="perplexity", tuned=True)
    trajectory = await task.rollout(question, policy, trajectory_id="q1.0", seed=7)
    parsed = [task.parse(step) for step in trajectory.steps]
    result = await task.grade(labelled, trajectory, grader, seed=7)

Stages, selection and pages use only this interface.
Not here: which task a run has (build), and parsed candidates (trajectories.parsed).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol, TypeAlias

from rest_react.judges.grader import Grader
from rest_react.metrics.prices import Price
from rest_react.protocols import LLM
from rest_react.records import LabelledQuestion, Question, Result, Step, Trajectory
from rest_react.selection.selectors import Select
from rest_react.trajectories.chat_messages import Conversation, one_turn_per_step
from rest_react.trajectories.parsed import Evidence, ParsedStep, ParsedTrajectory, Violations
from rest_react.trajectories.step_view import StepView, plain_view

Watch: TypeAlias = Callable[[ParsedStep], None]


@dataclass(frozen=True, slots=True)
class Policy:
    """A model, and how a rollout samples it: `samples` samples per step with at most `max_tokens` tokens each. `select`
    chooses the sample that continues the rollout; `verified`: of the samples without violations, if any, the one with
    the lowest perplexity. `tuned` models were fine-tuned for the task; `agent.exemplars` says which models get its
    prompts."""

    llm: LLM
    samples: int
    temperature: float
    max_tokens: int
    select: Select
    tuned: bool


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A complete evaluation: its trajectories, and the results by trajectory id."""

    iteration: int
    benchmark: str
    trajectories: Sequence[Trajectory]
    results: Mapping[str, Result]


@dataclass(frozen=True, slots=True)
class ResultTable:
    """A table of the report: its name, the headings of its columns, its rows as text, and what the columns are."""

    name: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


class Task(Protocol):
    """A task. A class that inherits from it may leave out every method that has a body here, whose default means: no
    filter, only the answer, no evidence gathered, no errors to make, steps shown as text, no sources, one turn per
    step, answers right or wrong and no more, no verifier, no models but the policy."""

    __slots__ = ()

    async def rollout(
        self, question: Question, policy: Policy, *, trajectory_id: str, seed: int, watch: Watch = lambda _: None
    ) -> Trajectory:
        """Makes one trajectory (search_qa.task and completion.task implement this). Errors of the model or of a server
        are not raised: they are its `fault`. All sampling follows from `seed`; `watch` is called after each step."""
        ...

    def parse(self, step: Step) -> ParsedStep:
        """Parses the candidates of a stored step. A pure function of the step that never raises."""
        ...

    async def grade(self, labelled: LabelledQuestion, trajectory: Trajectory, grader: Grader, *, seed: int) -> Result:
        """Grades one trajectory. Only this method gets labels."""
        ...

    def may_train(self, trajectory: ParsedTrajectory) -> bool:
        """Whether this finished trajectory passes the filters in the settings of this task."""
        return True

    def evidence(self, trajectory: ParsedTrajectory) -> Evidence:
        """The answer and what it rests on, for the filters of trajectories (`improve.keep_trajectories`)."""
        whole = trajectory.trajectory
        return Evidence(whole.question, whole.answer, whole.answer, exact=True)

    def gathering(self, step: ParsedStep) -> tuple[str, ...]:
        """For each candidate what evidence it gathers, as a key; empty if it gathers none, as in every step of a task
        without searches. For `improve.rejected_trajectories`."""
        return ("",) * len(step.actions)

    def corruptions(self, step: Step, output: str, rng: Random) -> Iterable[str]:
        """Versions of an output of this step with one error each, for the training of a judge (`reward_model=trained`);
        none if the task has none."""
        return ()

    def render(self, steps: Sequence[ParsedStep]) -> list[StepView]:
        """The views of the steps, for pages and `ask`. `steps` may be the first steps of a trajectory."""
        return [plain_view(parsed.step.kind.capitalize(), parsed) for parsed in steps]

    def citations(self, trajectory: Trajectory) -> Iterable[str]:
        """The sources that the answer cites, one line each; empty if the task has no sources."""
        return ()

    def conversation(self, trajectory: ParsedTrajectory, *, gold: bool) -> Conversation:
        """The trajectory as the messages of a chat, for exports; without `gold` it holds no gold answer that a model
        was shown."""
        return one_turn_per_step(trajectory.steps)

    def scores(self, result: Result) -> Mapping[str, float | None]:
        """The task's own scores of an answer, by name: shares, or `rating` from 1 to 5; None where it has none."""
        return {}

    def tables(self, results: Iterable[Result]) -> Iterable[ResultTable]:
        """The task's own tables of the answers to one benchmark, for the report. `results` can be read once."""
        return ()

    def violations(self, trajectory: ParsedTrajectory) -> Violations:
        """The violations that a verifier without labels finds; none if the task has no verifier."""
        return Violations(tuple(((),) * len(step.actions) for step in trajectory.steps))

    def roles(self, trajectory: Trajectory) -> Mapping[str, tuple[int, int]]:
        """The tokens, in and out, of models other than the policy, by role; the usage of the trajectory has them
        too."""
        return {}

    def run_tables(self, evaluations: Sequence[Evaluated], prices: Mapping[str, Price]) -> Sequence[ResultTable]:
        """The task's own tables of all evaluations of a run, for the report. A role without a price has an unknown
        cost."""
        return ()
