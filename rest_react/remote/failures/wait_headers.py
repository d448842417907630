"""Reads the wait that a server's reply requests: `Retry-After` and the providers' rate-limit headers.

    >>> requested_wait_s({"retry-after": "7"})
    7.0
    >>> requested_wait_s({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1m30s"})
    90.0

A moment is read by the server's own clock (its `Date`), since that of this machine may be wrong.
Not here: waiting (retry, limiter).
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def requested_wait_s(headers: Mapping[str, str]) -> float | None:
    """The requested wait in seconds; None if there is none. Header names must be in lower case, unless the mapping
    ignores case. A gateway (LiteLLM) passes on its provider's headers with the prefix `llm_provider-`. Some providers
    only tell when the exhausted limit (0 remaining) is reset."""
    now = _moment(headers.get("date")) or datetime.now(UTC)
    for prefix in ("", "llm_provider-"):
        milliseconds = _number(headers.get(f"{prefix}retry-after-ms"))
        if milliseconds is not None:
            return milliseconds / 1000
        wait = retry_after_s(headers.get(f"{prefix}retry-after"), now)
        if wait is not None:
            return wait
    for prefix in ("", "llm_provider-"):
        for kind in ("-requests", "-tokens", ""):
            if _number(headers.get(f"{prefix}x-ratelimit-remaining{kind}")) == 0:
                wait = _reset_s(headers.get(f"{prefix}x-ratelimit-reset{kind}"), now)
                if wait is not None:
                    return wait
    return None


_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_UNITS_S = (86400, 3600, 60, 1, 0.001)


def _reset_s(header: str | None, now: datetime) -> float | None:
    """Seconds until a limit is reset, from a duration (`6m0s`, `120ms`, `1.5`) or a Unix time in s or ms."""
    number = _number(header)
    if number is not None:
        moment = number / 1000 if number > 1e11 else number
        return number if moment < 1e9 else max(0.0, moment - now.timestamp())
    parts = _DURATION.fullmatch((header or "").strip())
    if parts is None or not any(parts.groups()):
        return None
    return sum(float(part) * unit for part, unit in zip(parts.groups(), _UNITS_S, strict=True) if part)


def _number(text: str | None) -> float | None:
    text = (text or "").strip()
    return float(text) if text.isascii() and text.replace(".", "", 1).isdigit() else None


def retry_after_s(header: str | None, now: datetime | None = None) -> float | None:
    """The wait of a Retry-After header (seconds or a date), in seconds; None if it is missing or unreadable."""
    seconds = _number(header)
    if seconds is not None:
        return seconds
    moment = _moment(header)
    return None if moment is None else max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


def _moment(header: str | None) -> datetime | None:
    """The moment of an HTTP date; None if it is missing or unreadable."""
    try:
        moment = parsedate_to_datetime((header or "").strip())
    except (TypeError, ValueError, OverflowError):  # a year or an offset may have any number of digits
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
