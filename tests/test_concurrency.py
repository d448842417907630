import asyncio
import subprocess
import sys
import threading
import time

import pytest

from rest_react.concurrency import gather_or_cancel, in_daemon_thread
from rest_react.errors import ModelFault


def test_the_first_failure_of_many_cancels_the_rest():
    async def main():
        finished = []

        async def slow():
            await asyncio.sleep(60)
            finished.append("slow")

        async def failing():
            raise ModelFault("no")

        started = time.monotonic()
        with pytest.raises(ModelFault, match="no"):
            await gather_or_cancel([slow(), failing(), slow()])
        return finished, time.monotonic() - started

    finished, seconds = asyncio.run(main())
    assert finished == []
    assert seconds < 20


def test_a_call_in_a_daemon_thread_gives_its_result_or_its_error():
    def failing():
        raise ModelFault("no")

    assert asyncio.run(in_daemon_thread(lambda: 7)) == 7
    with pytest.raises(ModelFault, match="no"):
        asyncio.run(in_daemon_thread(failing))


def test_calls_that_are_given_up_take_no_thread_of_the_pool():
    release = threading.Event()

    async def main():
        stuck = [asyncio.create_task(in_daemon_thread(lambda: release.wait(60))) for _ in range(64)]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*stuck), 0.1)
        return await asyncio.wait_for(asyncio.to_thread(lambda: "free"), 10)

    assert asyncio.run(main()) == "free"
    release.set()


STUCK = """
import asyncio, time
from rest_react.concurrency import in_daemon_thread
async def main():
    task = asyncio.create_task(in_daemon_thread(lambda: time.sleep(60)))
    await asyncio.sleep(0.1)
    task.cancel()
asyncio.run(main())
"""


def test_a_call_that_is_given_up_does_not_delay_the_end_of_the_command():
    assert subprocess.run([sys.executable, "-c", STUCK], timeout=30, check=False).returncode == 0
