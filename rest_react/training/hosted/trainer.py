"""Fine-tunes a model through an OpenAI-compatible fine-tuning API at any `base_url` (files, jobs, events, model).

    trainer = HostedTrainer(base_url="https://api.openai.com/v1", api_key_env="OPENAI_API_KEY",
                            hyperparameters={"n_epochs": 3})
    model = await trainer.train(examples, base=ModelRef("gpt-4.1-mini", "base", tuned=False), folder=folder, seed=0)

Every example becomes a chat of two messages, the state and the completion; the API trains on the completion. Before
anything is sent, all rows are checked and their tokens and price are printed; if the price exceeds the budget, the run
ends. Each completed step is saved in `folder/job.json` at once:

    {"content": "9f2c...", "file": "file-abc", "job": "ftjob-xyz", "model": "ft:gpt-4.1-mini:...", "tokens": 41920,
     "account": null}

`content` is a digest of the rows, the base and the hyperparameters, and part of the uploaded file's name. If a run is
killed after the server accepted a file or a job and before job.json was written, the next run finds both in the
server's lists and does not create a second job. On a server without lists it may create one. To train the same again,
use another `seed`. Events go to `folder/events.jsonl`, the losses among them to `folder/loss.jsonl` at the end; the
checkpoints of a finished job go to `folder/checkpoints.jsonl` and can be used by name like the model. With `cancel` the
job is cancelled instead.
Not here: how a request is retried (service), what a job reports (job_reports), tokens by the provider's own tokenizer.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rest_react.errors import BudgetReached, DiskError, OutsideFault, UsageError
from rest_react.records import Example, ModelRef
from rest_react.remote.budget import Budget, Meter
from rest_react.remote.retry import READY_WITHIN_S, Backoff
from rest_react.remote.usage import Tokens
from rest_react.storage.files import write_file
from rest_react.training.hosted.job_reports import list_checkpoints, look_at, new_events
from rest_react.training.hosted.job_states import State
from rest_react.training.hosted.progress import (
    CHECKPOINTS,
    Progress,
    events_on_disk,
    note_progress,
    read_progress,
    write_loss_curve,
)
from rest_react.training.hosted.rows import render_rows, tokens_of
from rest_react.training.hosted.server_lists import find_file, find_job, name_of
from rest_react.training.hosted.service import Service

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_SUFFIX = "rest-react"  # in the name of the tuned model
EPOCHS = 3  # what providers choose for a small file when they are left to


class HostedTrainer:
    """A `Trainer` that uses the fine-tuning API. The job is checked every `poll_s` seconds at first, and up to every
    minute while nothing happens. After `patience_s` seconds `train` raises OutsideFault; the job continues on the
    server, and the next run waits for it again."""

    def __init__(
        self,
        *,
        base_url: str,
        api_key_env: str | None,
        hyperparameters: Mapping[str, object] | None = None,
        fewest_examples: int = 10,
        timeout_s: float = 300.0,
        tries: int = 6,
        first_wait_s: float = 1.0,
        poll_s: float = 5.0,
        patience_s: float = 24 * 3600.0,
        on_event: Callable[[str], None] | None = None,
        max_length: int | None = None,
        meter: Meter | None = None,
        cancel: bool = False,
        ready_within_s: float = READY_WITHIN_S,
    ) -> None:
        tell = on_event or (lambda _: None)
        self._base_url = base_url
        self._service = Service(
            base_url, api_key_env, timeout_s, Backoff(tries=tries, first_wait_s=first_wait_s), ready_within_s, tell
        )
        self._hyperparameters = dict(hyperparameters or {})
        self._fewest_examples = fewest_examples
        self._poll_s = poll_s
        self._patience_s = patience_s
        self._tell = tell
        self._max_length = max_length
        self._meter = meter or Meter(Budget(), "finetune")
        self._cancel = cancel
        self._told_of_events = False

    async def train(self, examples: Sequence[Example], base: ModelRef, folder: Path, seed: int) -> ModelRef:
        """Tunes `base`, or continues the job in `folder/job.json`. Raises UsageError if the job failed, if a row is
        invalid or if `base` is local; BudgetReached if the budget is too small; OutsideFault for external failures."""
        if base.where == "local":
            raise UsageError(
                f"hosted fine-tuning cannot start from local weights ({base.name}); use a model that the API offers"
            )
        rows = render_rows(examples, self._fewest_examples, self._max_length)
        job_seed = seed % 2**31  # what the API takes
        progress = self._with_its_tokens(read_progress(folder, self._content_of(rows, base, job_seed)), folder)
        if progress.model and (folder / CHECKPOINTS).exists():
            return ModelRef(name=progress.model, where="hosted", tuned=True)
        if not progress.job:
            for name in (CHECKPOINTS, "events.jsonl", "loss.jsonl"):
                (folder / name).unlink(missing_ok=True)  # of another job
        client = self._service.client()
        try:
            if not progress.model:
                if self._cancel:
                    await self._stop(client, progress, folder)
                elif not progress.job:
                    progress = await self._started(client, rows, examples, base, job_seed, progress, folder)
                progress = await self._wait(client, progress, folder)
            await self._record_checkpoints(client, progress.job, folder)
        finally:
            await client.close()
        return ModelRef(name=progress.model, where="hosted", tuned=True)

    async def _started(
        self,
        client: "AsyncOpenAI",
        rows: bytes,
        examples: Sequence[Example],
        base: ModelRef,
        job_seed: int,
        progress: Progress,
        folder: Path,
    ) -> Progress:
        """Charges the estimate, uploads the rows and creates the job. What the service refuses costs nothing. A refusal
        to list the jobs is none: an earlier command may have created this one."""
        progress = await self._charged(examples, progress, folder)
        if job := await self._job_of_a_killed_run(client, progress):
            return note_progress(folder, replace(progress, job=job))
        try:
            progress = await self._upload(client, rows, progress, folder)
            return await self._create(client, base, job_seed, progress, folder)
        except DiskError:  # the job may have been created
            raise
        except UsageError:
            # Other settings may follow. A kill between these two lines leaves too much charged, not too little.
            (folder / "job.json").unlink()
            self._meter.budget.correct(self._meter.role, -progress.tokens)
            raise

    async def _charged(self, examples: Sequence[Example], progress: Progress, folder: Path) -> Progress:
        """Charges the estimate, unless an earlier command did: job.json has the account with it before the account
        does."""
        budget, role = self._meter.budget, self._meter.role
        if progress.tokens and (progress.account is None or progress.account <= budget.booked(role)):
            return replace(progress, account=None)
        worst = self._told(examples)
        note_progress(folder, replace(progress, tokens=worst.prompt, account=budget.booked(role) + worst.prompt))
        try:
            async with budget.call(role, worst) as bill:
                bill.owed = bill.worst
            budget.flush()
        except DiskError:  # it may have been charged
            raise
        except (BudgetReached, UsageError):
            (folder / "job.json").unlink()  # nothing was sent: other settings may follow
            raise
        return replace(progress, tokens=worst.prompt, account=None)

    def _with_its_tokens(self, progress: Progress, folder: Path) -> Progress:
        """Books the tokens of a finished job, if an earlier command was killed before it did."""
        if not progress.model or progress.account is None:
            return progress
        self._meter.budget.correct(self._meter.role, progress.account - self._meter.budget.booked(self._meter.role))
        return note_progress(folder, replace(progress, account=None))

    def _told(self, examples: Sequence[Example]) -> Tokens:
        """The estimated tokens of the training; prints them with their price."""
        epochs: Any = self._hyperparameters.get("n_epochs") or EPOCHS
        once = sum(tokens_of(example) for example in examples)
        usd = self._meter.budget.usd(self._meter.role, once * epochs, 0)
        cost = "finetune.price is not set" if usd is None else f"about {usd:.2f} US dollars"
        self._tell(f"{len(examples)} examples, about {once} tokens, {epochs} epochs: {cost}")
        return Tokens(once * epochs, 0)

    async def _stop(self, client: "AsyncOpenAI", progress: Progress, folder: Path) -> None:
        """Cancels the job in `folder/job.json`, or the job that a killed run started without saving its id."""
        job = progress.job or await self._job_of_a_killed_run(client, progress)
        if not job:
            raise UsageError(f"{folder}: no job was started here, so there is none to cancel; remove finetune.cancel")
        await self._service.ask("cancelling the job", lambda: client.fine_tuning.jobs.cancel(job))
        note_progress(folder, replace(progress, job=job))
        raise UsageError(
            f"{self._base_url}: fine-tuning job {job} was cancelled. To start a new job, delete {folder / 'job.json'} "
            "and run the same command without finetune.cancel"
        )

    async def _job_of_a_killed_run(self, client: "AsyncOpenAI", progress: Progress) -> str:
        """The job over the uploaded file, which a killed run started without saving its id; empty if there is none."""
        if not progress.file:
            return ""
        return await self._service.ask("searching for the job", lambda: find_job(client, progress.file)) or ""

    def _content_of(self, rows: bytes, base: ModelRef, job_seed: int) -> str:
        settings = [self._base_url, base.name, self._hyperparameters, job_seed, _SUFFIX]
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode() + b"\n" + rows).hexdigest()[:32]

    async def _upload(self, client: "AsyncOpenAI", rows: bytes, progress: Progress, folder: Path) -> Progress:
        if progress.file:
            return progress
        name = f"rest-react-{progress.content}.jsonl"

        async def find_or_upload() -> str:
            if found := await find_file(client, name):
                return found
            file = await client.files.create(file=(name, rows, "application/jsonl"), purpose="fine-tune")
            return name_of(file.id)

        file = await self._service.ask("uploading the examples", find_or_upload, sent=len(rows))
        return note_progress(folder, replace(progress, file=file))

    async def _create(
        self, client: "AsyncOpenAI", base: ModelRef, job_seed: int, progress: Progress, folder: Path
    ) -> Progress:
        hyperparameters: Any = self._hyperparameters  # the provider's own names; the SDK types only OpenAI's

        async def find_or_create() -> str:
            if found := await find_job(client, progress.file):
                return found
            job = await client.fine_tuning.jobs.create(
                model=base.name,
                training_file=progress.file,
                method={"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
                seed=job_seed,
                suffix=_SUFFIX,
            )
            return name_of(job.id)

        job = await self._service.ask("creating the job", find_or_create, about="file")
        return note_progress(folder, replace(progress, job=job))

    async def _wait(self, client: "AsyncOpenAI", progress: Progress, folder: Path) -> Progress:
        deadline = time.monotonic() + self._patience_s
        pause_s = self._poll_s
        seen = events_on_disk(folder)
        state: State = "running"
        while True:
            news = await self._record_events(client, progress.job, seen, folder)
            job = await look_at(self._service, client, progress.job)
            before, state = state, job.state
            if state == "succeeded":
                await self._record_events(client, progress.job, seen, folder)
                write_loss_curve(folder)
                tokens = job.tokens or progress.tokens
                account = max(0, self._meter.budget.booked(self._meter.role) + tokens - progress.tokens)
                done = note_progress(folder, replace(progress, model=job.model, tokens=tokens, account=account))
                return self._with_its_tokens(done, folder)
            if state in ("failed", "cancelled"):
                raise UsageError(f"{job.why}; fix the cause, then delete {folder / 'job.json'} to start a new job")
            if state == "paused" != before:
                self._tell(
                    f"job {progress.job} is paused; resume it at the provider, or cancel it with finetune.cancel=true"
                )
            if time.monotonic() > deadline:
                raise OutsideFault(
                    f"{self._base_url}: job {progress.job} is {job.status!r} after {self._patience_s:g} s; it "
                    "continues on the server. Run the same command again to keep waiting"
                )
            pause_s = self._poll_s if news else min(max(60.0, self._poll_s), pause_s * 1.5)
            await asyncio.sleep(pause_s)

    async def _record_events(self, client: "AsyncOpenAI", job: str, seen: set[str], folder: Path) -> int:
        """Appends the events not yet seen to `events.jsonl`, oldest first, and says how many there were."""
        try:
            events = await new_events(self._service, client, job, seen)
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

    async def _record_checkpoints(self, client: "AsyncOpenAI", job: str, folder: Path) -> None:
        try:
            checkpoints = await list_checkpoints(self._service, client, job)
        except (OutsideFault, UsageError) as error:  # the model is there and paid for: a list must not hold it back
            self._tell(f"the checkpoints could not be listed: {error}")
            return
        write_file(folder / CHECKPOINTS, "".join(f"{one.line}\n" for one in checkpoints))
        for one in checkpoints:
            self._tell(one.message)
