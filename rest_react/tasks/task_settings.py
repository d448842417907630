"""The interface of a task's settings, and the context with which they open the task.

    task = settings.task.open(TaskContext(prompts, settings.agent, search))      # for rollouts
    task = settings.task.open(TaskContext())                                     # for stored trajectories

The settings of a new task are a frozen dataclass in the task's package that subclasses `TaskSettings`, and its name in
the union in tasks/__init__.py. Not here: the interface of the task (tasks.protocol).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self, TypeAlias

from rest_react import prompts as files
from rest_react.errors import UsageError
from rest_react.llm.model_settings import ModelSettings
from rest_react.prompts import StepPrompt
from rest_react.protocols import LLM, Search
from rest_react.questions.question_settings import BuiltInItems, NoItems, QuestionSettings
from rest_react.records import LabelledQuestion, Passage
from rest_react.tasks.agent_settings import AgentSettings
from rest_react.tasks.protocol import Task
from rest_react.tasks.rollout import StepPrompts

Verifies: TypeAlias = Literal["none", "built-in world", "all"]


@dataclass(frozen=True, slots=True)
class TaskContext:
    """What a task is opened with: its prompts, the settings group `agent`, the search engine (if it searches), and the
    filters of training data; for tasks with models of their own, how one is opened by its role, the built-in items and
    the run's folder. `open_model` is None where trajectories are only read."""

    prompts: StepPrompts = StepPrompts()  # noqa: RUF009
    agent: AgentSettings | None = None
    search: Search | None = None
    only_grounded: bool = False
    max_searches: int | None = None
    min_passages: int | None = None
    open_model: Callable[[str, ModelSettings], LLM] | None = None
    items: Callable[[], BuiltInItems] = NoItems
    run_folder: Path = Path()


class TaskSettings(Protocol):
    """The interface of a task's settings.

    `step_names`: the kinds of its steps, each with its name in the last line of a state (`# step: <name>`); each kind
    has a prompt file `<kind>.txt` in `packaged_prompts`. `closings`: the last instruction to a chat model, by kind.
    `judge_prompts`: prompt files of judges, among ranking.txt, best_option.txt, judged_good.txt,
    judged_answer.txt, read_answer.txt and autoeval.txt."""

    __slots__ = ()
    packaged_prompts: ClassVar[Path]
    step_names: ClassVar[Mapping[str, str]]
    closings: ClassVar[Mapping[str, str]]
    judge_prompts: ClassVar[tuple[str, ...]] = ()
    searches: ClassVar[bool] = False  # True: it searches and checks its answers
    verifies: ClassVar[Verifies] = "none"  # the questions for which the rules of its verifier are valid
    has_items: ClassVar[bool] = False  # True: it has built-in items and a scripted policy that knows them
    teacher_prompt: ClassVar[str | None] = None  # the prompt file with which a teacher writes texts of its labels
    call_tokens: ClassVar[tuple[int, int]] = (300, 60)  # of a call, in and out: a forecast before any measurement
    demonstrates_rows: ClassVar[bool] = False  # True: its expert can demonstrate labelled rows of a user

    def open(self, context: TaskContext) -> Task:
        """Opens the task. Nothing is loaded before the first rollout."""
        ...

    def content_digests(self, context: TaskContext) -> Mapping[str, str]:
        """A hash of each thing outside the run folder on which its answers depend, by a name with a dot: another
        content is told, and not shared between runs."""
        return {}

    @property
    def step_kinds(self) -> tuple[str, ...]:
        """The kinds of its steps."""
        return tuple(self.step_names)

    def load_prompts(self, folder: Path) -> dict[str, StepPrompt]:
        """The prompt files of its steps in a folder. Raises ConfigError with every missing or invalid file."""
        return files.load_prompts(folder, self.step_names, self.exemplar_problem)

    def exemplar_problem(self, kind: str, completion: str) -> str:
        """The error in the completion of an exemplar; empty if there is none."""
        return ""

    def models(self) -> Mapping[str, ModelSettings]:
        """The models that the task asks beside the policy, by the name of their settings (`task.maker`)."""
        return {}

    def answered_by(self, questions: QuestionSettings) -> ModelSettings | None:
        """The model that answers a question set, for forecasts; None: the policy."""
        return None

    def making_of_tools(self, questions: Sequence[QuestionSettings]) -> tuple[ModelSettings, int] | None:
        """The model that makes what these question sets need before they can be answered, and the most calls that this
        takes, for forecasts; None: they need nothing."""
        return None

    def problems(self, path: str, questions: Mapping[str, QuestionSettings]) -> Iterator[str]:
        """One message for each impossible combination, with what to do; `path` is the name of these settings,
        `questions` are all question sets of the run by their settings' name."""
        yield from ()

    def calls(self, searches: float, *, self_checks: bool) -> float:
        """The number of LLM calls of a trajectory with this number of searches, for forecasts."""
        return len(self.step_names)

    def built_in(self, seed: int, *, passages: int, demonstrations: int, train: int, evaluation: int) -> BuiltInItems:
        """Its built-in items, in sets with these sizes."""
        return NoItems()

    @property
    def needs_rows(self) -> bool:
        """Whether `with_rows` completes these settings."""
        return False

    def with_rows(self, rows: Sequence[LabelledQuestion]) -> Self:
        """These settings, completed from the rows of `demonstrations.questions`. Raises ConfigError."""
        return self

    def unusable_golds(self, questions: Sequence[LabelledQuestion]) -> Iterator[str]:
        """One message for each question with whose gold answers no answer can be compared."""
        yield from ()

    def notes_on_golds(self, questions: Sequence[LabelledQuestion]) -> Iterator[str]:
        """What a user should know of the gold answers of a question set before anything is spent."""
        yield from ()

    def prompts_of_rows(self, rows: Sequence[LabelledQuestion], *, shots: int | None = None) -> dict[str, StepPrompt]:
        """The prompts made from the rows of `demonstrations.questions`, with `shots` of them as examples (None: as many
        as its settings say); empty: the prompts are those in the prompt files."""
        return {}

    def baseline_names(self) -> tuple[str, ...]:
        """The baselines that answer every benchmark beside the policy."""
        return ()

    def baseline_shots(self, name: str) -> int | None:
        """How many rows the untuned policy is shown, if it is the baseline of this name; else None."""
        return None

    def baseline(self, name: str, rows: Sequence[LabelledQuestion]) -> LLM:
        """The baseline of this name, fitted on the rows of `demonstrations.questions`, if it is not the policy."""
        raise LookupError(f"the task has no baseline {name}")

    def baseline_answers(self, name: str, questions: Sequence[LabelledQuestion]) -> bool:
        """Whether a baseline has an answer to this benchmark."""
        return True

    def rating_prompt(self) -> tuple[str, Mapping[str, str]] | None:
        """The prompt file with which a grader rates answers, and what its marks stand for; None: they are right or
        wrong."""
        return None

    def solved_questions(self) -> Sequence[LabelledQuestion]:
        """A user's questions that a prompt shows solved: no benchmark may have them."""
        return ()

    def label_names(self) -> tuple[str, ...]:
        """Its labels, for a teacher that writes texts of them."""
        return ()

    def shown(self, text: str) -> str:
        """A text as a judge is shown it: what the policy is shown."""
        return text

    def demonstrable(self, rows: Sequence[LabelledQuestion], passages: Sequence[Passage] | None) -> BuiltInItems:
        """The rows of `demonstrations.questions` as items that its expert can demonstrate."""
        raise UsageError(
            "demonstrations.questions: the expert of this task knows only the built-in items; leave it out"
        )

    async def left_out(self, items: BuiltInItems, search: Search | None, agent: AgentSettings) -> Mapping[str, str]:
        """The ids of those of these items that its expert cannot demonstrate after all, each with the reason."""
        return {}

    def scripted(self, items: BuiltInItems, *, seed: int, slip: float, **shares: Any) -> LLM:
        """A policy that knows the answers of the built-in items, with these shares of right, wrong, unparsable and
        empty samples."""
        raise UsageError("policy.kind: this task has no scripted policy; choose another, such as policy=smollm2")
