"""Several servers of the same model as one `LLM`. A trajectory stays on one; those of a lost server go to the others.

    llm = Replicas([OpenAICompatible("m", base_url=url, ...) for url in urls])
    with session("w17.0"):
        samples = await llm.sample(prompt, n=4, sampling=sampling)       # always the same server, while it answers

A trajectory starts on the replica with the fewest trajectories in flight, and stays there, because that server has the
prefix of its prompts in its cache. A call outside of a trajectory takes the least busy replica. A replica whose client
raises OutsideFault is lost: it gets no calls until its `revive` returns, and its trajectories go to the others, where
their calls are repeated with the same seeds. So the samples do not depend on the number of replicas, or on which of
them answer.
Not here: requests and their retries (openai_compatible), processes (vllm_server), the session (remote.session).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Protocol, TypeVar

from rest_react.concurrency import gather_or_cancel
from rest_react.errors import DiskError, OutsideFault, RestReactError, UsageError
from rest_react.protocols import LLM
from rest_react.records import Completion, OptionScores, Prompt, Sampling
from rest_react.remote.session import Session, current_session
from rest_react.terminal.console import say

T = TypeVar("T")


class Replica(LLM, Protocol):
    """A client that can tell when its server answers again."""

    async def revive(self) -> None:
        """Returns when the server answers again; raises OutsideFault or UsageError if it never will."""
        ...


@dataclass(slots=True, eq=False)
class _Place:
    """A replica and its state: `seated` sessions stay on it, `revival` waits until a lost one answers again, `gone` is
    one that never will."""

    name: str
    llm: Replica
    seated: int = 0
    revival: "asyncio.Task[None] | None" = None
    gone: bool = False

    @property
    def answers(self) -> bool:
        return self.revival is None and not self.gone


class Replicas:
    """An `LLM` over clients of the same model. While all of them are lost, calls wait up to `patience_s` for the first
    that answers again."""

    def __init__(self, replicas: Sequence[Replica], *, patience_s: float = 60.0) -> None:
        self._places = [_Place(f"replica {i} of {len(replicas)}", llm) for i, llm in enumerate(replicas, start=1)]
        self._patience_s = patience_s
        self._seats: dict[Session, _Place] = {}

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        """n samples of one prompt."""
        return await self._ask(lambda llm: llm.sample(prompt, n=n, sampling=sampling))

    async def score(self, prompt: Prompt, options: Sequence[str]) -> OptionScores | None:
        """The log-probability of each option as the beginning of the reply."""
        return await self._ask(lambda llm: llm.score(prompt, options))

    async def _ask(self, ask: Callable[[Replica], Awaitable[T]]) -> T:
        """The first answer of a replica. Raises OutsideFault if none answers, or if as many as there are were lost with
        this call: a request that ends its server must not end all of them again and again."""
        own = current_session()
        seat = own or Session("")
        last: OutsideFault | None = None
        try:
            for _ in (*self._places, "one that was restarted"):
                if not await self._any_answers() and last is not None:
                    break
                place = self._place_of(seat)
                try:
                    return await ask(place.llm)
                except OutsideFault as error:
                    self._lose(place, last := error)
        finally:
            if own is None or own.over:
                self._leave(seat)
        raise last or OutsideFault("there is no replica")

    async def aclose(self) -> None:
        """Closes all replicas. A later call may open each of them again."""
        self._seats.clear()
        revivals = [place.revival for place in self._places if place.revival is not None]
        for revival in revivals:
            revival.cancel()
        if revivals:
            await asyncio.wait(revivals)
        for place in self._places:
            place.seated, place.revival, place.gone = 0, None, False
        await gather_or_cancel(place.llm.aclose() for place in self._places)

    def _place_of(self, seat: Session) -> _Place:
        """The replica of a session: the one it has, unless that one is lost; else the one with the fewest sessions."""
        answering = [place for place in self._places if place.answers] or self._places
        if (place := self._seats.get(seat)) is None or place not in answering:
            if self._leave not in seat.when_over:
                seat.when_over.append(self._leave)
            self._leave(seat)
            place = self._seats[seat] = min(answering, key=lambda one: one.seated)
            place.seated += 1
        return place

    def _leave(self, seat: Session) -> None:
        """Gives up the seat of a session, if it has one: the session is over, or its replica is lost."""
        if (place := self._seats.pop(seat, None)) is not None:
            place.seated -= 1

    def _lose(self, place: _Place, error: OutsideFault) -> None:
        """Takes a replica out of use until it answers again; once for all calls that were lost with it."""
        if place.answers:
            # An empty context: its requests do not belong to the trajectory that met the outage.
            place.revival = asyncio.create_task(self._revive(place), context=Context())
            say(f"note: {place.name} is lost, the others take over its trajectories: {error}")

    async def _revive(self, place: _Place) -> None:
        try:
            await place.llm.revive()
        except (OutsideFault, UsageError) as error:  # also a port or memory that another program has taken meanwhile
            if not isinstance(error, DiskError):
                place.gone = True
                say(f"note: {place.name} is not used again: {error}")
        except RestReactError:
            pass  # the next call raises it
        else:
            say(f"note: {place.name} answers again")
        place.revival = None

    async def _any_answers(self) -> bool:
        """Whether a replica answers, now or within `patience_s`. One that will never answer does not end the wait for
        the others."""
        clock = asyncio.get_running_loop().time
        give_up_at = clock() + self._patience_s
        while not any(place.answers for place in self._places):
            revivals = [
                place.revival for place in self._places if place.revival is not None and not place.revival.done()
            ]
            left_s = give_up_at - clock()
            if not revivals or left_s <= 0:
                return False
            await asyncio.wait(revivals, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        return True
