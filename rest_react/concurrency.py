"""Runs coroutines concurrently and cancels the others when one fails.

    replies = await gather_or_cancel(ask(i) for i in range(4))       # the first error cancels the other calls

Not here: limits on concurrency (remote.limiter, stages.executor).
"""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def gather_or_cancel(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all coroutines, in order. The first error cancels the others and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
    except ExceptionGroup as group_error:
        raise group_error.exceptions[0] from None
    return [task.result() for task in tasks]
