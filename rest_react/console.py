"""What a person reads: progress with a rate and the time left, plain lines, and numbers and untrusted text in words.

    with progress("grow, iteration 1", total=40, done=12) as advance:
        advance()

On a terminal it is a bar; elsewhere a line at most every 15 seconds, so that a log stays readable. Whatever a web page
or a model wrote goes through `printable` to a terminal, `visible` to a page and `plain` to Markdown.

    >>> percent(0.4166), points(-0.05), span(Difference(mean=0.1, low=0.05, high=0.15), "+")
    ('41.7%', '-5.0', '[+5.0, +15.0]')

Not here: results (report) and tracking.
"""

import atexit
import contextlib
import html
import re
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from rest_react.remote.redaction import redact

console = Console(stderr=True, highlight=False, soft_wrap=True)
Advance = Callable[..., None]
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # Unicode's categories of what has no shape, or no known one


def say(text: str) -> None:
    """Plain text without secrets: markup in it is text, and an error message may quote anything."""
    console.print(printable(redact(text)), markup=False)


def printable(text: str) -> str:
    """Untrusted text for a terminal: what could move the cursor, recolour or reorder the line is shown as its code."""
    return "".join(c if c == "\n" or c.isprintable() else _shown(c) for c in text)


def _shown(character: str) -> str:
    if unicodedata.category(character) == "Zs":  # the many widths of a space
        return " "
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def visible(text: str, longest: int = 1500) -> str:
    """Untrusted text without characters that hide or reorder what is read, cut to what a person would read."""
    shown = _seen(text[:longest])
    return shown if len(text) <= longest else f"{shown} … ({len(text):,} characters)"


def _seen(text: str) -> str:
    return "".join("\ufffd" if unicodedata.category(c) in _UNSEEN and c not in "\n\t" else c for c in text)


def plain(text: str) -> str:
    """Untrusted text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*_|\[\]])", r"\\\1", html.escape(_seen(" ".join(text.split())), quote=False))


def percent(value: float | None) -> str:
    """A share."""
    return "n/a" if value is None else f"{100 * value:.1f}%"


def points(value: float | None) -> str:
    """A difference of shares, in percentage points."""
    return "n/a" if value is None else f"{100 * value:+.1f}"


class Interval(Protocol):
    """Whatever has two ends; both None where nothing was scored."""

    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...


def span(interval: Interval, sign: str = "") -> str:
    """An interval in percent or percentage points, without a unit to keep columns narrow."""
    low, high = interval.low, interval.high
    return "" if low is None or high is None else f"[{100 * low:{sign}.1f}, {100 * high:{sign}.1f}]"


def number(value: float | None, digits: int) -> str:
    """Any other number."""
    return "n/a" if value is None else f"{value:,.{digits}f}"


@contextmanager
def progress(title: str, total: int, done: int = 0) -> Iterator[Advance]:
    """A bar over `total` items of which `done` were finished earlier. `advance(n=1, note="")` moves it on."""
    if console.is_terminal:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
        )
        started, since = time.monotonic(), done
        with Progress(*columns, console=console) as bar:
            task = bar.add_task(title, total=total, completed=done, rate="", note="")

            def advance(n: int = 1, note: str = "") -> None:
                bar.advance(task, n)
                finished = bar.tasks[0].completed - since
                rate = f"{60 * finished / max(time.monotonic() - started, 1e-3):.1f}/min"
                bar.update(task, rate=rate, note=note)

            yield advance
    else:
        yield _plain(title, total, done)


def _plain(title: str, total: int, done: int) -> Advance:
    started = shown = time.monotonic()
    count = done

    def advance(n: int = 1, note: str = "") -> None:
        nonlocal count, shown
        count += n
        now = time.monotonic()
        if count < total and now - shown < 15:
            return
        shown = now
        rate = (count - done) / max(now - started, 1e-3)
        left = f"{(total - count) / rate / 60:.1f} min left" if rate and count < total else f"{now - started:.0f} s"
        print(f"{title}: {count}/{total}, {60 * rate:.1f}/min, {left}{'  ' + note if note else ''}", file=sys.stderr)

    return advance


def steps_progress(title: str) -> Callable[[int, int, float], None]:
    """A callback `(step, total, loss)` for training, which tells its length once it starts; resumed, it starts late."""
    bar = contextlib.ExitStack()
    atexit.register(bar.close)  # training that fails leaves its bar open, and the cursor hidden
    advance: Advance | None = None
    at = 0

    def on_step(step: int, total: int, loss: float) -> None:
        nonlocal advance, at
        if advance is None:
            at = step - 1
            advance = bar.enter_context(progress(title, total, done=at))
        advance(step - at, f"loss {loss:.3f}")
        at = step
        if step >= total:
            bar.close()

    return on_step
