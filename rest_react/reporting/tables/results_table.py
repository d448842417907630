"""The table of results: one line for each row of results.json, with the main columns or with all columns.

    console.print(results_table(compute_rows(Path("outputs/default"))))        # the terminal
    [heading for heading, _ in first_view(rows)]        # ["Iteration", "Benchmark", "Accuracy", "95% interval", ...]

The terminal, the page, report.md and the cards show these columns.
Not here: number formats (metrics.number_formats), tables by question type and error (breakdowns).
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from rest_react.metrics.number_formats import RESUMED, change, number, percent, span
from rest_react.reporting.results.results_json import ResultRow, RuleDisagreement
from rest_react.terminal.console import empty_table
from rest_react.text_safety.escaping import visible

if TYPE_CHECKING:
    from rich.table import Table

_FIRST_VIEW = 9


COLUMNS: tuple[tuple[str, Callable[[ResultRow], str]], ...] = (
    ("Iteration", lambda row: str(row.iteration)),
    ("Benchmark", lambda row: visible(row.benchmark)),
    ("Accuracy", lambda row: percent(row.accuracy.mean)),
    ("95% interval", lambda row: span(row.accuracy)),
    ("vs start", lambda row: change(row.vs_start)),
    ("Before checks", lambda row: percent(row.before_checks.mean)),
    ("F1", lambda row: percent(row.f1)),
    ("Searches", lambda row: number(row.searches, 1)),
    ("Answers", lambda row: f"{row.questions} × {row.repeats}"),
    ("vs previous", lambda row: change(row.vs_previous)),
    ("EM", lambda row: percent(row.em)),
    ("Contained", lambda row: percent(row.contained)),
    ("Std over repeats", lambda row: percent(row.accuracy.std)),
    ("Before checks, 95% interval", lambda row: span(row.before_checks)),
    ("Effect of checks", lambda row: change(row.checks)),
    ("Unscored", lambda row: str(row.unscored)),
    ("Failed", lambda row: str(row.failed)),
    ("LLM calls", lambda row: number(row.calls, 1)),
    ("Tokens", lambda row: number(row.tokens, 0)),
    ("Minutes", lambda row: RESUMED if row.seconds is None else number(row.seconds / 60, 1)),
    ("Cost, USD", lambda row: visible(row.cost_reason or "") if row.cost_usd is None else f"{row.cost_usd:.2f}"),
    ("Grader", lambda row: visible(row.grader)),
    ("Rule grader differs", lambda row: _differs(row.rule_disagreement)),
)


HEADINGS = tuple(heading for heading, _ in COLUMNS)


def first_view(rows: Sequence[ResultRow]) -> list[tuple[str, Callable[[ResultRow], str]]]:
    """The main columns, without those that are empty or 0 in every row, and without that before the self-checks where
    there are none. Iteration and accuracy always stay."""
    columns = [one for one in COLUMNS[:_FIRST_VIEW] if one[0] != "Before checks" or searched(rows)]
    nothing = {"", percent(0.0), number(0.0, 1)}
    return [
        (heading, cell)
        for heading, cell in columns
        if heading in ("Iteration", "Accuracy") or not {cell(row) for row in rows} <= nothing
    ]


def searched(rows: Sequence[ResultRow]) -> bool:
    """Whether the answers come from searches and self-checks, as far as the rows tell: no other task has either."""
    return any(row.searches is None or row.searches or row.checks.fixed or row.checks.broken for row in rows)


def results_table(rows: Sequence[ResultRow]) -> "Table":
    """The main columns as a table for the terminal."""
    from rich.text import Text

    table = empty_table("Results")
    columns = first_view(rows)
    for heading, _ in columns:
        longest_word = max(map(len, heading.split()))
        justify: Literal["left", "right"] = "left" if heading == "Benchmark" else "right"
        table.add_column(heading, justify=justify, min_width=longest_word)
    for row in rows:
        table.add_row(*(Text(cell(row)) for _, cell in columns))
    return table


def _differs(share: RuleDisagreement | None) -> str:
    return "" if share is None else f"{percent(share.mean)} {span(share)} of {share.answers}"
