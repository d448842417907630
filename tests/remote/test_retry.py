import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.errors import ModelFault, OutsideFault, UsageError
from rest_react.remote.retry import (
    Backoff,
    Limiter,
    TryAgain,
    asked_wait_s,
    is_loopback,
    open_client,
    proxy_for,
    retried,
    retry_after_s,
    together,
    worth_retrying,
)
from rest_react.remote.usage import Tokens
from tests.loopback import Reply, Request, serve

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
        return await retried(attempt, what="door", backoff=backoff, limiter=limiter or Limiter(8))

    return asyncio.run(main())


def test_a_passing_failure_is_tried_again_until_it_succeeds():
    attempt, calls = failing(3, TryAgain("busy"))
    assert run(attempt) == 4
    assert len(calls) == 4


def test_a_lasting_failure_ends_as_an_outside_fault_that_says_what_failed_last():
    attempt, calls = failing(99, TryAgain("HTTP 503"))
    with pytest.raises(OutsideFault, match=r"^door: HTTP 503 \(after 4 tries\)$"):
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

            return retried(attempt, what=name, backoff=QUICK, limiter=limiter)

        assert await together([caller("a", TryAgain("429", after_s=0.2)), caller("b", None)]) == ["a", "b"]
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
            return retried(lambda: attempt(state), what="door", backoff=QUICK, limiter=limiter)

        await together(call() for _ in range(20))
        return most

    assert asyncio.run(main()) == 3


def test_starts_are_spread_over_the_minute():
    async def main():
        limiter = Limiter(100, requests_per_minute=3000)  # one each 20 ms
        starts = []

        async def call():
            async with limiter.slot():
                starts.append(time.monotonic())

        await together(call() for _ in range(10))
        return starts

    starts = asyncio.run(main())
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    assert min(gaps) >= 0.019


def arrivals(limiter: Limiter, sizes: list[int]) -> list[tuple[float, int]]:
    """When calls of these sizes reached a server that takes its own time to notice, by its own clock."""
    sent = iter(sizes)

    def answer(request: Request) -> Reply:
        return Reply(200, request.json, delay_s=request.json["tokens"] / 50_000)

    with serve(answer) as server:

        async def main():
            client = open_client(server.url, "none", 20)

            async def worker():
                for tokens in sent:
                    post = partial(client.post, "/", cast_to=bytes, body={"tokens": tokens})
                    await retried(post, what="server", backoff=QUICK, limiter=limiter, worst=Tokens(tokens, 0))

            await together(worker() for _ in range(12))
            await client.close()

        asyncio.run(main())
    return [(request.at, request.json["tokens"]) for request in server.requests]


def most_in_any(window_s: float, seen: list[tuple[float, int]]) -> tuple[int, int]:
    """The most requests, and the most tokens, that began in any window of that length."""
    windows = [[tokens for at, tokens in seen if start <= at < start + window_s] for start, _ in seen]
    return max(map(len, windows)), max(map(sum, windows))


def test_requests_and_tokens_per_minute_are_never_exceeded_by_the_servers_own_count():
    rng = Random(7)
    sizes = [rng.choice([10, 40, 90, 300]) for _ in range(40)]
    # A server whose minute has a second; how late a busy machine lets a request arrive is no fault of the limiter.
    seen = arrivals(Limiter(12, requests_per_minute=20, tokens_per_minute=1500, minute_s=1.0), sizes)
    requests, tokens = most_in_any(0.85, seen)
    assert sorted(size for _, size in seen) == sorted(sizes)
    assert 10 <= requests <= 20
    assert 1000 <= tokens <= 1500


def test_a_call_larger_than_a_minutes_tokens_can_never_start():
    async def main():
        async with Limiter(1, tokens_per_minute=100).slot(Tokens(101, 0)):
            pass

    with pytest.raises(UsageError, match="tokens_per_minute=100: one call may take 101"):
        asyncio.run(main())


@pytest.mark.parametrize("name", ["ConnectError", "ClientConnectorError", "ReadError", "TimeoutError"])
def test_a_try_that_reached_nobody_is_not_billed(name):
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


def test_a_cancelled_wait_gives_its_place_back():
    async def main():
        limiter = Limiter(1, requests_per_minute=60)
        async with limiter.slot():
            pass
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01), limiter.slot():
                raise AssertionError("the next second has not begun")
        limiter._opens_at = 0.0
        async with asyncio.timeout(0.5), limiter.slot():
            return True

    assert asyncio.run(main())


@given(st.integers(1, 5000), st.floats(0, 1, exclude_max=True))
def test_waits_grow_to_a_bound_and_never_below_half(failures, jitter):
    backoff = Backoff(first_wait_s=0.5, longest_wait_s=30)
    full = min(30, 0.5 * 2.0 ** min(failures - 1, 20))
    assert full / 2 <= backoff.wait_s(failures, jitter) <= full


def test_a_retry_after_header_is_read_in_seconds_or_as_a_date():
    assert retry_after_s("7") == 7.0
    assert retry_after_s(" 1.5 ") == 1.5
    assert retry_after_s(None) is None
    assert retry_after_s("soon") is None
    soon = retry_after_s(format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True))
    assert soon is not None and 57 < soon <= 60
    assert retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0


@given(st.text(max_size=40))
def test_no_retry_after_header_makes_it_raise(header):
    wait = retry_after_s(header)
    assert wait is None or wait >= 0


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


def test_the_first_failure_of_many_cancels_the_rest():
    async def main():
        finished = []

        async def slow():
            await asyncio.sleep(5)
            finished.append("slow")

        async def failing():
            raise ModelFault("no")

        started = time.monotonic()
        with pytest.raises(ModelFault, match="no"):
            await together([slow(), failing(), slow()])
        return finished, time.monotonic() - started

    finished, seconds = asyncio.run(main())
    assert finished == []
    assert seconds < 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2.0),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"llm_provider-retry-after": "7"}, 7.0),
        ({"llm_provider-retry-after-ms": "7"}, 0.007),
        ({"retry-after": "3", "llm_provider-retry-after": "7"}, 3.0),
        ({"retry-after": "soon", "llm_provider-retry-after": "7"}, 7.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m30s"}, 90.0),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "120ms"}, 0.12),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "7.66s"}, 7.66),
        ({"llm_provider-x-ratelimit-remaining-tokens": "0", "llm_provider-x-ratelimit-reset-tokens": "2"}, 2.0),
        ({"x-ratelimit-remaining-requests": "9", "x-ratelimit-reset-requests": "1m"}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "later"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1000000000"}, 0.0),
        ({}, None),
    ],
)
def test_the_wait_that_a_reply_asks_for_is_read_from_whichever_header_says_it(headers, seconds):
    assert asked_wait_s(headers) == (None if seconds is None else pytest.approx(seconds))


def test_a_reset_at_a_moment_is_the_time_until_then():
    moment = time.time() + 60
    for told in (f"{moment:.0f}", f"{moment * 1000:.0f}"):
        wait = asked_wait_s({"x-ratelimit-remaining": "0", "x-ratelimit-reset": told})
        assert wait == pytest.approx(60, abs=2)


@given(st.text(alphabet="0123456789.hmsd -:,", max_size=12))
def test_no_header_makes_the_wait_anything_but_a_time_or_unknown(told):
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": told}
    for wait in (asked_wait_s(headers), asked_wait_s({"retry-after": told}), asked_wait_s({"retry-after-ms": told})):
        assert wait is None or wait >= 0


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.8.9.10", "localhost", "LOCALHOST.", "model.localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"],
)
@pytest.mark.parametrize("no_proxy", [None, "", "example.org"])
def test_no_proxy_is_asked_for_the_machine_s_own_addresses(monkeypatch, host, no_proxy):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://proxy.example:3128")
    monkeypatch.delenv("NO_PROXY", raising=False)
    if no_proxy is None:
        monkeypatch.delenv("no_proxy", raising=False)
    else:
        monkeypatch.setenv("no_proxy", no_proxy)
    assert proxy_for(f"http://user:word@{host}:8000/v1") is None
    assert is_loopback(f"https://{host}/v1")
    for other in ("10.0.0.7", "model.example", "localhost.example"):
        assert proxy_for(f"http://{other}/v1") == "http://proxy.example:3128"


def test_the_sdk_s_client_asks_no_proxy_for_a_service_on_this_machine(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)

    async def main(url):
        client = open_client(f"{url}/v1", "none", 5.0)
        try:
            return [model.id async for model in client.models.list()]
        finally:
            await client.close()

    with serve(lambda _: Reply(200, {"object": "list", "data": [{"id": "m", "object": "model"}]})) as server:
        assert asyncio.run(main(server.url)) == ["m"]
