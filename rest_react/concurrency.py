"""Runs coroutines concurrently and cancels the others when one fails; runs a call in a thread that may be given up.

    replies = await gather_or_cancel(ask(i) for i in range(4))       # the first error cancels the other calls
    text = await in_daemon_thread(lambda: main_text(page))

Not here: limits on concurrency (remote.limiter, stages.executor).
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, TypeVar

from rest_react.errors import RestReactError

T = TypeVar("T")


async def gather_or_cancel(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all coroutines, in order. The first error cancels the others and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
    except ExceptionGroup as group_error:
        raise group_error.exceptions[0] from None
    return [task.result() for task in tasks]


async def in_daemon_thread(call: Callable[[], T]) -> T:
    """The result of a call in a thread of its own, which raises RestReactError alone. Unlike with asyncio.to_thread, a
    call that is given up (a time limit cancels this coroutine) takes no place of the pool from others, and does not
    delay the end of the command; it runs on in the background."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(act: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(lambda: None if done.done() else act())

    def run() -> None:
        try:
            result = call()
        except RestReactError as error:
            settle(lambda error=error: done.set_exception(error))  # type: ignore[misc]
        else:
            settle(lambda: done.set_result(result))

    threading.Thread(target=run, daemon=True).start()
    return await done
