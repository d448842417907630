"""The tasks: one package each, with everything that is specific to the task.

    from rest_react.tasks.search_qa.task import SearchQA      # implements tasks.protocol.Task

A new task is a package with its settings and its class, and the name of its settings in `ChosenTask`.
Not here: stages and selection, which work with every task.
"""

from typing import TypeAlias

from rest_react.tasks.completion.settings import CompletionSettings
from rest_react.tasks.search_qa.settings import SearchQASettings
from rest_react.tasks.tool_maker.settings import ToolMakerSettings

ChosenTask: TypeAlias = SearchQASettings | CompletionSettings | ToolMakerSettings
