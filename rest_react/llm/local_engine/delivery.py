"""How finished draws come back from the engine's thread to the coroutines that wait for them.

    future = loop.create_future()
    draw = Draw(..., done=resolver(loop, future))        # the engine's thread calls `done`
    finished(await future)

Not here: which token is drawn (seeded_draws), and requests (llm.transformers_engine).
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from rest_react.errors import OutsideFault
from rest_react.llm.local_engine.seeded_draws import Draw


def resolver(loop: asyncio.AbstractEventLoop, future: "asyncio.Future[Any]") -> Callable[[Any], None]:
    """A function that sets the future's result, from any thread."""

    def resolve(result: Any) -> None:
        loop.call_soon_threadsafe(lambda: None if future.done() else future.set_result(result))

    return resolve


def finished(result: Any, way_out: str) -> Draw:
    """The finished draw. Raises OutsideFault with the way out if the engine failed."""
    if not isinstance(result, Draw):
        raise OutsideFault(f"the in-process engine failed: {result}{way_out}")
    return result


def deliver_to(manager: Any, draws: dict[str, Draw]) -> None:
    """Forgets finished requests, and tells the samples of failed ones; the others were told at their last token. The
    library's own handlers are bound to a running event loop and cannot be registered from the engine's thread, where
    samples leave a request."""

    def deliver(output: Any) -> None:
        if output.is_finished():
            draw = draws.pop(output.request_id)
            if output.error is not None:
                for sample in (draw, *draw.riders):
                    sample.done(output.error)

    manager.output_router.deliver = deliver

    def deliver_batch(outputs: Sequence[Any]) -> None:
        for output in outputs:
            deliver(output)

    manager.output_router.deliver_batch = deliver_batch
