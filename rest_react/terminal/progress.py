"""Shows progress with a rate and the remaining time.

    with progress("grow, iteration 1", total=40, done=12) as advance:
        advance()

On a terminal it is a bar. Elsewhere it is a line at most every 15 seconds, so that logs stay short.
Not here: other messages (console).
"""

import atexit
import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from rest_react.terminal.console import console

Advance = Callable[..., None]


@contextmanager
def progress(title: str, total: int, done: int = 0) -> Iterator[Advance]:
    """Progress over `total` items, `done` of which were finished earlier. `advance(n=1, note="")` counts n more."""
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
        yield _lines(title, total, done)


def _lines(title: str, total: int, done: int) -> Advance:
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
    """A callback `(step, total, loss)` for training. The bar opens at the first call, since the number of steps is
    unknown before; a resumed training starts at a later step."""
    bar = contextlib.ExitStack()
    atexit.register(bar.close)  # a failed training would leave the bar open and the cursor hidden
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
