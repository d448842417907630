"""Refuses question sets with whose gold answers the task could not compare an answer, before anything is spent.

    refuse_unusable_golds(settings.task, {"evaluate.benchmarks.validation": labelled})      # ConfigError, or notes

Not here: which gold answers a task can use (`unusable_golds` and `notes_on_golds` of its settings).
"""

from collections.abc import Mapping, Sequence

from rest_react.errors import ConfigError
from rest_react.records import LabelledQuestion
from rest_react.tasks.task_settings import TaskSettings
from rest_react.terminal.console import say


def refuse_unusable_golds(task: TaskSettings, sets: Mapping[str, Sequence[LabelledQuestion]]) -> None:
    """Raises ConfigError with one message for each set (by its settings' name) that has such answers. Prints the task's
    notes on the others."""
    told = []
    for path, questions in sets.items():
        if found := list(task.unusable_golds(questions)):
            told.append(f"{path}: {len(found)} of {len(questions)} rows: {found[0]}; correct them or change the task")
    if told:
        raise ConfigError(told)
    for path, questions in sets.items():
        for note in task.notes_on_golds(questions):
            say(f"note: {path}: {note}")
