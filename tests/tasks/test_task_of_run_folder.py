from rest_react.tasks.completion.task import Completion
from rest_react.tasks.search_qa.task import SearchQA
from rest_react.tasks.task_of_run_folder import task_of_run_folder


def test_a_run_folder_is_read_with_its_task() -> None:
    made_by = {"seed": 0, "task.kind": "completion", "task.labels": ["a", "b"], "agent.max_searches": 5}
    assert task_of_run_folder(made_by) == Completion(labels=("a", "b"))
    assert task_of_run_folder({"task.kind": "search_qa"}) == SearchQA()


def test_an_older_folder_without_a_task_is_read_as_search_qa() -> None:
    assert task_of_run_folder({"seed": 0}) == SearchQA()
