"""The report of a sweep: its runs by settings, with the mean over seeds, its spread, and differences to the baselines.

    report = write_sweep_report(jobs, folder)          # writes sweep.md and sweep.html there
    print(report.text)

    Settings                     Benchmark   Trainings  Accuracy  95% interval  Std  Minus tfidf
    demonstrations.questions.n=100 validation 5         71.2%     [63.0, 78.9]  2.1  +4.2 [-2.8, +11.2]

Runs that differ only in seeds (reporting.origin) and in their names are one line. Values are those of each run's last
iteration; where that is not the first one, `Start` is the first evaluation (of a label-free loop on classification:
of the supervised start), and the difference to it is paired by item and training. Intervals are over items and
trainings; of a single training over items alone. A difference to a baseline is paired by item, and by training where
the baseline varies with it. A training whose loss stays up is named, and so are runs on data that changed; the two
files name the jobs without results.
Not here: reading the runs (arms), the tables (reporting.tables.sweep_tables), the outcomes of the jobs (jobs,
job_outcome), the numbers of one run (reporting.results.rows).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rest_react.metrics.trainings import mean_scored
from rest_react.reporting.data_notes import data_notes
from rest_react.reporting.origin import SEEDS, Origin, read_origin, treatment, unread_notes
from rest_react.reporting.page import fill
from rest_react.reporting.results.results_json import RESULTS_JSON
from rest_react.reporting.results.rows import RATING
from rest_react.reporting.tables.markdown import markdown_table
from rest_react.reporting.tables.stage_tables import choice_notes, convergence_notes
from rest_react.reporting.tables.sweep_arm import Arm
from rest_react.reporting.tables.sweep_tables import Table, costs_table, latency_table, sweep_table
from rest_react.storage.files import write_file
from rest_react.storage.settings_file import read_environments
from rest_react.sweep.arms import read_arms
from rest_react.sweep.job_outcome import outcome, own_settings
from rest_react.text_safety.escaping import plain, visible

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
    done = [job for job in jobs if _has_results(job)]
    if len(done) < 2:
        return ""
    runs = list(dict.fromkeys(Path(job["folder"]) for job in done))
    origins = {run: read_origin(run) for run in runs}
    lines = _lines(done, origins)
    arms = [arm for settings, asked in lines.items() for arm in read_arms(settings, list(asked), asked)]
    if not arms:
        return ""
    notes = [f"{run.name}, {note}" for run in runs for note in (*choice_notes(run), *convergence_notes(run))]
    unread = unread_notes([[(run.name, origins[run]) for run in line] for line in lines.values()])
    changed = data_notes((run.name, origins[run].settings, read_environments(run)) for run in runs)
    notes = [*changed, *unread, *notes]
    tables = {name: table for name, make in _TABLES.items() if (table := make(arms))[1]}
    blocks = [block for name, table in tables.items() for block in (f"## {name}", markdown_table(*table))]
    on_page = [*_missing(jobs), *notes]
    write_file(folder / "sweep.md", "\n\n".join(["# Sweep", *blocks, *map(plain, on_page)]) + "\n")
    view = {"tables": tables, "notes": [visible(note) for note in on_page], "charts": list(_charts(arms))}
    write_file(folder / "sweep.html", fill("sweep.html.j2", title="Sweep", view=view))
    shown = [_as_text(*table) for name, table in tables.items() if name != _LATENCY]
    return "\n".join(["\n\n".join(shown), *(f"note: {note}" for note in notes), f"sweep: {folder / 'sweep.html'}"])


def _has_results(job: Mapping[str, Any]) -> bool:
    return job["status"] == 0 and bool(job["folder"]) and (Path(job["folder"]) / RESULTS_JSON).exists()


def _missing(jobs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A note on the jobs without results. On the terminal their table stands above."""
    told = [
        ", ".join(filter(None, (own, outcome(job["status"]) if job["status"] else "no results")))
        for job, own in zip(jobs, own_settings(jobs), strict=True)
        if not _has_results(job)
    ]
    if told:
        yield f"{len(told)} of {len(jobs)} jobs {'is' if len(told) == 1 else 'are'} not here: {'; '.join(told)}"


def _lines(
    jobs: Sequence[Mapping[str, Any]], origins: Mapping[Path, Origin]
) -> dict[tuple[str, ...], dict[Path, int | None]]:
    """The runs of each line, and the iteration that each was asked for, by the settings that differ between lines.
    Runs of the same settings that reuse runs of different ones are lines of their own, which name these."""
    settings = [_settings(job) for job in jobs]
    shared = set.intersection(*map(set, settings))
    found: dict[tuple[str, ...], dict[object, dict[Path, int | None]]] = {}
    for job, given in zip(jobs, settings, strict=True):
        run, differing = Path(job["folder"]), tuple(one for one in given if one not in shared)
        found.setdefault(differing, {}).setdefault(treatment(origins[run]), {})[run] = job.get("iteration")
    lines = {}
    for differing, by_reused in found.items():
        for runs in by_reused.values():
            reused = dict.fromkeys(str(origins[run].settings.get("grow.reuse")) for run in runs)
            named = (f"grow.reuse={','.join(reused)}",) if len(by_reused) > 1 else ()
            lines[differing + named] = runs
    return lines


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
        trainings = [[mean_scored([v for given in one.values() for v in given]) for one in arm.values] for arm in own]
        yield {"name": visible(name), "sizes": sizes, "series": series, "trainings": trainings}


def _as_text(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(headings))]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
