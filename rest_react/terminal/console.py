"""Prints plain lines on standard error, without secrets and without control characters.

    say("report: outputs/default/report.html")

Not here: progress bars (progress), results (reporting).
"""

from rich.console import Console

from rest_react.text_safety.escaping import printable
from rest_react.text_safety.redaction import redact

console = Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Prints any `text`: secrets are redacted, control characters are escaped, and markup is shown as it is."""
    console.print(printable(redact(text)), markup=False)
