"""The table of a run's baselines beside its iterations, and the same for each benchmark of the page.

    baseline_table(rows, baselines)[1]     # ("tfidf", "validation", "61.0%", "[51.0, 70.2]", "+8.0 [-1.5, +17.4]", ...)

Not here: the numbers (reporting.rows), what a baseline answers (each task).
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rest_react.reporting.number_formats import number, percent, points, span
from rest_react.reporting.results_json import ComparedBaseline, ResultRow
from rest_react.text_safety import visible

if TYPE_CHECKING:
    from rich.table import Table

HEADINGS = (
    "Model", "Benchmark", "Accuracy", "95% interval", "Last minus it", "Failed", "s/answer", "USD/answer",
    "Answers",
)  # fmt: skip


def baseline_table(rows: Sequence[ResultRow], baselines: Sequence[ComparedBaseline]) -> list[tuple[str, ...]]:
    """A line for each baseline and iteration, by benchmark; the first line has the headings."""
    names = dict.fromkeys(row.benchmark for row in (*rows, *(baseline.row for baseline in baselines)))
    lines: list[tuple[str, ...]] = [HEADINGS]
    for name in names:
        lines += [_line(b.name, b.row, _difference(b)) for b in baselines if b.row.benchmark == name]
        lines += [_line(f"iteration {row.iteration}", row, "") for row in rows if row.benchmark == name]
    return lines


def baseline_tables(
    rows: Sequence[ResultRow], baselines: Sequence[ComparedBaseline]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The table of each benchmark that has baselines, with its name."""
    for name in dict.fromkeys(baseline.row.benchmark for baseline in baselines):
        own, beside = ([b for b in baselines if b.row.benchmark == name], [r for r in rows if r.benchmark == name])
        headings, *lines = baseline_table(beside, own)
        yield name, {"name": "Baselines", "headings": list(headings), "rows": [list(line) for line in lines]}


def terminal_table(rows: Sequence[ResultRow], baselines: Sequence[ComparedBaseline]) -> "Table":
    """The table for the terminal, without the columns that the report has beside these."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title="Baselines", title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=0, pad_edge=False
    )
    headings, *lines = baseline_table(rows, baselines)
    kept = [i for i, heading in enumerate(headings) if heading not in ("Failed", "Answers")]
    for place in kept:
        table.add_column(headings[place], justify="left" if place < 2 else "right", no_wrap=place != 1)
    for line in lines:
        table.add_row(*(Text(line[place]) for place in kept))
    return table


def _difference(baseline: ComparedBaseline) -> str:
    change = baseline.last_minus_it
    return "" if change is None else f"{points(change.mean)} {span(change, '+')}"


def _line(name: str, row: ResultRow, difference: str) -> tuple[str, ...]:
    answers = row.questions * row.repeats
    cost = "" if row.cost_usd is None else f"{row.cost_usd / answers:.6f}"
    return (
        visible(name), visible(row.benchmark), percent(row.accuracy.mean), span(row.accuracy), difference,
        str(row.failed), number(row.seconds / answers, 3), cost, f"{row.questions} × {row.repeats}",
    )  # fmt: skip
