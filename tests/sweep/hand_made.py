"""Runs of a sweep made by hand: answers of each iteration and baseline, settings, environments; and their table."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rest_react.reporting.results.results_json import Results
from rest_react.reporting.results.rows import compute_baselines, compute_rows
from rest_react.storage.files import write_json
from rest_react.storage.settings_file import lock_settings
from rest_react.sweep.report import write_sweep_report
from tests.runs import result, write_evaluation, write_lines

Facts = Mapping[str, float]
NO_FACTS: Facts = {}


def results_of(rights: Sequence[bool]) -> list[Any]:
    return [result(f"w{i:03}", verdict="correct" if right else "incorrect") for i, right in enumerate(rights)]


def first(right: int, of: int = 100) -> list[bool]:
    """`of` answers of which the first `right` are correct."""
    return [i < right for i in range(of)]


def write_run(
    folder: Path,
    iterations: Mapping[int, Sequence[bool]],
    *,
    baselines: Mapping[str, Sequence[bool]] | None = None,
    answering: Mapping[int, Facts] | None = None,
    training: Mapping[int, Facts] | None = None,
    environments: Sequence[Mapping[str, str]] = ({"rest-react": "1"},),
    **settings: object,
) -> Path:
    """A run folder with results.json. `answering` and `training` have facts of the summaries of evaluate and finetune,
    by iteration; a double underscore in the name of a setting stands for a dot."""
    locked = {"task.kind": "search_qa", **{name.replace("__", "."): value for name, value in settings.items()}}
    for environment in environments:
        lock_settings(folder, locked, environment)
        write_lines(folder / "iter_0" / "grow" / "done.jsonl", [{"id": "w0"}])  # so that settings stay
    for k, rights in iterations.items():
        write_evaluation(folder, k, results_of(rights), **(answering or {}).get(k, NO_FACTS))
    for name, rights in (baselines or {}).items():
        stage = folder / "baselines" / name / "world"
        write_lines(stage / "results.jsonl", results_of(rights))
        facts = {"schema": 1, "grader": "rule", "questions": 4, "repeats": 1, "seconds": 90.0, "files": {}}
        (stage / "summary.json").write_text(json.dumps(facts | dict((answering or {}).get(-1, NO_FACTS))))
    for k, held in (training or {}).items():
        (folder / f"iter_{k}" / "finetune").mkdir(parents=True)
        (folder / f"iter_{k}" / "finetune" / "summary.json").write_text(json.dumps({"schema": 1, "files": {}, **held}))
    rows = compute_rows(folder)
    compared = tuple(compute_baselines(folder, rows))
    write_json(folder / "results.json", Results(schema=1, run=folder.name, rows=tuple(rows), baselines=compared))
    return folder


def swept(folder: Path, runs: Sequence[Path], *, iteration: int | None = None, own: Sequence[str] = ()) -> str:
    """What the terminal shows of a sweep of these runs, which differ by their seeds, or by the settings `own`."""
    jobs = [
        {"status": 0, "folder": str(run), "iteration": iteration, "overrides": [f"seed={i}", *own[i : i + 1]]}
        for i, run in enumerate(runs)
    ]
    return write_sweep_report(jobs, folder)


def lines_of(folder: Path, table: str) -> list[dict[str, str]]:
    """The lines of a table of sweep.md, by heading."""
    block = (folder / "sweep.md").read_text().partition(f"## {table}\n\n")[2].partition("\n\n")[0]
    headings, _, *rows = [
        [cell.strip().replace("\\", "") for cell in line.strip("|").split("|")] for line in block.splitlines()
    ]
    return [dict(zip(headings, row, strict=True)) for row in rows]
