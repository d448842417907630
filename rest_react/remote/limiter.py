"""Limits on calls to a remote service: how many at once, requests and tokens per minute, and the budget.

    limiter = Limiter(64, requests_per_minute=600, tokens_per_minute=200_000, meter=Meter(budget, "policy"))
    async with limiter.slot(worst_case(prompt, n, sampling)) as bill:       # waits until the call may start
        ...

Not here: retries, which take a new slot each (retry), and what may be spent in all (budget).
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rest_react.errors import UsageError
from rest_react.remote.budget import NOTHING, Bill, Budget, Meter
from rest_react.remote.usage import Tokens, Usage


class Limiter:
    """At most `max_in_flight` calls at a time, their starts spread evenly over the minute, first come first served;
    and no minute in which the calls that start may take more than `tokens_per_minute`.

    Evenly, because a burst at the end of one minute and another at the start of the next would be twice the limit
    in the minute between, by the server's count. Tokens are those of the worst case, as servers count them that must
    decide before they answer. Every call's bill goes to the `meter`.
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
        # A little longer than the server's: requests do not arrive as evenly as they are sent.
        self._minute_s = 1.01 * minute_s
        self._interval_s = self._minute_s / requests_per_minute if requests_per_minute else 0.0
        self._opens_at = 0.0
        self._tokens_per_minute = tokens_per_minute
        self._last_minute: deque[tuple[float, int]] = deque()  # when calls started, and the tokens of each
        self._last_minutes_tokens = 0
        self._meter = meter or Meter(Budget(), "")

    @asynccontextmanager
    async def slot(self, worst: Tokens = NOTHING) -> AsyncIterator[Bill]:
        """A place among the calls in flight, from the moment the call may start, and its bill."""
        clock = asyncio.get_running_loop().time
        # The budget first: whoever had to wait for it must not start beside the turnstile.
        async with self._meter.budget.call(self._meter.role, worst) as bill, self._slots:
            async with self._turnstile:
                while (wait := max(self._opens_at, self._room_at(worst.total, clock())) - clock()) > 0:
                    await asyncio.sleep(wait)
                self._opens_at = clock() + max(self._interval_s, self._count(worst.total, clock()))
            yield bill

    def charge(self, usage: Usage, worst: Tokens) -> Tokens:
        """What a call costs that may take `worst`, by what its server tells."""
        return self._meter.budget.charge(self._meter.role, usage, worst)

    def _count(self, tokens: int, now: float) -> float:
        """Books a call that starts now; its share of a minute, in seconds."""
        if not self._tokens_per_minute:
            return 0.0
        self._last_minute.append((now, tokens))
        self._last_minutes_tokens += tokens
        return self._minute_s * tokens / self._tokens_per_minute

    def _room_at(self, tokens: int, now: float) -> float:
        """When the calls of the last minute leave room for so many tokens, as far as can be seen now."""
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
        """No call starts for that long, including those already waiting."""
        self._opens_at = max(self._opens_at, asyncio.get_running_loop().time() + seconds)
