from rest_react.tasks.completion.task import Completion
from rest_react.tasks.search_qa.task import SearchQA
from rest_react.tasks.task_of_run_folder import task_of_run_folder


def test_a_run_folder_is_read_as_the_task_that_made_it() -> None:
    made_by = {"seed": 0, "task.kind": "completion", "task.labels": ["a", "b"], "agent.max_searches": 5}
    assert task_of_run_folder(made_by) == Completion(labels=("a", "b"))
    assert task_of_run_folder({"task.kind": "search_qa"}) == SearchQA()


def test_a_folder_from_before_there_were_other_tasks_is_of_search_qa() -> None:
    assert task_of_run_folder({"seed": 0}) == SearchQA()
