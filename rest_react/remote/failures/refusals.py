"""Stops a stage whose model refuses every request: one refusal is a result, refusals alone mean a wrong setting.

    with refusals_watched(path, lambda: answers_in(path), what="improve", role="reward_model"):
        ...  # asks the model, and writes its replies to `path`

Every stage that asks a model uses this (stages.executor). If no request was accepted, `path` is deleted, so that the
settings may be changed (storage.settings_file).
Not here: which error reply is a refusal (error_meanings).
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rest_react.errors import DiskError, RunFolderError, UsageError

ACCEPTED, LOST = None, ""


@contextmanager
def refusals_watched(
    path: Path, answers: Callable[[], Iterable[str | None]], *, what: str, role: str, fewest: int = 2
) -> Iterator[None]:
    """Deletes `path` and raises UsageError after the block if all requests were refused, and there were at least
    `fewest`. Also deletes `path` if the block itself raises UsageError before a request was accepted, unless the disk
    or the run folder is to blame: that says nothing about the model's settings.

    `answers` has an entry for each request: ACCEPTED, the message of its refusal, or LOST for an external fault."""
    try:
        yield
    except (DiskError, RunFolderError):
        raise
    except UsageError:
        if ACCEPTED not in answers():
            path.unlink(missing_ok=True)
        raise
    refused, last = 0, ""
    for answer in answers():
        if not answer:
            return
        refused, last = refused + 1, answer
    if refused >= fewest:
        path.unlink()
        raise UsageError(
            f"{what}: {role} refused all {refused} requests (last refusal: {last})\n"
            f"Nothing was saved. Change {role}.model, {role}.base_url or the limits of its server, and run the same "
            "command again."
        )
