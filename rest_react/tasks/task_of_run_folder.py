"""The task that a run folder's trajectories are of, to read and to show them.

    task_of_run_folder({"task.kind": "completion", "task.labels": ["a", "b"]}).parse(step)

Not here: a task that rolls out, which needs clients (build).
"""

from collections.abc import Mapping
from typing import Any

from rest_react.tasks.completion.task import Completion
from rest_react.tasks.protocol import Task
from rest_react.tasks.search_qa.task import SearchQA


def task_of_run_folder(locked: Mapping[str, Any]) -> Task:
    """The task of a run folder with these settings; search_qa where it is from before there were others."""
    if locked.get("task.kind") == "completion":
        return Completion(labels=tuple(locked.get("task.labels", ())))
    return SearchQA()
