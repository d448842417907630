import pytest

from rest_react.errors import RunFolderError
from rest_react.tasks.completion.task import Completion
from rest_react.tasks.search_qa.task import SearchQA
from rest_react.tasks.task_of_run_folder import task_of_run_folder


def test_a_run_folder_is_read_with_its_task() -> None:
    task = {"kind": "completion", "labels": ["a", "b"], "grade": "label", "tone": "kind", "shots": 0, "baselines": []}
    made_by = {"seed": 0, **{f"task.{name}": value for name, value in task.items()}, "agent.max_searches": 5}
    assert task_of_run_folder(made_by) == Completion(labels=("a", "b"))
    assert task_of_run_folder({"task.kind": "search_qa"}) == SearchQA()


@pytest.mark.parametrize("settings", [{"seed": 0}, {"task.kind": "completion", "task.labels": ["a", "b"]}])
def test_a_folder_of_another_version_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(RunFolderError, match="are those of another version of rest_react; use the commit"):
        task_of_run_folder(settings)
