"""The settings of the task completion, and what the rest asks of them.

    CompletionSettings("completion", labels=("billing", "delivery"))

Not here: the task (task).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from rest_react.setting_types import Name


@dataclass(frozen=True, slots=True)
class CompletionSettings:
    """One call for each item; its first line is the answer, one of `labels` where there are any."""

    searches: ClassVar[bool] = False  # and has no self-checks and no verifier

    kind: Literal["completion"]
    labels: tuple[Name, ...]  # the answers that are possible; none: any text

    @property
    def packaged_prompts(self) -> Path:
        """The folder of this task's prompt files."""
        return Path(__file__).parent / "prompts"

    @property
    def step_kinds(self) -> tuple[str, ...]:
        """What its steps are called; each has a prompt file."""
        return ("complete",)

    @property
    def judge_prompts(self) -> Iterable[str]:
        """The prompt files of judges. There is no LLM grader: answers are compared with the labels."""
        return "ranking.txt", "judged_good.txt"

    def calls(self, searches: float, *, self_checks: bool) -> float:
        """How many calls of the model a trajectory takes."""
        return 1
