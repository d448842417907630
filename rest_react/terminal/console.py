"""Prints plain lines on standard error, without secrets and without control characters.

    say("report: outputs/default/report.html")

Not here: progress bars (progress), results (reporting).
"""

from typing import TYPE_CHECKING

from rich.console import Console

from rest_react.text_safety.escaping import printable
from rest_react.text_safety.redaction import redact

if TYPE_CHECKING:
    from rich.table import Table

console = Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Prints any `text`: secrets are redacted, control characters are escaped, and markup is shown as it is."""
    console.print(printable(redact(text)), markup=False)


def empty_table(title: str) -> "Table":
    """A table for results, without columns and rows yet: narrow, so that many columns fit."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    return Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=0, pad_edge=False)
