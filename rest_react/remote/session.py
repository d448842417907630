"""Tells a client which trajectory a request belongs to, so that one server can answer all requests of a trajectory.

    with session("w17.0"):
        trajectory = await task.rollout(question, policy, trajectory_id="w17.0", seed=7)

Each request of a trajectory begins with the text of the one before. A server that answered that one has most of the
prompt in its cache. The session is a context variable, as in tracing: budgets, caches and tasks pass it on without an
argument, and no result depends on it.
Not here: which server a session stays on (llm.replicas).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from urllib.parse import quote

from rest_react.seeds import derive_seed


@dataclass(slots=True, eq=False)
class Session:
    """Requests that belong together. When no more of them will come, `over` is true, and each function in `when_over`
    has been called with the session."""

    id: str
    over: bool = False
    when_over: list[Callable[["Session"], None]] = field(default_factory=list)

    def end(self) -> None:
        """No more requests will come."""
        self.over = True
        for tell in self.when_over:
            tell(self)


_CURRENT: ContextVar[Session | None] = ContextVar("session", default=None)


@contextmanager
def session(id_: str) -> Iterator[Session]:
    """Requests inside this block belong to the session `id_`."""
    opened = Session(id_)
    before = _CURRENT.set(opened)
    try:
        yield opened
    finally:
        opened.end()
        _CURRENT.reset(before)


def current_session() -> Session | None:
    """The session of the calling task; None outside of a trajectory."""
    return _CURRENT.get()


def session_headers(data_parallel: int = 1) -> dict[str, str]:
    """Headers that keep the current session on one server: its id, for a router between us and several servers, under
    the names that vllm-router and smg read; for a server that runs `data_parallel` engines the number of the engine.
    Empty outside of a session."""
    current = current_session()
    if current is None:
        return {}
    id_ = quote(current.id, safe="")
    headers = {"x-session-id": id_, "x-smg-routing-key": id_}
    if data_parallel > 1:
        headers["x-data-parallel-rank"] = str(derive_seed(current.id) % data_parallel)
    return headers
