"""Meeting schedule: the earliest time at which two people are both free for long enough.

    "Ada is free at 9:00-10:30 and 12:00-13:00. Bo is free at 9:30-11:00. ... When can they meet first for 60 minutes?"

The answer is a span of the asked length, or `none`.
Not here: the checker's comparison (problem).
"""

import re
from collections.abc import Sequence
from random import Random

from rest_react.tasks.tool_maker.families.problem import Family, Problem, literal

FUNCTION = '''\
def first_meeting(one, other, minutes):
    """The earliest span of so many minutes inside a span of both lists, like "9:30-10:00"; "none" if there is none.
    A span is a pair of times, like ["9:00", "10:30"]."""

    def clock(text):
        hours, rest = text.split(":")
        return 60 * int(hours) + int(rest)

    starts = []
    for a, b in one:
        for c, d in other:
            start = max(clock(a), clock(c))
            if start + minutes <= min(clock(b), clock(d)):
                starts.append(start)
    if not starts:
        return "none"
    start, end = min(starts), min(starts) + minutes
    return f"{start // 60}:{start % 60:02}-{end // 60}:{end % 60:02}"
'''
_PEOPLE = "Ada Bo Carla Dov Elin Finn Gita Hugo Ines Jonas".split()
_LENGTHS = {30: "30 minutes", 60: "60 minutes", 90: "90 minutes"}
_FIRST, _LAST = 16, 36  # half hours since midnight: 8:00 and 18:00
_NONE = re.compile(
    r"^\W*no\W*$|\b(none|no ((such|common|free|possible|suitable) )*(time|slot|span|meeting|overlap)|not possible"
    r"|(?<!not )impossible|(cannot|can not|can['’]t|never|(un|not )able to) meet)\b",
    re.IGNORECASE,
)
_TIME = re.compile(r"(\d{1,2}):(\d\d)(?:\s*([ap])\.?m\b)?", re.IGNORECASE)


def make(rng: Random) -> Problem:
    """Two people with 5 to 12 free half hours each."""
    names = rng.sample(_PEOPLE, 2)
    free = [sorted(rng.sample(range(_FIRST, _LAST), rng.randint(5, 12))) for _ in names]
    minutes = rng.choice(list(_LENGTHS))
    both, needed = set(free[0]) & set(free[1]), minutes // 30
    start = next((half for half in sorted(both) if all(half + i in both for i in range(needed))), None)
    spans = [_spans(halves) for halves in free]
    said = " ".join(f"{name} is free at {_said(own)}." for name, own in zip(names, spans, strict=True))
    text = f"{said} When can they meet first for {_LENGTHS[minutes]}? Give the span, or none if there is no such time."
    call = f"answer = first_meeting({literal(spans[0])}, {literal(spans[1])}, {minutes})"
    return Problem(text, ("none" if start is None else f"{_clock(start)}-{_clock(start + needed)}",), call)


def _spans(halves: Sequence[int]) -> list[list[str]]:
    """Half hours, those without a gap as one span."""
    spans: list[list[int]] = []
    for half in halves:
        if spans and spans[-1][1] == half:
            spans[-1][1] = half + 1
        else:
            spans.append([half, half + 1])
    return [[_clock(start), _clock(end)] for start, end in spans]


def _said(spans: Sequence[Sequence[str]]) -> str:
    return ", ".join(f"{start}-{end}" for start, end in spans)


def _clock(half: int) -> str:
    return f"{half // 2}:{half % 2 * 30:02}"


def _key(text: str) -> str:
    """Its two times by the 24-hour clock without leading zeros; `none` for a text without times that says so."""
    times = _TIME.findall(text)
    if len(times) == 2:
        (_, _, first), (_, _, last) = times
        start, end = (_minute(hours, rest, half) for hours, rest, half in times)
        afternoon = _minute(times[0][0], times[0][1], last)
        if last and not first and afternoon < end:  # in "1:30-2:00 PM" both are in the afternoon
            start = afternoon
        return "-".join(f"{minute // 60}:{minute % 60:02}" for minute in (start, end))
    return "none" if not times and _NONE.search(text) else f"x{text}"


def _minute(hours: str, rest: str, half: str) -> int:
    """Minutes since midnight; `half` is a, p or empty."""
    hour = int(hours)
    hour = hour % 12 + 12 * (half.lower() == "p") if half else hour
    return 60 * hour + int(rest)


FAMILY = Family("meeting_schedule", make, _key, FUNCTION)
