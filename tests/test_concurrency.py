import asyncio
import time

import pytest

from rest_react.concurrency import gather_or_cancel
from rest_react.errors import ModelFault


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
            await gather_or_cancel([slow(), failing(), slow()])
        return finished, time.monotonic() - started

    finished, seconds = asyncio.run(main())
    assert finished == []
    assert seconds < 1
