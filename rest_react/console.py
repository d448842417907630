"""The terminal: plain lines on standard error, without secrets and without what could move the cursor.

    say("report: outputs/default/report.html")

Not here: progress bars (progress), results (report) and tracking.
"""

from rich.console import Console

from rest_react.redaction import redact
from rest_react.text_safety import printable

console = Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Plain text without secrets: markup in it is text, and an error message may quote anything."""
    console.print(printable(redact(text)), markup=False)
