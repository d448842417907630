"""The tables of a task over all evaluations of a run, as text for the page and for Markdown.

    run_tables(Path("outputs/tools"), task, prices)[0]["name"]          # "Tools"

Not here: what these tables show (`run_tables` of each task).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rest_react.metrics.prices import Price
from rest_react.records import Result, Trajectory
from rest_react.reporting.results.rows import evaluations
from rest_react.stages.evaluate import RESULTS
from rest_react.stages.rollouts import TRAJECTORIES
from rest_react.storage.jsonl import read_lines
from rest_react.tasks.protocol import Evaluated, Task
from rest_react.text_safety.escaping import visible


def run_tables(run_folder: Path, task: Task, prices: Mapping[str, Price]) -> list[dict[str, Any]]:
    """The task's tables of all complete evaluations; nothing is read for a task without tables."""
    if type(task).run_tables is Task.run_tables:
        return []
    complete = [
        Evaluated(
            k,
            stage.name,
            tuple(read_lines(stage / TRAJECTORIES, Trajectory)),
            {result.id: result for result in read_lines(stage / RESULTS, Result)},
        )
        for k, stage, _ in evaluations(run_folder)
    ]
    return [
        {
            "name": visible(table.name),
            "note": visible(table.note),
            "headings": [visible(heading) for heading in table.headings],
            "rows": [[visible(cell) for cell in row] for row in table.rows],
        }
        for table in task.run_tables(complete, prices)
    ]
