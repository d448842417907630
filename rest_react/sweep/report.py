"""The report of a sweep: its runs by settings, with the mean over seeds, its spread, and differences to the baselines.

    report = write_sweep_report(jobs, folder)          # writes sweep.md and sweep.html there
    print(report.text)

    Settings                     Benchmark   Trainings  Accuracy  95% interval  Std  Minus tfidf
    demonstrations.questions.n=100 validation 5         71.2%     [63.0, 78.9]  2.1  +4.2 [-2.8, +11.2]

Runs that differ only in `seed`, `learning_seed`, or the names of runs are one line. Values are those of each run's last
iteration; where that is not the first one, `Start` is the first evaluation (of a label-free loop on classification:
of the supervised start), and the difference to it is paired by item and training. Intervals are over items and
trainings; of a single training over items alone. A difference to a baseline is paired by item, and by training where
the baseline varies with it. A training whose loss stays up is named, and so are runs on data that changed.
Not here: reading the runs (arms), the tables (reporting.tables.sweep_tables), the outcomes of the jobs (jobs), the
numbers of one run (reporting.results.rows).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rest_react.metrics.trainings import mean_scored
from rest_react.reporting.page import fill
from rest_react.reporting.results.results_json import RESULTS_JSON
from rest_react.reporting.results.rows import RATING
from rest_react.reporting.tables.markdown import markdown_table
from rest_react.reporting.tables.over_trainings import SEEDS
from rest_react.reporting.tables.stage_tables import choice_notes, convergence_notes
from rest_react.reporting.tables.sweep_arm import Arm
from rest_react.reporting.tables.sweep_tables import Table, costs_table, latency_table, sweep_table
from rest_react.storage.files import write_file
from rest_react.sweep.arms import read_arms
from rest_react.sweep.data_notes import data_notes
from rest_react.text_safety.escaping import visible

_SEEDS = (*SEEDS, "run")  # what differs between the trainings of one arm
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
    runs = [(settings, run) for settings, run in runs if (run / RESULTS_JSON).exists()]
    asked = {Path(job["folder"]): job.get("iteration") for job in done}
    if len(runs) < 2:
        return ""
    shared = set.intersection(*(set(settings) for settings, _ in runs))
    by_settings: dict[tuple[str, ...], list[Path]] = {}
    for settings, run in runs:
        by_settings.setdefault(tuple(one for one in settings if one not in shared), []).append(run)
    arms = [arm for settings, own in by_settings.items() for arm in read_arms(settings, own, asked)]
    if not arms:
        return ""
    notes = [f"{run.name}, {note}" for _, run in runs for note in (*choice_notes(run), *convergence_notes(run))]
    notes = [*data_notes([run for _, run in runs]), *notes]
    tables = {name: table for name, make in _TABLES.items() if (table := make(arms))[1]}
    blocks = [block for name, table in tables.items() for block in (f"## {name}", markdown_table(*table))]
    write_file(folder / "sweep.md", "\n\n".join(["# Sweep", *blocks, *notes]) + "\n")
    view = {"tables": tables, "notes": [visible(note) for note in notes], "charts": list(_charts(arms))}
    write_file(folder / "sweep.html", fill("sweep.html.j2", title="Sweep", view=view))
    shown = [_as_text(*table) for name, table in tables.items() if name != _LATENCY]
    return "\n".join(["\n\n".join(shown), *(f"note: {note}" for note in notes), f"sweep: {folder / 'sweep.html'}"])


def _settings(job: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(one for one in job["overrides"] if one.partition("=")[0].lstrip("+") not in _SEEDS)


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
            shares[baseline] = [arm.baseline(baseline) for arm in own]
        for score in dict.fromkeys(score for arm in own for score in arm.scores if score != RATING):
            shares[score.replace("_", " ")] = [arm.score(score) for arm in own]
        series = [{"name": label, "points": points_} for label, points_ in shares.items()]
        trainings = [[mean_scored([v[i] for v in arm.values.values()]) for i in range(arm.trainings)] for arm in own]
        yield {"name": visible(name), "sizes": sizes, "series": series, "trainings": trainings}


def _as_text(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(headings))]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
