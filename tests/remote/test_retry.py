import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.concurrency import gather_or_cancel
from rest_react.errors import ModelFault, OutsideFault
from rest_react.remote.limiter import Limiter
from rest_react.remote.retry import Backoff, TryAgain, retry, worth_retrying

QUICK = Backoff(tries=4, first_wait_s=0.001)


def failing(times: int, error: Exception):
    calls = []

    async def attempt() -> int:
        calls.append(time.monotonic())
        if len(calls) <= times:
            raise error
        return len(calls)

    return attempt, calls


def run(attempt, backoff=QUICK, limiter=None):
    async def main():
        return await retry(attempt, what="client", backoff=backoff, limiter=limiter or Limiter(8))

    return asyncio.run(main())


def test_a_passing_failure_is_tried_again_until_it_succeeds():
    attempt, calls = failing(3, TryAgain("busy"))
    assert run(attempt) == 4
    assert len(calls) == 4


def test_a_lasting_failure_ends_as_an_outside_fault_that_says_what_failed_last():
    attempt, calls = failing(99, TryAgain("HTTP 503"))
    with pytest.raises(OutsideFault, match=r"^client: HTTP 503 \(after 4 tries\)$"):
        run(attempt)
    assert len(calls) == 4


def test_other_errors_pass_at_once():
    attempt, calls = failing(99, ModelFault("refused"))
    with pytest.raises(ModelFault, match="refused"):
        run(attempt)
    assert len(calls) == 1


def test_retry_after_is_waited_for():
    attempt, calls = failing(1, TryAgain("HTTP 429", after_s=0.2))
    assert run(attempt) == 2
    assert calls[1] - calls[0] >= 0.2


def test_a_retry_after_beyond_all_patience_gives_up_at_once():
    attempt, calls = failing(99, TryAgain("HTTP 429", after_s=86_400))
    with pytest.raises(OutsideFault, match="asks to wait 86400 s"):
        run(attempt)
    assert len(calls) == 1


def test_one_retry_after_holds_everyone_behind_the_limiter():
    async def main():
        limiter = Limiter(1)
        starts = {}

        def caller(name, error):
            async def attempt():
                starts.setdefault(name, []).append(time.monotonic())
                if error and len(starts[name]) == 1:
                    raise error
                return name

            return retry(attempt, what=name, backoff=QUICK, limiter=limiter)

        assert await gather_or_cancel([caller("a", TryAgain("429", after_s=0.2)), caller("b", None)]) == ["a", "b"]
        return starts

    starts = asyncio.run(main())
    assert starts["b"][0] - starts["a"][0] >= 0.2
    assert len(starts["a"]) == 2


def test_no_more_calls_are_in_flight_than_allowed_and_waiting_between_tries_counts_as_none():
    async def main():
        limiter = Limiter(3)
        now, most = 0, 0

        async def attempt(state):
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.002)
            now -= 1
            state.append(1)
            if len(state) == 1:
                raise TryAgain("once")

        def call():
            state = []
            return retry(lambda: attempt(state), what="client", backoff=QUICK, limiter=limiter)

        await gather_or_cancel(call() for _ in range(20))
        return most

    assert asyncio.run(main()) == 3


@pytest.mark.parametrize("name", ["ConnectError", "ClientConnectorError", "ReadError", "TimeoutError"])
def test_a_try_that_never_connected_is_not_billed(name):
    kind = type(name, (Exception,), {})
    try:
        try:
            raise type("OneOfThese", (kind,), {})("no")
        except kind as error:
            raise ValueError("wrapped") from error
    except ValueError as error:
        again = TryAgain("no whole reply")
        again.__cause__ = error
    assert again.billed == (name in ("ReadError", "TimeoutError"))
    assert not TryAgain("HTTP 503", refused=True).billed


@given(st.integers(1, 5000), st.floats(0, 1, exclude_max=True))
def test_waits_grow_to_a_bound_and_never_below_half(failures, jitter):
    backoff = Backoff(first_wait_s=0.5, longest_wait_s=30)
    full = min(30, 0.5 * 2.0 ** min(failures - 1, 20))
    assert full / 2 <= backoff.wait_s(failures, jitter) <= full


def test_statuses_that_may_pass_are_worth_another_try():
    assert [status for status in range(400, 505) if worth_retrying(status)] == [
        408,
        409,
        425,
        429,
        500,
        501,
        502,
        503,
        504,
    ]
