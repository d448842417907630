import asyncio
import time
from functools import partial
from random import Random

import pytest

from rest_react.concurrency import gather_or_cancel
from rest_react.errors import UsageError
from rest_react.remote.http_client import open_client
from rest_react.remote.limiter import Limiter
from rest_react.remote.retry import Backoff, retry
from rest_react.remote.usage import Tokens
from tests.loopback import Reply, Request, serve

QUICK = Backoff(tries=4, first_wait_s=0.001)


def calls_sent(limiter: Limiter, sizes: list[int]) -> list[tuple[float, int]]:
    """When calls of these sizes, with their sizes, were sent to a server that takes its own time to answer. A busy
    machine can delay their arrival, which is no fault of the limiter."""
    sent = iter(sizes)

    def answer(request: Request) -> Reply:
        return Reply(200, request.json, delay_s=request.json["tokens"] / 50_000)

    with serve(answer) as server:

        async def main():
            client = open_client(server.url, "none", 20)

            async def worker():
                for tokens in sent:
                    post = partial(send, client, tokens)
                    await retry(post, what="server", backoff=QUICK, limiter=limiter, worst=Tokens(tokens, 0))

            async def send(client, tokens):
                body = {"tokens": tokens, "sent": time.monotonic()}
                return await client.post("/", cast_to=bytes, body=body)

            await gather_or_cancel(worker() for _ in range(12))
            await client.close()

        asyncio.run(main())
    return [(request.json["sent"], request.json["tokens"]) for request in server.requests]


def most_in_any(window_s: float, seen: list[tuple[float, int]]) -> tuple[int, int]:
    """The most requests, and the most tokens, that began in any window of that length."""
    windows = [[tokens for at, tokens in seen if start <= at < start + window_s] for start, _ in seen]
    return max(map(len, windows)), max(map(sum, windows))


def test_starts_are_spread_over_the_minute():
    async def main():
        limiter = Limiter(100, requests_per_minute=3000)  # one each 20 ms
        starts = [time.monotonic()]

        async def call():
            async with limiter.slot():
                starts.append(time.monotonic())

        await gather_or_cancel(call() for _ in range(10))
        return starts

    began, *starts = asyncio.run(main())
    # Not the gaps: a busy machine that notices one start too late makes the next gap shorter.
    assert [at - began >= 0.02 * place for place, at in enumerate(starts)] == [True] * 10


def test_requests_and_tokens_per_minute_are_never_exceeded():
    rng = Random(7)
    sizes = [rng.choice([10, 40, 90, 300]) for _ in range(40)]
    # A server whose minute has a second.
    seen = calls_sent(Limiter(12, requests_per_minute=20, tokens_per_minute=1500, minute_s=1.0), sizes)
    requests, tokens = most_in_any(0.85, seen)
    assert sorted(size for _, size in seen) == sorted(sizes)
    assert 10 <= requests <= 20
    assert 1000 <= tokens <= 1500


def test_a_call_larger_than_a_minutes_tokens_can_never_start():
    async def main():
        async with Limiter(1, tokens_per_minute=100).slot(Tokens(101, 0)):
            pass

    with pytest.raises(UsageError, match=r"tokens_per_minute=100 .*101 tokens"):
        asyncio.run(main())


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
