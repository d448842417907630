"""Maps providers' names for the states of a fine-tuning job, and recognises replies that mean "not ready yet".

    >>> state_of("SUCCEEDED"), state_of("JOB_STATE_COMPLETED"), state_of("user_error"), state_of("defrosting")
    ('succeeded', 'succeeded', 'failed', 'running')

An unknown state counts as running.
Not here: asking (job_reports), and waiting (job_watch).
"""

import re
from typing import Literal

from rest_react.remote.failures.error_meanings import meaning_of
from rest_react.remote.failures.error_replies import ErrorReply

State = Literal["running", "paused", "succeeded", "failed", "cancelled"]
_STATES: dict[State, frozenset[str]] = {
    "succeeded": frozenset(("succeeded", "success", "successful", "complete", "completed", "done", "finished")),
    "failed": frozenset(("failed", "failure", "error", "errored", "user_error", "failed_validation", "expired")),
    "cancelled": frozenset(("cancelled", "canceled", "stopped", "terminated", "deleted")),
    "paused": frozenset(("paused", "suspended", "on_hold")),
}
_NOT_YET = re.compile(
    r"\bstill\b|being (?:processed|validated|uploaded|scanned|created)|not (?:yet |been |fully )*"
    r"(?:ready|processed|uploaded|available|validated|found|finished|complete|exist)|\bno such\b"
    r"|is (?:pending|processing|uploading|queued|in progress)|wait (?:for|until)",
    re.IGNORECASE,
)


_OTHER_THINGS = re.compile(
    "model|route|path|url|endpoint|page|<html", re.IGNORECASE
)  # things whose absence is permanent


def state_of(status: object) -> State:
    """The state that a provider's status means."""
    word = re.sub(r"[\s-]+", "_", str(status).strip()).lower().removeprefix("job_state_").removeprefix("status_")
    return next((state for state, words in _STATES.items() if word in words), "running")


def is_not_ready(reply: ErrorReply, *, about: str) -> bool:
    """Whether the reply means that a file or job (`about`) which the service has accepted is not ready yet."""
    if reply.status in (401, 402, 429):
        return False
    if reply.status in (409, 425):
        return True
    if reply.status == 404 and not _OTHER_THINGS.search(reply.message):
        return True
    tells = about in f"{reply.param} {reply.message}".lower() and _NOT_YET.search(reply.message) is not None
    return tells or (reply.status < 500 and reply.status != 408 and meaning_of(reply) == "again")
