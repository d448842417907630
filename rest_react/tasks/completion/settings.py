"""The settings of the task completion.

    CompletionSettings("completion", labels=("billing", "delivery")).open(TaskContext(prompts))

Not here: the task (tasks.completion.task), its built-in items and its scripted policy (items, scripted).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from rest_react.protocols import LLM
from rest_react.questions.question_settings import BuiltInItems
from rest_react.setting_types import Name
from rest_react.tasks.completion import task
from rest_react.tasks.completion.items import Items, build_items
from rest_react.tasks.task_settings import TaskContext, TaskSettings


@dataclass(frozen=True, slots=True)
class CompletionSettings(TaskSettings):
    """One call per item. The first line of the output is the answer; if `labels` are set, it must be one of them."""

    packaged_prompts: ClassVar[Path] = Path(__file__).parent / "prompts"
    step_names: ClassVar[Mapping[str, str]] = task.STEP_NAMES
    closings: ClassVar[Mapping[str, str]] = task.CLOSINGS
    judge_prompts: ClassVar[tuple[str, ...]] = ("ranking.txt", "judged_good.txt")  # no LLM grader: labels are compared
    has_items: ClassVar[bool] = True

    kind: Literal["completion"]
    labels: tuple[Name, ...]  # the possible answers; empty: any text

    def open(self, context: TaskContext) -> task.Completion:
        return task.Completion(context.prompts, self.labels)

    def exemplar_problem(self, kind: str, completion: str) -> str:
        return task.parse_label(completion, ()).problem

    def built_in(self, seed: int, *, passages: int, demonstrations: int, train: int, evaluation: int) -> Items:
        return build_items(seed, demonstrations=demonstrations, train=train, evaluation=evaluation)

    def scripted(self, items: BuiltInItems, *, seed: int, slip: float, **shares: float) -> LLM:
        from rest_react.tasks.completion.scripted import ScriptedCompletion

        assert isinstance(items, Items)
        return ScriptedCompletion(items.plans, self.labels, **shares)
