"""The report of a sweep: its runs by settings, with the mean over seeds, its spread, and differences to the baselines.

    report = write_sweep_report(jobs, folder)          # writes sweep.md and sweep.html there
    print(report.text)

    Settings                     Benchmark   Trainings  Accuracy  95% interval  Std  Minus tfidf
    demonstrations.questions.n=100 validation 5         71.2%     [63.0, 78.9]  2.1  +4.2 [-2.8, +11.2]

Runs that differ only in `seed`, `learning_seed` or their names are one line. Values are those of each run's last
iteration; where that is not the first one, `Start` is the first evaluation (of a label-free loop on classification:
of the supervised start), and the difference to it is paired by item and training. Intervals are over items and
trainings; of a single training over items alone. A difference to a baseline is paired by item. A training whose loss
stays up is named.
Not here: the tables (reporting.tables.sweep_tables), the outcomes of the jobs (jobs), the numbers of one run
(reporting.results.rows).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rest_react.metrics.intervals import clustered_interval
from rest_react.records import Result
from rest_react.reporting.page import fill
from rest_react.reporting.results.results_json import ResultRow, Results, read_results, scores_of
from rest_react.reporting.results.rows import RATING
from rest_react.reporting.tables.markdown import markdown_table
from rest_react.reporting.tables.stage_tables import choice_notes, convergence_notes
from rest_react.reporting.tables.sweep_tables import (
    Arm,
    Table,
    Values,
    costs_table,
    latency_table,
    sweep_table,
)
from rest_react.stages.evaluate import RESULTS
from rest_react.storage.files import write_file
from rest_react.storage.jsonl import read_lines
from rest_react.storage.settings_file import read_settings
from rest_react.tasks.task_of_run_folder import task_of_run_folder
from rest_react.text_safety.escaping import visible

_SEEDS = ("seed", "learning_seed", "run")
_LATENCY = "Seconds of an answer by its output tokens"
_TABLES: Mapping[str, Callable[[Sequence[Arm]], Table]] = {
    "Results": sweep_table,
    "Price of training and what it saves": costs_table,
    _LATENCY: latency_table,
}


def write_sweep_report(jobs: Sequence[Mapping[str, Any]], folder: Path) -> str:
    """Writes sweep.md and sweep.html for the finished jobs, and returns the table as text; empty if fewer than two have
    results."""
    done = [job for job in jobs if job["status"] == 0 and job["folder"]]
    runs = [(_settings(job), Path(job["folder"])) for job in done]
    runs = [(settings, run) for settings, run in runs if (run / "results.json").exists()]
    asked = {Path(job["folder"]): job.get("iteration") for job in done}
    if len(runs) < 2:
        return ""
    shared = set.intersection(*(set(settings) for settings, _ in runs))
    by_settings: dict[tuple[str, ...], list[Path]] = {}
    for settings, run in runs:
        by_settings.setdefault(tuple(one for one in settings if one not in shared), []).append(run)
    arms = [arm for settings, own in by_settings.items() for arm in _arms(settings, own, asked)]
    if not arms:
        return ""
    notes = [f"{run.name}, {note}" for _, run in runs for note in (*choice_notes(run), *convergence_notes(run))]
    tables = {name: table for name, make in _TABLES.items() if (table := make(arms))[1]}
    blocks = [block for name, table in tables.items() for block in (f"## {name}", markdown_table(*table))]
    write_file(folder / "sweep.md", "\n\n".join(["# Sweep", *blocks, *notes]) + "\n")
    view = {"tables": tables, "notes": [visible(note) for note in notes], "charts": list(_charts(arms))}
    write_file(folder / "sweep.html", fill("sweep.html.j2", title="Sweep", view=view))
    shown = [_as_text(*table) for name, table in tables.items() if name != _LATENCY]
    return "\n".join(["\n\n".join(shown), *(f"note: {note}" for note in notes), f"sweep: {folder / 'sweep.html'}"])


def _settings(job: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(one for one in job["overrides"] if one.partition("=")[0].lstrip("+") not in _SEEDS)


def _arms(settings: tuple[str, ...], runs: Sequence[Path], asked: Mapping[Path, int | None]) -> Iterator[Arm]:
    read = [(run, _up_to(read_results(run), asked[run])) for run in runs]
    names = dict.fromkeys(row.benchmark for _, results in read for row in results.rows)
    for name in names:
        last = [(run, row) for run, results in read if (row := _last(results, name)) is not None]
        columns = [scores_of(row) or {} for _, row in last]
        if not any(columns):
            continue
        own = [_own_scores(run, row) for run, row in last]
        kept = dict.fromkeys(score for scores in own for score in scores)
        yield Arm(
            settings,
            name,
            len(last),
            _together(columns),
            {score: _together([scores.get(score, {}) for scores in own]) for score in kept},
            dict(_baselines([results for _, results in read], name)),
            [row for _, row in last],
            [b for _, results in read for b in results.baselines if b.row.benchmark == name],
            _start(read, name, last),
        )


def _start(
    read: Sequence[tuple[Path, Results]], benchmark: str, last: Sequence[tuple[Path, ResultRow]]
) -> dict[str, list[float | None]]:
    """The scores of each training's first evaluation; none unless all of them went on after it."""
    first = {run: row for run, results in read for row in reversed(results.rows) if row.benchmark == benchmark}
    if any(first[run].iteration == row.iteration for run, row in last):
        return {}
    return _together([scores_of(first[run]) or {} for run, _ in last])


def _up_to(results: Results, iteration: int | None) -> Results:
    """The results without iterations beyond the one that the job was asked for: the folder may have more."""
    rows = tuple(row for row in results.rows if iteration is None or row.iteration <= iteration)
    return replace(results, rows=rows)


def _last(results: Results, benchmark: str) -> ResultRow | None:
    rows = [row for row in results.rows if row.benchmark == benchmark]
    return rows[-1] if rows else None


def _baselines(read: Sequence[Results], benchmark: str) -> Iterator[tuple[str, Values]]:
    """Each baseline's scores, averaged over the runs: they differ between runs only where a model answers."""
    names = dict.fromkeys(one.name for results in read for one in results.baselines)
    for name in names:
        rows = [b.row for results in read for b in results.baselines if (b.name, b.row.benchmark) == (name, benchmark)]
        yield name, _together([scores_of(row) or {} for row in rows])


def _own_scores(run: Path, row: ResultRow) -> dict[str, dict[str, list[float | None]]]:
    """The task's own scores of a run's last answers, by score and item."""
    task = task_of_run_folder(read_settings(run))
    found: dict[str, dict[str, list[float | None]]] = {}
    stage = run / f"iter_{row.iteration}" / "evaluate" / row.benchmark
    for result in read_lines(stage / RESULTS, Result):
        if result.fault is None or result.fault.whose == "model":
            for name, value in task.scores(result).items():
                found.setdefault(name, {}).setdefault(result.question_id, []).append(value)
    return found


def _together(columns: Sequence[Values]) -> dict[str, list[float | None]]:
    """For each item its mean in each column, so that the spread over columns is the spread over trainings."""
    items = dict.fromkeys(item for column in columns for item in column)
    return {item: [_mean(column.get(item, ())) for column in columns] for item in items}


def _mean(values: Sequence[float | None]) -> float | None:
    scored = [value for value in values if value is not None]
    return sum(scored) / len(scored) if scored else None


def _charts(arms: Sequence[Arm]) -> Iterator[dict[str, Any]]:
    """For each benchmark whose arms differ in the number of labelled rows: accuracy, that of the baselines, and the
    task's shares by rows."""
    for name in dict.fromkeys(arm.benchmark for arm in arms):
        own = sorted((arm for arm in arms if arm.benchmark == name and arm.size), key=lambda arm: arm.size or 0)
        sizes = list(dict.fromkeys(arm.size for arm in own))
        if len(sizes) < 2 or len(sizes) < len(own):
            continue
        shares = {"accuracy": [arm.accuracy for arm in own]}
        for baseline in dict.fromkeys(baseline for arm in own for baseline in arm.baselines):
            shares[baseline] = [clustered_interval(arm.baselines.get(baseline, {})) for arm in own]
        for score in dict.fromkeys(score for arm in own for score in arm.scores if score != RATING):
            shares[score.replace("_", " ")] = [clustered_interval(arm.scores.get(score, {})) for arm in own]
        series = [{"name": label, "points": points_} for label, points_ in shares.items()]
        trainings = [[_mean([v[i] for v in arm.values.values()]) for i in range(arm.trainings)] for arm in own]
        yield {"name": visible(name), "sizes": sizes, "series": series, "trainings": trainings}


def _as_text(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(headings))]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
