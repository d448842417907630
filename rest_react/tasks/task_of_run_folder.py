"""The task that a run folder's trajectories are of, to read and to show them.

    task_of_run_folder({"task.kind": "completion", "task.labels": ["a", "b"]}).parse(step)

Not here: a task that rolls out, which needs clients (build).
"""

from collections.abc import Mapping
from typing import Annotated, Any

from rest_react.tasks import ChosenTask
from rest_react.tasks.protocol import Task
from rest_react.tasks.task_settings import TaskContext

_EARLIER = {"kind": "search_qa"}  # folders from before there were other tasks


def task_of_run_folder(locked: Mapping[str, Any]) -> Task:
    """The task of a run folder with these settings."""
    from pydantic import Field, TypeAdapter

    kept = {name.removeprefix("task."): value for name, value in locked.items() if name.startswith("task.")}
    by_kind: Any = TypeAdapter(Annotated[ChosenTask, Field(discriminator="kind")])
    settings: ChosenTask = by_kind.validate_python(kept or _EARLIER)
    return settings.open(TaskContext())
