"""The tasks, one package each: what a model is asked to do, and the rules that hold for this task alone.

    from rest_react.tasks.search_qa.task import SearchQA      # implements tasks.protocol.Task

A new one is a package with its settings and its task, and its settings' name in `ChosenTask`.
Not here: stages and selection, which work on the trajectories of any task.
"""

from typing import TypeAlias

from rest_react.tasks.completion.settings import CompletionSettings
from rest_react.tasks.search_qa.settings import SearchQASettings

ChosenTask: TypeAlias = SearchQASettings | CompletionSettings
