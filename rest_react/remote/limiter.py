"""Limits calls to a remote service: calls in flight, requests and tokens per minute, and the budget.

    limiter = Limiter(64, requests_per_minute=600, tokens_per_minute=200_000, meter=Meter(budget, "policy"))
    async with limiter.slot(worst_case(prompt, n, sampling)) as bill:       # waits until the call may start
        ...

Not here: retries, each of which takes a new slot (retry), and the total spending (budget).
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rest_react.errors import UsageError
from rest_react.remote.budget import NOTHING, Bill, Budget, Meter
from rest_react.remote.usage import Tokens, Usage


class Limiter:
    """Allows `max_in_flight` calls at a time, spreads their starts evenly over the minute (first come, first served),
    and starts no more calls in a minute than may use `tokens_per_minute` tokens.

    Starts are spread evenly, because two bursts on both sides of a minute's end would be twice the limit in the minute
    around it. Tokens are counted by the worst case of each call, as servers count that decide before they answer. The
    `meter` charges every call to the budget.
    """

    def __init__(
        self,
        max_in_flight: int,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        meter: Meter | None = None,
        minute_s: float = 60.0,
    ) -> None:
        self._slots = asyncio.Semaphore(max_in_flight)
        self._turnstile = asyncio.Lock()
        # 1% longer than the server's minute: requests do not arrive as evenly as they are sent.
        self._minute_s = 1.01 * minute_s
        self._interval_s = self._minute_s / requests_per_minute if requests_per_minute else 0.0
        self._opens_at = 0.0
        self._tokens_per_minute = tokens_per_minute
        self._last_minute: deque[tuple[float, int]] = deque()  # when calls started, and the tokens of each
        self._last_minutes_tokens = 0
        self._meter = meter or Meter(Budget(), "")

    @asynccontextmanager
    async def slot(self, worst: Tokens = NOTHING) -> AsyncIterator[Bill]:
        """Waits until the call may start; holds a place among the calls in flight until the block ends. Yields its
        bill. Raises UsageError if one call may use more than `tokens_per_minute`."""
        clock = asyncio.get_running_loop().time
        # Budget first: a call that waited for the budget must still pass the turnstile.
        async with self._meter.budget.call(self._meter.role, worst) as bill, self._slots:
            async with self._turnstile:
                while (wait := max(self._opens_at, self._room_at(worst.total, clock())) - clock()) > 0:
                    await asyncio.sleep(wait)
                self._opens_at = clock() + max(self._interval_s, self._count(worst.total, clock()))
            yield bill

    def charge(self, usage: Usage, worst: Tokens) -> Tokens:
        """The tokens to charge for a call, from the usage that the server reported."""
        return self._meter.budget.charge(self._meter.role, usage, worst)

    def _count(self, tokens: int, now: float) -> float:
        """Counts a call that starts now; returns its share of the minute, in seconds."""
        if not self._tokens_per_minute:
            return 0.0
        self._last_minute.append((now, tokens))
        self._last_minutes_tokens += tokens
        return self._minute_s * tokens / self._tokens_per_minute

    def _room_at(self, tokens: int, now: float) -> float:
        """The earliest time at which the calls of the last minute leave room for `tokens`, as far as known now."""
        if not self._tokens_per_minute:
            return 0.0
        if tokens > self._tokens_per_minute:
            raise UsageError(
                f"tokens_per_minute={self._tokens_per_minute:g} is too low: one call may use {tokens} tokens; raise "
                "it, or lower the number of samples or max_tokens"
            )
        while self._last_minute and self._last_minute[0][0] + self._minute_s <= now:
            self._last_minutes_tokens -= self._last_minute.popleft()[1]
        if self._last_minutes_tokens + tokens <= self._tokens_per_minute:
            return 0.0
        return self._last_minute[0][0] + self._minute_s

    def hold(self, seconds: float) -> None:
        """Starts no call for that long; calls that already wait are delayed too."""
        self._opens_at = max(self._opens_at, asyncio.get_running_loop().time() + seconds)
