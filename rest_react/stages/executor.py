"""The executor: brings a stage's file to one record per item, and resumes where the last run stopped.

    await run_owed(RANKINGS, stage / "rankings.jsonl", items, rank, total=90, in_flight=8, title="improve, iteration 1")

`items` yields (id, item) in the order that the finished file has. It is read once, one item at a time, and memory holds
the ids alone. `rank(id, item)` makes the record. Each record is on disk the moment it
is made, in order of arrival; the last step sorts the file. A record that `StageRecords.keep` refuses is taken out when
the stage resumes and made again; every other one is never repeated.
Not here: how a line reaches the disk (storage.jsonl), what makes a request a refusal (remote.refusals,
remote.error_meanings), and the summary that marks a stage complete (each stage writes its own).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from rest_react.concurrency import gather_or_cancel
from rest_react.errors import StageIncomplete
from rest_react.progress import progress
from rest_react.remote.refusals import refusals_watched
from rest_react.storage.jsonl import JsonLines, Record, read_lines

T = TypeVar("T")
R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class StageRecords(Generic[R]):
    """The records of one stage, and what the executor asks of one.

    `noun` is their name in messages (trajectories, rankings); `role` is the group of settings of the model that is
    asked (policy, reward_model). `keep` says whether a record stands when the stage resumes. `outside_error` is the
    external error that a record was lost to, None if it was not. `answers` has an entry per request, as
    refusals_watched reads them. `failed` says whether to count a record as failed beside the progress.
    """

    kind: type[R]
    noun: str
    role: str
    keep: Callable[[R], bool]
    outside_error: Callable[[R], str | None]
    answers: Callable[[R], Iterable[str | None]]
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
    """Does what `path` lacks, at most `in_flight` items at once, and leaves it with one record per item, in order.
    There may be fewer items than `total`, which is for the progress.

    Raises StageIncomplete when external errors cost more than the `tolerated` share of all records, and UsageError,
    with `path` deleted, where the model refused every request and `fewest_refusals` of them or more: a setting is
    wrong. Any other error of `do` cancels the rest and passes unchanged; records made before it are kept.
    """
    log = JsonLines(path, records.kind)
    done = log.resume(keep=records.keep)
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
    with watched, progress(title, total=total, done=len(done)) as advance:
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
                counts = {"failed": failed, "outside faults": lost}
                advance(note=", ".join(f"{count} {what}" for what, count in counts.items() if count))
                await asyncio.sleep(0)  # where `do` waits for nobody, the others and Ctrl-C have their turn here

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
