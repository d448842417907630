"""Patience with the outside: bounded retries, and a limit on how hard a door knocks.

A door turns a failure that may pass into `TryAgain` and lets `retried` do the rest:

    limiter = Limiter(max_in_flight=64, requests_per_minute=600)
    reply = await retried(post, what="https://api.example/v1", backoff=Backoff(tries=5), limiter=limiter)

Each try takes its own place in the limiter; waiting between tries holds none. A `Retry-After` is for everyone behind
the same limiter: it holds them all. When the tries are used up, `OutsideFault` says what failed last.

Not here: what is worth another try (each door knows its own server), and deadlines of a single try (the door's).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import monotonic_ns
from typing import Any, TypeVar

from rest_react.errors import OutsideFault
from rest_react.records import derive_seed

T = TypeVar("T")


class TryAgain(Exception):
    """A try failed in a way that may pass; never leaves a door. `after_s` is what the server asked to wait."""

    def __init__(self, message: str, after_s: float | None = None) -> None:
        self.after_s = after_s
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often to try and how long to wait: `first_wait_s`, doubled with each try, at most `longest_wait_s`, with up
    to half of it taken off by chance. A server that asks for more than `patience_s` is given up at once."""

    tries: int = 6
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    patience_s: float = 300.0

    def wait_s(self, failures: int, jitter: float) -> float:
        """The wait after that many failures; `jitter` in [0, 1)."""
        # The exponent is bounded, since a float is not: 2.0 ** 2000 overflows.
        return min(self.longest_wait_s, self.first_wait_s * 2.0 ** min(failures - 1, 64)) * (1 - jitter / 2)


class Limiter:
    """At most `max_in_flight` calls at a time, their starts spread evenly over the minute, first come first served.

    Evenly, because a burst at the end of one minute and another at the start of the next would be twice the limit
    in the minute between, by the server's count.
    """

    def __init__(self, max_in_flight: int, requests_per_minute: float | None = None) -> None:
        self._slots = asyncio.Semaphore(max_in_flight)
        self._turnstile = asyncio.Lock()
        self._interval_s = 60.0 / requests_per_minute if requests_per_minute else 0.0
        self._opens_at = 0.0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """A place among the calls in flight, from the moment the call may start."""
        clock = asyncio.get_running_loop().time
        async with self._slots:
            async with self._turnstile:
                while (wait := self._opens_at - clock()) > 0:
                    await asyncio.sleep(wait)
                self._opens_at = clock() + self._interval_s
            yield

    def hold(self, seconds: float) -> None:
        """No call starts for that long, including those already waiting."""
        self._opens_at = max(self._opens_at, asyncio.get_running_loop().time() + seconds)


async def retried(attempt: Callable[[], Awaitable[T]], *, what: str, backoff: Backoff, limiter: Limiter) -> T:
    """The first success of `attempt`, which raises TryAgain for what may pass. Any other error passes unchanged."""
    failures = 0
    while True:
        try:
            async with limiter.slot():
                try:
                    return await attempt()
                except TryAgain as error:
                    # Before the slot is free: whoever gets it next must already find the door held.
                    if error.after_s is not None and error.after_s <= backoff.patience_s:
                        limiter.hold(error.after_s)
                    raise
        except TryAgain as error:
            failures += 1
            if error.after_s is not None and error.after_s > backoff.patience_s:
                raise OutsideFault(f"{what}: {error}; it asks to wait {error.after_s:.0f} s, so not now") from error
            if failures >= backoff.tries:
                count = "1 try" if failures == 1 else f"{failures} tries"
                raise OutsideFault(f"{what}: {error} (after {count})") from error
        # Results never depend on it, so the clock may pick the jitter: two processes must not knock in step.
        jitter = derive_seed("back-off", what, failures, monotonic_ns()) / 2**63
        await asyncio.sleep(backoff.wait_s(failures, jitter))


def worth_retrying(status: int) -> bool:
    """Whether an HTTP status says that the same request may succeed later."""
    return status in (408, 409, 425, 429) or status >= 500


def retry_after_s(header: str | None) -> float | None:
    """Reads a Retry-After header, in seconds or as a date. None when there is none or it cannot be read."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


async def together(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all, in order. The first failure cancels the rest, so that no call goes on for nobody."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
    except ExceptionGroup as group_error:
        raise group_error.exceptions[0] from None
    return [task.result() for task in tasks]
