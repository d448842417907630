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
use another `seed`. With `cancel` the job is cancelled instead.
Not here: how a request is retried (service), what is charged and when (charge), waiting for the job and the files of
its events, losses and checkpoints (job_watch), tokens by the provider's own tokenizer.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rest_react.errors import DiskError, UsageError
from rest_react.records import Example, ModelRef
from rest_react.remote.budget import Budget, Meter
from rest_react.remote.retry import READY_WITHIN_S, Backoff
from rest_react.training.hosted.charge import Charge
from rest_react.training.hosted.job_watch import JobWatch
from rest_react.training.hosted.progress import CHECKPOINTS, Progress, note_progress, read_progress
from rest_react.training.hosted.rows import render_rows
from rest_react.training.hosted.server_lists import find_file, find_job, name_of
from rest_react.training.hosted.service import Service

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_SUFFIX = "rest-react"  # in the name of the tuned model


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
        self._watch = JobWatch(self._service, poll_s=poll_s, patience_s=patience_s, tell=tell)
        self._max_length = max_length
        epochs = self._hyperparameters.get("n_epochs")
        self._charge = Charge(meter or Meter(Budget(), "finetune"), epochs, tell)
        self._cancel = cancel

    async def train(self, examples: Sequence[Example], base: ModelRef, folder: Path, seed: int) -> ModelRef:
        """Tunes `base`, or continues the job in `folder/job.json`. Raises UsageError if the job failed, if a row is
        invalid or if `base` is local; BudgetReached if the budget is too small; OutsideFault for external failures."""
        if base.where == "local":
            raise UsageError(
                f"hosted fine-tuning cannot start from local weights ({base.name}); use a model that the API offers"
            )
        rows = render_rows(examples, self._fewest_examples, self._max_length)
        job_seed = seed % 2**31  # what the API takes
        progress = read_progress(folder, self._content_of(rows, base, job_seed))
        progress = self._charge.settle_after_kill(progress, folder)
        if progress.model and (folder / CHECKPOINTS).exists():
            return ModelRef(name=progress.model, where="hosted", tuned=True)
        if not progress.job:
            for name in (CHECKPOINTS, "events.jsonl", "loss.jsonl"):
                (folder / name).unlink(missing_ok=True)  # of another job
        client = self._service.client()
        try:
            if not progress.model:
                if self._cancel:
                    progress = await self._stop(client, progress, folder)
                elif not progress.job:
                    progress = await self._started(client, rows, examples, base, job_seed, progress, folder)
                job = await self._watch.until_done(client, progress.job, folder)
                if job.state != "succeeded":
                    self._charge.settle_failed(progress, job.tokens, folder)
                    what_to_do = "remove finetune.cancel" if self._cancel else "fix the cause"
                    raise UsageError(f"{job.why}; {what_to_do}, then delete {folder / 'job.json'} to start a new job")
                progress = self._charge.settle(replace(progress, model=job.model), job.tokens, folder)
            await self._watch.record_checkpoints(client, progress.job, folder)
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
        progress = await self._charge.reserve(examples, progress, folder)
        if job := await self._job_of_a_killed_run(client, progress):
            return note_progress(folder, replace(progress, job=job))
        try:
            progress = await self._upload(client, rows, progress, folder)
            return await self._create(client, base, job_seed, progress, folder)
        except DiskError:  # the job may have been created
            raise
        except UsageError:
            self._charge.take_back(progress, folder)
            raise

    async def _stop(self, client: "AsyncOpenAI", progress: Progress, folder: Path) -> Progress:
        """Cancels the job in `folder/job.json`, or the job that a killed run started without saving its id."""
        job = progress.job or await self._job_of_a_killed_run(client, progress)
        if not job:
            raise UsageError(f"{folder}: no job was started here, so there is none to cancel; remove finetune.cancel")
        await self._service.ask("cancelling the job", lambda: client.fine_tuning.jobs.cancel(job))
        return note_progress(folder, replace(progress, job=job))

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
