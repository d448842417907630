"""The table of a run's baselines beside its iterations, and the same for each benchmark of the page.

    baseline_table(rows, baselines)[1]     # ("tfidf", "validation", "61.0%", "[51.0, 70.2]", "+8.0 [-1.5, +17.4]", ...)

Not here: the numbers (reporting.results.rows), what a baseline answers (each task).
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rest_react.metrics.number_formats import RESUMED, change, number, percent, span
from rest_react.reporting.results.results_json import BreakEven, ComparedBaseline, ResultRow
from rest_react.terminal.console import empty_table
from rest_react.text_safety.escaping import visible

if TYPE_CHECKING:
    from rich.table import Table

HEADINGS = (
    "Model", "Benchmark", "Accuracy", "95% interval", "Last minus it", "Failed", "s/answer", "USD/answer",
    "Answers", "Tuning pays after, USD", "Tuning pays after, time",
)  # fmt: skip
_ON_TERMINAL = ("Model", "Accuracy", "95% interval", "Last minus it", "s/answer", "USD/answer")


def baseline_table(rows: Sequence[ResultRow], baselines: Sequence[ComparedBaseline]) -> list[tuple[str, ...]]:
    """A line for each baseline and iteration of one benchmark; the first line has the headings."""
    lines = [_line(one.name, one.row, change(one.last_minus_it), pays_after(one.break_even)) for one in baselines]
    return [HEADINGS, *lines, *(_line(f"iteration {row.iteration}", row, "") for row in rows)]


def _by_benchmark(
    rows: Sequence[ResultRow], baselines: Sequence[ComparedBaseline]
) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    """The lines of each benchmark that has baselines, with its name."""
    for name in dict.fromkeys(baseline.row.benchmark for baseline in baselines):
        own, beside = ([b for b in baselines if b.row.benchmark == name], [r for r in rows if r.benchmark == name])
        yield name, baseline_table(beside, own)


def baseline_tables(
    rows: Sequence[ResultRow], baselines: Sequence[ComparedBaseline]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The table of each benchmark that has baselines, with its name."""
    for name, (headings, *lines) in _by_benchmark(rows, baselines):
        yield name, {"name": "Baselines", "headings": list(headings), "rows": [list(line) for line in lines]}


def terminal_tables(rows: Sequence[ResultRow], baselines: Sequence[ComparedBaseline]) -> "Iterator[Table]":
    """A table for each benchmark that has baselines, for the terminal: without the columns that the report has beside
    these."""
    from rich.text import Text

    kept = [i for i, heading in enumerate(HEADINGS) if heading in _ON_TERMINAL]
    for name, (_, *lines) in _by_benchmark(rows, baselines):
        table = empty_table("")
        table.title = Text(f"Baselines: {visible(name)}", table.title_style or "")
        for place in kept:
            table.add_column(HEADINGS[place], justify="right" if place else "left", no_wrap=True)
        for line in lines:
            table.add_row(*(Text(line[place]) for place in kept))
        yield table


def pays_after(found: BreakEven | None) -> tuple[str, str]:
    """After how many answers fine-tuning has paid for itself, by money and by time; empty if a cost is unknown, and of
    money if there is none to pay."""
    if found is None:
        return "", ""
    free = not found.training_usd and not found.saved_usd
    return (
        "" if free else _number_of_answers(found.answers_usd, found.training_usd, found.saved_usd),
        _number_of_answers(found.answers_seconds, found.training_seconds, found.saved_seconds),
    )


def _number_of_answers(answers: int | None, training: float | None, saved: float | None) -> str:
    if training is None or saved is None:
        return ""
    return "never" if answers is None else f"{answers:,} answers"


def _line(name: str, row: ResultRow, difference: str, pays: tuple[str, str] = ("", "")) -> tuple[str, ...]:
    cost = "" if row.usd_per_answer is None else f"{row.usd_per_answer:.6f}"
    seconds = RESUMED if row.seconds_per_answer is None else number(row.seconds_per_answer, 3)
    return (
        visible(name), visible(row.benchmark), percent(row.accuracy.mean), span(row.accuracy), difference,
        str(row.failed), seconds, cost, f"{row.questions} × {row.repeats}", *pays,
    )  # fmt: skip
