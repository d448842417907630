"""Which settings share a folder of tools."""

from pathlib import Path
from typing import Any

import pytest

from rest_react.config.compose import compose
from rest_react.tasks.task_settings import TaskContext
from rest_react.tasks.tool_maker.items import build_items
from rest_react.tasks.tool_maker.sandbox import namespaces_problem

pytestmark = pytest.mark.skipif(bool(namespaces_problem()), reason=f"no namespaces here: {namespaces_problem()}")
SANDBOX = "rest_react.tasks.tool_maker.settings._SANDBOX"


def folder_of_tools(folder: Path, *overrides: str) -> str:
    settings = compose(["experiment=tool_maker", "policy=scripted", *overrides])
    items = build_items(0, ["word_sorting"], demonstrations=0, train=0, evaluation=1)
    unasked: Any = None
    context = TaskContext(open_model=lambda role, model: unasked, items=lambda: items, run_folder=folder / "run")
    task: Any = settings.task.open(context)
    return str(task.toolbox.library.root.name)


def test_a_tool_that_was_rejected_under_other_limits_of_the_sandbox_is_made_again(tmp_path: Path) -> None:
    limits = ("sandbox_seconds=9", "sandbox_memory_mb=64", "sandbox=limits_only")
    names = [folder_of_tools(tmp_path, f"task.{limit}") for limit in limits]
    assert len({folder_of_tools(tmp_path), *names}) == 4


def test_the_usual_limits_of_the_sandbox_are_no_part_of_the_name_of_a_folder_of_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = folder_of_tools(tmp_path)
    monkeypatch.setattr(SANDBOX, {})  # as before they counted
    assert folder_of_tools(tmp_path) == name
