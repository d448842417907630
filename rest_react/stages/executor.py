"""The executor: makes one record per item of a stage, and resumes an interrupted stage.

    await run_owed(RANKINGS, stage / "rankings.jsonl", items, rank, total=90, in_flight=8, title="improve, iteration 1")

`items` yields (id, item) in the order of the finished file. It is read once, one item at a time; only the ids stay in
memory. `rank(id, item)`, a function of the stage, makes the record. Each record is saved when it is made, in order of
arrival; the last step sorts the file. When a stage resumes, records that `StageRecords.keep` rejects are removed and
made again; all others are kept.
Not here: writing lines to disk (storage.jsonl), which requests count as refusals (remote.failures.refusals,
remote.failures.error_meanings), and the summary that marks a stage as complete (each stage writes its own).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from rest_react.concurrency import gather_or_cancel
from rest_react.errors import StageIncomplete
from rest_react.remote.failures.refusals import ACCEPTED, refusals_watched
from rest_react.storage.jsonl import JsonLines, Record, read_lines
from rest_react.terminal.progress import progress

T = TypeVar("T")
R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class StageRecords(Generic[R]):
    """The type of a stage's records, and functions of a record that the executor needs.

    `noun` is their name in messages (trajectories, rankings); `role` is the settings group of the model that makes them
    (policy, reward_model). `outside_error` is the external error because of which a record failed, or None. `keep` says
    whether to keep a record when the stage resumes; without it, those without such an error are kept. `answers` has one
    entry per request, for remote.failures.refusals; without it, each record is an accepted request. `failed` says
    whether the progress counts a record as failed.
    """

    kind: type[R]
    noun: str
    role: str
    keep: Callable[[R], bool] | None = None
    outside_error: Callable[[R], str | None] = lambda _: None
    answers: Callable[[R], Iterable[str | None]] = lambda _: (ACCEPTED,)
    failed: Callable[[R], bool] = lambda _: False


async def run_owed(
    records: StageRecords[R],
    path: Path,
    items: Iterable[tuple[str, T]],
    do: Callable[[str, T], Awaitable[R]],
    *,
    total: int,
    in_flight: int,
    title: str,
    tolerated: float = 0.0,
    fewest_refusals: int = 2,
) -> None:
    """Makes the records that are missing in `path`, at most `in_flight` at once, and sorts the file by item.
    `total` is for the progress; there may be fewer items.

    Raises StageIncomplete if more than the `tolerated` share of all records failed because of external errors. Raises
    UsageError and deletes `path` if the model refused every request, and at least `fewest_refusals`: a setting is
    wrong. Any other error of `do` cancels the rest and is raised unchanged; records made before it are kept.
    """
    log = JsonLines(path, records.kind)
    done = log.resume(keep=records.keep or (lambda record: records.outside_error(record) is None))
    order: list[str] = []
    failed, lost, last_error = 0, 0, ""

    def owed() -> Iterator[tuple[str, T]]:
        for id_, item in items:
            order.append(id_)
            if id_ not in done:
                yield id_, item

    def answers() -> Iterator[str | None]:
        return (answer for record in read_lines(path, records.kind) for answer in records.answers(record))

    watched = refusals_watched(path, answers, what=title, role=records.role, fewest=fewest_refusals)
    with closing(log), watched, progress(title, total=total, done=len(done)) as advance:
        left = owed()

        async def worker() -> None:
            nonlocal failed, lost, last_error
            for id_, item in left:
                record = await do(id_, item)
                log.append(record)
                if (error := records.outside_error(record)) is not None:
                    lost, last_error = lost + 1, error
                elif records.failed(record):
                    failed += 1
                counts = {"failed": failed, "external errors": lost}
                advance(note=", ".join(f"{count} {what}" for what, count in counts.items() if count))
                await asyncio.sleep(0)  # if `do` never waits, other tasks and Ctrl-C run here

        await gather_or_cancel(worker() for _ in range(max(1, min(in_flight, total - len(done)))))
        if len(order) < total:
            advance(total - len(order))
        log.finish(order)
    if lost > tolerated * len(order):
        raise StageIncomplete(
            f"{title}: {lost} of {len(order)} {records.noun} failed because of external errors "
            f"(last error: {last_error})\nFinished {records.noun} are saved. Run the same command again to retry the "
            "rest, or set tolerate_outside_faults to continue without them."
        )
