"""Writes the report of a run (results.json, report.md, report.html, cards); as a command, compares runs on one page.

    results, page = write_report(Path("outputs/default"), smoke=False)     # page: outputs/default/report.html

    python -m rest_react.report 'runs=[perplexity,random]'          # outputs/compare_perplexity_random.html
    python -m rest_react.report 'runs=[a.json,b.json]'              # the same of two published results.json

All outputs show the same rows; docs/metrics.md defines each number. The report contains complete evaluations only (with
a summary.json) and has a note for each incomplete stage.
Not here: the numbers (reporting.results.rows), the tables (reporting.tables), rendering of pages (reporting.page).
"""

from rest_react.processes.command import start

if __name__ == "__main__":  # before the other imports; the reason is in processes/command.py
    start("rest_react.report")

import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rest_react.config.cli import stop
from rest_react.config.overrides import split, text
from rest_react.errors import RunFolderError, UsageError, disk_errors
from rest_react.metrics.prices import Price
from rest_react.records import Result
from rest_react.reporting.cards import write_cards
from rest_react.reporting.compare import compare
from rest_react.reporting.compared_run import read_run
from rest_react.reporting.failure_notes import failure_notes
from rest_react.reporting.headline import headlines
from rest_react.reporting.packing import pack
from rest_react.reporting.page import fill, write_page
from rest_react.reporting.results.results_json import RESULTS_JSON, ResultRow, Results
from rest_react.reporting.results.rows import compute_baselines, compute_rows
from rest_react.reporting.tables.baseline_table import baseline_tables, terminal_tables
from rest_react.reporting.tables.breakdowns import benchmark_views
from rest_react.reporting.tables.markdown import report_markdown
from rest_react.reporting.tables.results_table import COLUMNS, HEADINGS, first_view, results_table
from rest_react.reporting.tables.run_tables import run_tables
from rest_react.reporting.tables.stage_tables import (
    STAGES,
    choice_notes,
    convergence_notes,
    incomplete_stages,
    selection_notes,
    stage_table,
)
from rest_react.stages.evaluate import RESULTS
from rest_react.storage.files import write_file, write_json
from rest_react.storage.jsonl import read_lines
from rest_react.storage.run_folder import SCHEMA, iterations
from rest_react.storage.settings_file import read_environments, read_settings
from rest_react.tasks.protocol import Task
from rest_react.tasks.task_of_run_folder import task_of_run_folder, task_searches
from rest_react.terminal.console import console, say
from rest_react.text_safety.escaping import visible
from rest_react.training.process.loss_curve import loss_curve

_NOTES = (incomplete_stages, choice_notes, selection_notes, convergence_notes)
_LONGEST_NAME = 180  # bytes of the names of the compared runs in the name of a page; a file name has at most 255
_USAGE = """\
usage: python -m rest_react.report 'runs=[a,b,c]' [output=outputs] [page=comparison.html]

Writes a page that compares each run with the first. A run is the name of a folder in `output`, or the path of a run
folder or of a results.json. The report of one run is report.html in its folder; the command of the run writes it."""


def write_report(run_folder: Path, *, smoke: bool, prices: Mapping[str, Price] | None = None) -> tuple[Results, Path]:
    """Writes results.json, report.md, report.html and the cards into the run's folder. Returns the results and the path
    of report.html. `prices` are for the tables of the task's models."""
    settings = read_settings(run_folder)
    task = task_of_run_folder(settings)
    rows = compute_rows(run_folder, task.scores)
    baselines = compute_baselines(run_folder, rows, task.scores)
    results = Results(
        schema=SCHEMA,
        run=run_folder.name,
        rows=tuple(rows),
        settings=settings,
        baselines=tuple(baselines),
        environments=tuple(read_environments(run_folder)),
    )
    write_json(run_folder / RESULTS_JSON, results)
    view = {
        "title": f"{'Smoke run' if smoke else 'Run'} {visible(run_folder.name)}",
        "smoke": smoke,
        "notes": [note for notes in _NOTES for note in notes(run_folder)],
        "first_headings": [heading for heading, _ in first_view(rows)],
        "first_table": [[cell(row) for _, cell in first_view(rows)] for row in rows],
        "headings": HEADINGS,
        "table": [[cell(row) for _, cell in COLUMNS] for row in rows],
        "benchmarks": benchmark_views(
            rows, [*baseline_tables(rows, baselines), *_task_tables(run_folder, task, rows)], baselines
        ),
        "tables": run_tables(run_folder, task, prices or {}),
        "stages": [table for stage in STAGES if (table := stage_table(run_folder, stage))],
    }
    write_file(run_folder / "report.md", report_markdown(view))
    page = run_folder / "report.html"
    _write_page(page, view, run_folder, task)
    write_cards(run_folder, rows, smoke=smoke, searches=task_searches(settings))
    return results, page


def show_results(run_folder: Path, *, smoke: bool, prices: Mapping[str, Price] | None = None) -> None:
    """Writes the report and prints the table, a sentence for each benchmark, and notes on failures."""
    results, page = write_report(run_folder, smoke=smoke, prices=prices)
    if smoke:
        say("This is a smoke run: a scripted policy answers, so the numbers have no meaning.")
    console.print(results_table(results.rows))
    for table in terminal_tables(results.rows, results.baselines):
        console.print(table)
    notes = [*choice_notes(run_folder), *(() if smoke else convergence_notes(run_folder))]  # a smoke run cannot learn
    for line in (*headlines(results.rows), *failure_notes(results.rows), *(f"note: {note}" for note in notes)):
        say(line)
    say(f"report: {page}")


def _task_tables(run_folder: Path, task: Task, rows: Sequence[ResultRow]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The task's own tables of the last iteration's answers, each with its benchmark."""
    for row in {row.benchmark: row for row in rows}.values():
        answers = read_lines(run_folder / f"iter_{row.iteration}" / "evaluate" / row.benchmark / RESULTS, Result)
        for table in task.tables(answers):
            name = f"{table.name} (iteration {row.iteration})"
            cells = [[visible(cell, 200) for cell in line] for line in table.rows]
            headings = [visible(heading, 200) for heading in table.headings]
            yield row.benchmark, {"name": name, "headings": headings, "rows": cells}


def _write_page(page: Path, view: Mapping[str, Any], run_folder: Path, task: Task) -> None:
    settings, packed = run_folder / "settings.yaml", pack(run_folder, task)
    curves = ((k, loss_curve(run_folder / f"iter_{k}" / "finetune")) for k in iterations(run_folder))
    write_page(
        page,
        "report.html.j2",
        scripts=("browser.js", "conversation.js") if packed.trajectories else (),
        **view,
        curves=[{"iteration": k, "points": points} for k, points in curves if points],
        packed=packed,
        settings=visible(settings.read_text(encoding="utf-8"), 50_000) if settings.exists() else "",
    )


def write_comparison(sources: Sequence[Path], page: Path) -> list[str]:
    """Writes the page that compares runs, each a run folder or a results.json; returns its notes. Raises RunFolderError
    if one is neither, or is damaged, or if no run has a complete evaluation."""
    names = [_name(source) for source in sources]
    alike = len(set(names)) < len(names)
    runs = [read_run(source, str(source) if alike else _name(source)) for source in sources]
    if not any(run.rows for run in runs):
        raise RunFolderError(f"{', '.join(names)}: no evaluation is complete yet; finish a run")
    view = compare(runs)
    for benchmark in view["benchmarks"]:
        rows = [(own["name"], row) for own in benchmark["series"] for row in own["rows"]]
        benchmark["table"] = [[name, *(cell(row) for _, cell in COLUMNS)] for name, row in rows]
    title = f"Runs {', '.join(view['names'])}"
    headings = ["Run", *HEADINGS]
    write_file(page, fill("compare.html.j2", title=title, headings=headings, view=view))
    notes: list[str] = view["notes"]
    return notes


def _name(source: Path) -> str:
    return source.stem if source.is_file() else source.name


def _asked(words: Sequence[str]) -> tuple[list[Path], Path]:
    """The runs and the page that the words of a command name. Raises UsageError."""
    given = {key: value for key, _, value in (word.partition("=") for word in words)}
    if unknown := [word for word in words if word.partition("=")[0] not in ("runs", "output", "page")]:
        raise UsageError(f"{unknown[0]}: unknown argument\n{_USAGE}")
    listed = given.get("runs", "").strip()
    if listed.startswith("[") != listed.endswith("]"):
        raise UsageError(f"runs: {listed} has one bracket; write 'runs=[a,b]', in quotes\n{_USAGE}")
    names = split(listed[1:-1] if listed.startswith("[") and listed.endswith("]") else listed)
    runs = [text(name) for name in names]
    if not all(runs) or not runs:
        raise UsageError(f"runs: no run is named; give one, or several in brackets, 'runs=[a,b]'\n{_USAGE}")
    output = Path(text(given.get("output", "outputs")))
    named = [(output / name, Path(name)) for name in runs]
    sources = [path if path.exists() and not own.exists() else own for own, path in named]
    if lacking := [str(source) for source in sources if not source.exists()]:
        raise UsageError(f"{', '.join(lacking)}: no such run; give the name of a folder in output={output}, or a path")
    page = Path(text(given.get("page", "")) or output / f"compare_{_together(sources)}.html")
    if not page.parent.is_dir():
        raise UsageError(f"{page}: its folder does not exist; give page=<a file in an existing folder>")
    return sources, page


def _together(sources: Sequence[Path]) -> str:
    """The names of the runs for the name of a file; of many runs the first, their number and a digest."""
    names = "_".join(map(_name, sources))
    if len(names.encode()) <= _LONGEST_NAME:
        return names
    first = _name(sources[0]).encode()[:100].decode(errors="ignore")
    return f"{first}_and_{len(sources) - 1}_more_{hashlib.sha256(names.encode()).hexdigest()[:8]}"


def main() -> None:
    """The command line. `output` is the folder of the runs, `page` the file to write."""
    try:
        if sys.argv[1:2] in (["-h"], ["--help"]):
            print(_USAGE)
            return
        sources, page = _asked(sys.argv[1:])
        with disk_errors():
            notes = write_comparison(sources, page)
    except UsageError as error:
        stop(error)
    for note in notes:
        say(f"note: {note}")
    if len(sources) == 1 and sources[0].is_dir():
        say(f"note: one run is compared with nothing; its own report is {sources[0] / 'report.html'}")
    say(f"comparison: {page}")
