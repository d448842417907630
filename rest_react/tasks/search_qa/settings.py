"""The settings of the task search_qa, and what the rest asks of them.

    SearchQASettings("search_qa").calls(searches=2.5, self_checks=True)      # 9.0 calls of the model

Not here: the agent's rules, which are the group `agent` of the settings.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from rest_react.tasks.search_qa.actions import STEP_KINDS


@dataclass(frozen=True, slots=True)
class SearchQASettings:
    """Search question answering."""

    searches: ClassVar[bool] = True

    kind: Literal["search_qa"]

    @property
    def packaged_prompts(self) -> Path:
        """The folder of this task's prompt files."""
        return Path(__file__).parent / "prompts"

    @property
    def step_kinds(self) -> tuple[str, ...]:
        """What its steps are called; each has a prompt file."""
        return STEP_KINDS

    @property
    def judge_prompts(self) -> Iterable[str]:
        """The prompt files of judges."""
        return "ranking.txt", "judged_good.txt", "autoeval.txt"

    def calls(self, searches: float, *, self_checks: bool) -> float:
        """How many calls of the model a trajectory with so many searches takes."""
        return 2 * searches + (4 if self_checks else 2)
