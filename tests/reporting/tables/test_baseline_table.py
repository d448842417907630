"""The tables of baselines for the terminal."""

from io import StringIO

from rich.console import Console

from rest_react.reporting.results.results_json import ComparedBaseline
from rest_react.reporting.tables.baseline_table import terminal_tables
from tests.runs import row


def test_brackets_in_the_name_of_a_benchmark_are_shown_in_the_title() -> None:
    baseline = ComparedBaseline(name="few_shot", row=row(0, 0.5, benchmark="a[b] [/x]"), last_minus_it=None)
    console = Console(width=120, record=True, file=StringIO())
    console.print(*terminal_tables([], [baseline]))
    assert "Baselines: a[b] [/x]" in console.export_text()
