"""Waits until a fine-tuning job is done, and stores what it reports in the folder meanwhile.

    watch = JobWatch(service, poll_s=5.0, patience_s=24 * 3600.0, tell=say)
    job = await watch.until_done(client, "ftjob-xyz", folder)      # Job("succeeded", "succeeded", "ft:...", ...)

Events go to `folder/events.jsonl`, the losses among them to `folder/loss.jsonl` at the end; the checkpoints of a
finished job go to `folder/checkpoints.jsonl` and can be used by name like the model. The job is paid for: lists that
cannot be read are told of and hold nothing back.
Not here: how a report is asked for and read (job_reports).
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rest_react.errors import OutsideFault, UsageError
from rest_react.storage.files import write_file
from rest_react.training.hosted.job_reports import Job, list_checkpoints, look_at, new_events
from rest_react.training.hosted.job_states import State
from rest_react.training.hosted.progress import CHECKPOINTS, events_on_disk, write_loss_curve
from rest_react.training.hosted.service import Service

if TYPE_CHECKING:
    from openai import AsyncOpenAI


class JobWatch:
    """Watches the jobs of one service: every `poll_s` seconds at first, and up to every minute while nothing happens;
    after `patience_s` seconds it gives up."""

    def __init__(self, service: Service, *, poll_s: float, patience_s: float, tell: Callable[[str], None]) -> None:
        self._service = service
        self._poll_s = poll_s
        self._patience_s = patience_s
        self._tell = tell
        self._told_of_events = False

    async def until_done(self, client: "AsyncOpenAI", job_id: str, folder: Path) -> Job:
        """The job once it has succeeded, failed or was cancelled. Raises OutsideFault if it takes longer than
        `patience_s`; it continues on the server."""
        deadline = time.monotonic() + self._patience_s
        pause_s = self._poll_s
        seen = events_on_disk(folder)
        state: State = "running"
        while True:
            news = await self._record_events(client, job_id, seen, folder)
            job = await look_at(self._service, client, job_id)
            before, state = state, job.state
            if state == "succeeded":
                await self._record_events(client, job_id, seen, folder)
                write_loss_curve(folder)
                return job
            if state in ("failed", "cancelled"):
                return job
            if state == "paused" != before:
                self._tell(f"job {job_id} is paused; resume it at the provider, or cancel it with finetune.cancel=true")
            if time.monotonic() > deadline:
                raise OutsideFault(
                    f"{self._service.base_url}: job {job_id} is {job.status!r} after {self._patience_s:g} s; it "
                    "continues on the server. Run the same command again to keep waiting"
                )
            pause_s = self._poll_s if news else min(max(60.0, self._poll_s), pause_s * 1.5)
            await asyncio.sleep(pause_s)

    async def record_checkpoints(self, client: "AsyncOpenAI", job_id: str, folder: Path) -> None:
        """Writes the checkpoints of a job that is done to `checkpoints.jsonl`."""
        try:
            checkpoints = await list_checkpoints(self._service, client, job_id)
        except (OutsideFault, UsageError) as error:  # the model is there and paid for: a list must not hold it back
            self._tell(f"the checkpoints could not be listed: {error}")
            return
        write_file(folder / CHECKPOINTS, "".join(f"{one.line}\n" for one in checkpoints))
        for one in checkpoints:
            self._tell(one.message)

    async def _record_events(self, client: "AsyncOpenAI", job_id: str, seen: set[str], folder: Path) -> int:
        """Appends the events not yet seen to `events.jsonl`, oldest first, and says how many there were."""
        try:
            events = await new_events(self._service, client, job_id, seen)
        except (OutsideFault, UsageError) as error:  # the job is paid for: a list must not hold it back
            if not self._told_of_events:
                self._tell(f"the events could not be read: {error}")
            self._told_of_events = True
            return 0
        with (folder / "events.jsonl").open("a", encoding="utf-8") as file:
            for event in events:
                file.write(event.line + "\n")
                seen.add(event.id)
                self._tell(event.message)
        return len(events)
