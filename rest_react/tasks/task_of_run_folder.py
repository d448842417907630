"""The task of a run folder, to read and show its trajectories.

    task_of_run_folder({"task.kind": "completion", "task.labels": ["a", "b"]}).parse(step)

Not here: tasks for rollouts, which need clients (build).
"""

from collections.abc import Mapping
from typing import Annotated, Any, get_args

from rest_react.errors import RunFolderError
from rest_react.tasks import ChosenTask
from rest_react.tasks.protocol import Task
from rest_react.tasks.task_settings import TaskContext


def task_of_run_folder(locked: Mapping[str, Any], *, filters: bool = False) -> Task:
    """The task of a run folder with these settings; with `filters` it says which trajectories may train. Raises
    RunFolderError if they are not those of a task of this version."""
    from pydantic import Field, TypeAdapter, ValidationError

    kept = {name.removeprefix("task."): value for name, value in locked.items() if name.startswith("task.")}
    kept = {name: value for name, value in kept.items() if "." not in name}  # models of the task are not needed to read
    by_kind: Any = TypeAdapter(Annotated[ChosenTask, Field(discriminator="kind")])
    try:
        settings: ChosenTask = by_kind.validate_python(kept)
    except ValidationError as error:
        raise RunFolderError(
            "the settings of the task in settings.yaml are those of another version of rest_react; use the commit that "
            "is named there"
        ) from error
    if not filters:
        return settings.open(TaskContext())
    only_grounded, most = locked.get("improve.only_grounded", False), locked.get("improve.max_searches")
    fewest = locked.get("improve.min_passages")
    return settings.open(TaskContext(only_grounded=only_grounded, max_searches=most, min_passages=fewest))


def task_searches(locked: Mapping[str, Any]) -> bool:
    """Whether the task of a run folder searches. Folders of early versions name no task; they are of search_qa."""
    kinds = {kind for one in get_args(ChosenTask) if one.searches for kind in get_args(one.__annotations__["kind"])}
    return locked.get("task.kind") in {None, *kinds}
