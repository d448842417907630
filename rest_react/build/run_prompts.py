"""The prompts of a run: those of the task's steps, and the texts with which its judges are asked.

    prompts = RunPrompts(settings, question_sets)
    prompts.steps["decide"].instructions
    prompts.text("ranking.txt")

A file in the folder `agent.prompts` comes before the packaged one; a task may make its prompts from the user's rows.
Not here: what a prompt file looks like (prompts).
"""

import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from rest_react.build.question_sets import QuestionSets
from rest_react.config.settings import Settings, asks_reward_model
from rest_react.errors import ConfigError
from rest_react.prompts import VERDICT, StepPrompt, closing, texts_hash
from rest_react.selection.trajectory_filters import ANSWER_AGAIN, JUDGE_ANSWERS
from rest_react.storage.settings_file import GRADER_PROMPTS, JUDGE_PROMPTS, STEP_PROMPTS, TEXT_JUDGE_PROMPTS

RANKING, BEST_OPTION, AUTOEVAL = "ranking.txt", "best_option.txt", "autoeval.txt"
JUDGED_GOOD, JUDGED_ANSWER, READ_ANSWER = "judged_good.txt", "judged_answer.txt", "read_answer.txt"


class RunPrompts:
    """The prompts of a run."""

    def __init__(self, settings: Settings, question_sets: QuestionSets) -> None:
        self.settings = settings
        self.question_sets = question_sets

    @cached_property
    def steps(self) -> dict[str, StepPrompt]:
        """The prompts of the steps: those made from the user's rows, or the prompt files."""
        s = self.settings
        rows = () if s.agent.prompts or s.synthetic.n else self.question_sets.labelled_rows
        made = s.task.prompts_of_rows(rows) if rows or (s.synthetic.n and not s.agent.prompts) else {}
        return made or s.task.load_prompts(self._folder)

    def digests(self) -> dict[str, str]:
        """The hashes of the texts with which the policy and its judges are asked, by the names of an environment."""
        improve = self.settings.improve
        unused = {BEST_OPTION} if improve.reward == "generate" else set()
        unused |= set() if improve.keep_trajectories in JUDGE_ANSWERS else {JUDGED_ANSWER}
        unused |= set() if improve.keep_trajectories in ANSWER_AGAIN else {READ_ANSWER}
        names = [name for name in self.settings.task.judge_prompts if name not in unused]
        synthetic = self.settings.synthetic
        if asks_reward_model(self.settings) or (synthetic.n and synthetic.judged):
            self._refuse_missing_marks(names)
        texts = {name: self.text(name) for name in names}
        rating = self.settings.task.rating_prompt()
        of_rating = [self.text(rating[0])] if rating is not None else []
        of_grader = of_rating or [text for name, text in texts.items() if name == AUTOEVAL]
        of_texts = [text for name, text in texts.items() if name in (JUDGED_GOOD, BEST_OPTION)]
        of_steps = [prompt.prefix for prompt in self.steps.values()]
        return {
            STEP_PROMPTS: texts_hash([*of_steps, *map(closing, self.settings.task.closings.values())]),
            JUDGE_PROMPTS: texts_hash([closing(VERDICT), *texts.values(), *of_rating]),
            GRADER_PROMPTS: texts_hash([closing(VERDICT), *of_grader]),
            TEXT_JUDGE_PROMPTS: texts_hash(of_texts),
        }

    def text(self, name: str) -> str:
        """The text of a prompt file; `{labels}` in it stands for the labels of the task, one a line."""
        labels = self.settings.task.label_names() or ("any text",)
        text = self._file(name).read_text(encoding="utf-8")
        return text.replace("{labels}", "\n".join(f"- {label}" for label in labels))

    def _refuse_missing_marks(self, names: Iterable[str]) -> None:
        """Raises ConfigError for files of the user that lack a mark which the packaged ones have: a judge would not see
        what the mark stands for."""
        problems = []
        for name in names:
            packaged, used = (_marks(path) for path in (self.settings.task.packaged_prompts / name, self._file(name)))
            if missing := sorted(packaged - used - {"{labels}"}):
                problems.append(
                    f"agent.prompts: {self._file(name)} has no {' and no '.join(missing)}; write it where that text is "
                    "to stand"
                )
        if problems:
            raise ConfigError(problems)

    def _file(self, name: str) -> Path:
        path = self._folder / name
        return path if path.exists() else self.settings.task.packaged_prompts / name

    @property
    def _folder(self) -> Path:
        return Path(self.settings.agent.prompts or self.settings.task.packaged_prompts)


def _marks(prompt: Path) -> set[str]:
    return set(re.findall(r"\{[a-z_]+\}", prompt.read_text(encoding="utf-8"))) if prompt.exists() else set()
