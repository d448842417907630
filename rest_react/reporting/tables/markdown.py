"""Writes report.md: the tables of the page as Markdown.

    markdown_table(["Iteration", "Accuracy"], [["0", "41.0%"]])

Model output and names are escaped (text_safety.escaping).
Not here: the content of the tables (results_table, breakdowns, stage_tables).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rest_react.text_safety.escaping import plain


def report_markdown(view: Mapping[str, Any]) -> str:
    """The text of report.md; `view` has the values of the page (report.write_report)."""
    parts = [f"# {plain(view['title'])}", *(f"> {plain(note)}" for note in view["notes"])]
    parts += [plain(benchmark["headline"]) for benchmark in view["benchmarks"]]
    parts += ["## Results", markdown_table(view["first_headings"], view["first_table"])]
    parts.append(
        "Shares are in percent, differences (vs start) in percentage points; answers are questions × repeats. "
        "Intervals are 95%, over questions: they do not cover what another training run would change. Unscored answers "
        "are excluded; failed answers count as incorrect. EM and F1 compare the whole answer with a gold answer, so "
        "they are low for answers in sentences. docs/metrics.md of the project defines each number."
    )
    parts += ["## Results, all columns", markdown_table(view["headings"], view["table"])]
    for table in view["tables"]:
        parts += [f"## {plain(table['name'])}", *([plain(table["note"])] if table["note"] else [])]
        parts.append(markdown_table(table["headings"], table["rows"]))
    for benchmark in view["benchmarks"]:
        for table in benchmark["tables"]:
            parts += [f"## {plain(benchmark['name'])}: {table['name'].lower()}"]
            parts += [markdown_table(table["headings"], table["rows"])]
    for stage in view["stages"]:
        parts += [f"## {stage['name']}", markdown_table(stage["headings"], stage["rows"])]
    parts.append("The settings and the versions of the packages are in settings.yaml, all numbers in results.json.")
    return "\n\n".join(parts) + "\n"


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with escaped cells."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(plain(cell) for cell in line) + " |" for line in lines)
