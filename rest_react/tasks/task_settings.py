"""What a task's settings answer, and what a task is made from.

    task = settings.task.open(TaskContext(prompts, settings.agent, search))      # rolls out
    task = settings.task.open(TaskContext())                                     # reads trajectories that exist

Settings of a new task: a frozen dataclass in the task's package that subclasses `TaskSettings`, and its name in the
union of `tasks`. Not here: the protocol of the task itself (protocol).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from rest_react import prompts as files
from rest_react.errors import UsageError
from rest_react.prompts import StepPrompt
from rest_react.protocols import LLM, Search
from rest_react.questions.question_settings import BuiltInItems, NoItems
from rest_react.tasks.agent_settings import AgentSettings
from rest_react.tasks.protocol import Task
from rest_react.tasks.rollout import StepPrompts


@dataclass(frozen=True, slots=True)
class TaskContext:
    """What a run tells its task: the prompts of its steps, the settings of the group `agent`, the search engine where
    the task searches, and the filters of what may train."""

    prompts: StepPrompts = StepPrompts()  # noqa: RUF009
    agent: AgentSettings | None = None
    search: Search | None = None
    only_grounded: bool = False
    max_searches: int | None = None


class TaskSettings(Protocol):
    """What the rest of the program asks of a task's settings.

    `step_names`: the kinds of its steps, each with the name by which a state's last line calls it (`# step: <name>`);
    each kind has a prompt file `<kind>.txt` in `packaged_prompts`. `closings`: what a chat model is told last, by kind.
    `judge_prompts`: the prompt files of judges, among ranking.txt, judged_good.txt and autoeval.txt."""

    __slots__ = ()
    packaged_prompts: ClassVar[Path]
    step_names: ClassVar[Mapping[str, str]]
    closings: ClassVar[Mapping[str, str]]
    judge_prompts: ClassVar[tuple[str, ...]] = ()
    searches: ClassVar[bool] = False  # True: it searches, checks its answers and has a verifier
    has_items: ClassVar[bool] = False  # True: it has built-in items and a scripted policy that knows them

    def open(self, context: TaskContext) -> Task:
        """The task. Nothing is loaded before its first rollout."""
        ...

    @property
    def step_kinds(self) -> tuple[str, ...]:
        """What its steps are called."""
        return tuple(self.step_names)

    def load_prompts(self, folder: Path) -> dict[str, StepPrompt]:
        """The prompt files of its steps in a folder. Raises ConfigError that names every missing or odd file."""
        return files.load_prompts(folder, self.step_names, self.exemplar_problem)

    def exemplar_problem(self, kind: str, completion: str) -> str:
        """What is wrong with the completion of a prompt's exemplar, empty if nothing is."""
        return ""

    def calls(self, searches: float, *, self_checks: bool) -> float:
        """How many calls of the model a trajectory with so many searches takes, for forecasts."""
        return len(self.step_names)

    def built_in(self, seed: int, *, passages: int, demonstrations: int, train: int, evaluation: int) -> BuiltInItems:
        """Its built-in items, in sets of these sizes."""
        return NoItems()

    def scripted(self, items: BuiltInItems, *, seed: int, slip: float, **shares: float) -> LLM:
        """A policy that knows the answers of its built-in items, and errs in these shares (right, wrong, unparsable,
        empty)."""
        raise UsageError("policy.kind: this task has no scripted policy; choose another policy")
