"""Refusals by a model's server: one is a result of its request, and where every request is refused a setting is wrong.

    with refusals_watched(path, lambda: answers_in(path), what="improve", role="reward_model"):
        ...  # asks the model, and writes what it says to `path`

Every stage that asks a model keeps this rule (stages.executor). Where no request was accepted,
`path` is deleted: nothing in it is worth keeping, and the settings may be changed (settings_file).
Not here: which error reply is a refusal (error_meanings).
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rest_react.errors import UsageError

ACCEPTED, LOST = None, ""


@contextmanager
def refusals_watched(
    path: Path, answers: Callable[[], Iterable[str | None]], *, what: str, role: str, fewest: int = 2
) -> Iterator[None]:
    """Raises UsageError after the block where every request was refused, `fewest` of them or more, and deletes `path`;
    it also does so where the block itself raises UsageError before a request was accepted.

    `answers` has an entry for each request: ACCEPTED, the words of its refusal, or LOST for an external fault."""
    try:
        yield
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
