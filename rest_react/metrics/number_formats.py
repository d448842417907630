"""Formats numbers for tables, pages and sentences.

    >>> percent(0.4166), points(-0.05), change(Share(mean=0.1, std=None, low=0.05, high=0.15, n=40, repeats=1))
    ('41.7%', '-5.0', '+10.0 [+5.0, +15.0]')

Not here: the numbers (metrics.intervals, reporting.results.results_json).
"""

from typing import Protocol

RESUMED = "resumed"  # in place of a time: of the processes that did the work only the last one's is known


def percent(value: float | None) -> str:
    """A share as percent."""
    return "n/a" if value is None else f"{100 * value:.1f}%"


def points(value: float | None) -> str:
    """A difference of shares, in percentage points."""
    return "n/a" if value is None else f"{100 * value:+.1f}"


class Interval(Protocol):
    """Anything with two ends; both are None if nothing was scored."""

    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...


def span(interval: Interval, sign: str = "") -> str:
    """An interval in percent or percentage points, without the unit, which keeps columns narrow."""
    low, high = interval.low, interval.high
    return "" if low is None or high is None else f"[{100 * low:{sign}.1f}, {100 * high:{sign}.1f}]"


class Difference(Interval, Protocol):
    """A difference of shares with its interval; None if nothing was scored in both."""

    @property
    def mean(self) -> float | None: ...


def change(difference: Difference | None) -> str:
    """A difference in percentage points with its interval; empty if there is none."""
    return "" if difference is None else f"{points(difference.mean)} {span(difference, '+')}".strip()


def number(value: float | None, digits: int) -> str:
    """Any other number."""
    return "n/a" if value is None else f"{value:,.{digits}f}"
