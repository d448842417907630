"""Fine-tuning by somebody else's GPU: the OpenAI-shaped API at any `base_url` (files, jobs, events, model).

    trainer = HostedTrainer(base_url="https://api.openai.com/v1", api_key_env="OPENAI_API_KEY",
                            hyperparameters={"n_epochs": 3})
    model = await trainer.train(examples, base=ModelRef("gpt-4.1-mini", "base", tuned=False), folder=folder, seed=0)

Every example becomes one chat of two messages, the bare state and the completion; the API trains on the completion.
All rows are checked, and their tokens and price told, before anything is sent; a price that the budget has no room for
ends the run there. What is done stands in `folder/job.json` the moment it is known:

    {"content": "9f2c...", "file": "file-abc", "job": "ftjob-xyz", "model": "ft:gpt-4.1-mini:..."}

`content` names the rows, the base and the hyperparameters, and the file is uploaded under it. So a run that is killed
between the server's yes and our note of it finds the file and the job again by listing them, and no second one is made;
a server that cannot list has that one gap. Training the same once more takes another `seed`. Events go to
`folder/events.jsonl`, the checkpoints of a job that is done to `folder/checkpoints.jsonl`: they can be asked by name
like the model. With `cancel` the job is stopped instead. What the service has just said yes to and is not ready for
yet (a file that is still processed, a job that is not found right away) is waited for some minutes.
Not here: tokens by the provider's own tokenizer.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from rest_react.errors import OutsideFault, RestReactError, UsageError, outside
from rest_react.records import Example, ModelRef
from rest_react.redaction import redact_reply
from rest_react.remote.budget import Budget, Meter
from rest_react.remote.error_meanings import classify_error
from rest_react.remote.error_replies import error_reply
from rest_react.remote.http_client import key_from, open_client, refuse_address
from rest_react.remote.limiter import Limiter
from rest_react.remote.retry import READY_WITHIN_S, Backoff, NotReady, TryAgain, retry, wait_until_ready
from rest_react.remote.setting_names import SettingNames
from rest_react.remote.usage import Tokens
from rest_react.remote.whole_reply import TooLarge
from rest_react.storage.files import write_file
from rest_react.training.hosted.job_states import State, is_not_ready, state_of
from rest_react.training.hosted.progress import Progress, events_on_disk, note_progress
from rest_react.training.hosted.rows import render_rows, tokens_of
from rest_react.training.hosted.server_lists import find_file, find_job, if_it_can_list, name_of

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types.fine_tuning import FineTuningJob

T = TypeVar("T")
_SLOWEST_UPLOAD = 100_000  # bytes a second
EPOCHS = 3  # what providers choose for a small file when they are left to


@dataclass(frozen=True, slots=True)
class _Job:
    """A look at a job; `why` is for one that ended badly."""

    status: str
    state: State
    model: str
    why: str


class HostedTrainer:
    """A `Trainer` over the fine-tuning API. `poll_s` is the first wait between looks at a job, growing to a minute
    while nothing happens; after `patience_s` the job is left running and the next run goes on waiting."""

    def __init__(
        self,
        *,
        base_url: str,
        api_key_env: str | None,
        hyperparameters: Mapping[str, object] | None = None,
        suffix: str = "rest-react",
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
        refuse_address(base_url)
        self._base_url = base_url
        self._api_key_env = api_key_env
        self._key = key_from(api_key_env)
        self._hyperparameters = dict(hyperparameters or {})
        self._suffix = suffix
        self._fewest_examples = fewest_examples
        self._timeout_s = timeout_s
        self._backoff = Backoff(tries=tries, first_wait_s=first_wait_s)
        self._limiter = Limiter(4)
        self._poll_s = poll_s
        self._patience_s = patience_s
        self._on_event = on_event or (lambda _: None)
        self._max_length = max_length
        self._meter = meter or Meter(Budget(), "finetune")
        self._cancel = cancel
        self._ready_within_s = ready_within_s

    async def train(self, examples: Sequence[Example], base: ModelRef, folder: Path, seed: int) -> ModelRef:
        """Tunes `base`, or goes on with what `folder` says was begun."""
        if base.where == "local":
            raise UsageError(
                f"hosted fine-tuning cannot start from local weights ({base.name}); name a model of the API"
            )
        rows = render_rows(examples, self._fewest_examples, self._max_length)
        job_seed = seed % 2**31  # what the API takes
        progress = self._begun(folder, self._content_of(rows, base, job_seed))
        if not progress.model:
            client = open_client(self._base_url, self._key, self._timeout_s)
            try:
                if self._cancel:
                    await self._stop(client, progress, folder)
                elif not progress.job:
                    async with self._meter.budget.call(self._meter.role, self._told(examples)) as bill:
                        progress = await self._upload(client, rows, progress, folder)
                        progress = await self._create(client, base, job_seed, progress, folder)
                        bill.owed = bill.worst
                progress = await self._wait(client, progress, folder)
            finally:
                await client.close()
        return ModelRef(name=progress.model, where="hosted", tuned=True)

    def _told(self, examples: Sequence[Example]) -> Tokens:
        """What the training will take, told before it takes it."""
        epochs: Any = self._hyperparameters.get("n_epochs") or EPOCHS
        once = sum(tokens_of(example) for example in examples)
        usd = self._meter.budget.usd(self._meter.role, once * epochs, 0)
        cost = "finetune.price is not set" if usd is None else f"about {usd:.2f} US dollars"
        self._on_event(f"{len(examples)} examples, about {once} tokens, {epochs} epochs: {cost}")
        return Tokens(once * epochs, 0)

    async def _stop(self, client: "AsyncOpenAI", progress: Progress, folder: Path) -> None:
        """Asks for the end of the job that the folder knows of, or that a kill has kept from being noted."""
        job = progress.job or (progress.file and await self._asked("looking", lambda: find_job(client, progress.file)))
        if not job:
            raise UsageError(f"{folder}: no job was begun here, so there is none to cancel; leave out finetune.cancel")
        await self._asked("cancelling the job", lambda: client.fine_tuning.jobs.cancel(job))
        note_progress(folder, replace(progress, job=job))
        raise UsageError(
            f"{self._base_url}: fine-tuning job {job} is cancelled, as asked for; without finetune.cancel, and once "
            f"{folder / 'job.json'} is deleted, the same command starts another"
        )

    def _content_of(self, rows: bytes, base: ModelRef, job_seed: int) -> str:
        settings = [self._base_url, base.name, self._hyperparameters, job_seed, self._suffix]
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode() + b"\n" + rows).hexdigest()[:32]

    def _begun(self, folder: Path, content: str) -> Progress:
        path = folder / "job.json"
        if not path.exists():
            return Progress(content)
        try:
            progress = msgspec.json.decode(path.read_bytes(), type=Progress)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise UsageError(
                f"{path} is damaged ({error}). Delete it and run the same command again: the job is looked for in the "
                "server's list, and another one is started, and paid for, only where that list has none."
            ) from error
        if progress.content != content:
            raise UsageError(f"{path}: begun with other examples or settings; restore them, or delete it to start anew")
        return progress

    async def _upload(self, client: "AsyncOpenAI", rows: bytes, progress: Progress, folder: Path) -> Progress:
        if progress.file:
            return progress
        name = f"rest-react-{progress.content}.jsonl"

        async def find_or_upload() -> str:
            if found := await find_file(client, name):
                return found
            file = await client.files.create(file=(name, rows, "application/jsonl"), purpose="fine-tune")
            return name_of(file.id)

        return note_progress(
            folder, replace(progress, file=await self._asked("uploading the examples", find_or_upload, sent=len(rows)))
        )

    async def _create(
        self, client: "AsyncOpenAI", base: ModelRef, job_seed: int, progress: Progress, folder: Path
    ) -> Progress:
        if progress.job:
            return progress
        hyperparameters: Any = self._hyperparameters  # the provider's own names; the SDK types only OpenAI's

        async def find_or_create() -> str:
            if found := await find_job(client, progress.file):
                return found
            job = await client.fine_tuning.jobs.create(
                model=base.name,
                training_file=progress.file,
                method={"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
                seed=job_seed,
                suffix=self._suffix,
            )
            return name_of(job.id)

        return note_progress(
            folder, replace(progress, job=await self._asked("creating the job", find_or_create, about="file"))
        )

    async def _wait(self, client: "AsyncOpenAI", progress: Progress, folder: Path) -> Progress:
        deadline = time.monotonic() + self._patience_s
        pause_s = self._poll_s
        seen = events_on_disk(folder)
        state: State = "running"

        async def look() -> _Job:
            job = self._read_job(await client.fine_tuning.jobs.retrieve(progress.job))
            if job.state == "succeeded" and not job.model:
                said = f"{self._base_url}: job {progress.job} succeeded, and its model has no name yet"
                raise NotReady(said, OutsideFault(f"{said}; run the same command again to look once more"))
            return job

        while True:
            news = await self._news(client, progress.job, seen, folder)
            job = await self._asked("looking at the job", look, about="job")
            before, state = state, job.state
            if state == "succeeded":
                await self._news(client, progress.job, seen, folder)
                done = note_progress(folder, replace(progress, model=job.model))
                await self._list_checkpoints(client, progress.job, folder)
                return done
            if state in ("failed", "cancelled"):
                raise UsageError(f"{job.why}; mend the cause, then delete {folder / 'job.json'} to start another")
            if state == "paused" != before:
                self._on_event(
                    f"job {progress.job} is paused; resume it at the provider, or stop it: finetune.cancel=true"
                )
            if time.monotonic() > deadline:
                raise OutsideFault(
                    f"{self._base_url}: job {progress.job} is {job.status!r} after {self._patience_s:g} s; it goes on "
                    "there, and the same command goes on waiting"
                )
            pause_s = self._poll_s if news else min(max(60.0, self._poll_s), pause_s * 1.5)
            await asyncio.sleep(pause_s)

    async def _news(self, client: "AsyncOpenAI", job: str, seen: set[str], folder: Path) -> int:
        """Appends the events not yet seen to `events.jsonl`, oldest first, and says how many there were."""

        async def unseen() -> list[tuple[str, str, str]]:
            events: list[tuple[str, str, str]] = []
            with if_it_can_list():
                # Newest first: one page is enough unless much has happened.
                async for event in client.fine_tuning.jobs.list_events(job, limit=100):
                    if event.id in seen:
                        break
                    fields = event.model_dump(mode="json", warnings=False)
                    line = json.dumps(fields, ensure_ascii=False)
                    said = redact_reply(str(fields.get("message", "")), self._key)
                    events.insert(0, (event.id, redact_reply(line, self._key, len(line)), said))
            return events

        events = await self._asked("reading the job's events", unseen)
        with (folder / "events.jsonl").open("a", encoding="utf-8") as file:
            for name, line, said in events:
                file.write(line + "\n")
                seen.add(name)
                self._on_event(said)
        return len(events)

    async def _list_checkpoints(self, client: "AsyncOpenAI", job: str, folder: Path) -> None:
        async def listed() -> list[tuple[str, str]]:
            found = []
            with if_it_can_list():
                async for one in client.fine_tuning.jobs.checkpoints.list(job):
                    fields = one.model_dump(mode="json", warnings=False)
                    # Not every provider gives a checkpoint a model's name.
                    name = fields.get("fine_tuned_model_checkpoint") or fields.get("id")
                    line = json.dumps(fields, ensure_ascii=False)
                    said = f"checkpoint at step {fields.get('step_number')}: {name}"
                    found.append((redact_reply(line, self._key, len(line)), redact_reply(said, self._key)))
            return found

        try:
            found = await self._asked("listing the checkpoints", listed)
        except (OutsideFault, UsageError) as error:  # the model is there and paid for: a list must not hold it back
            self._on_event(f"the checkpoints could not be listed: {error}")
            return
        write_file(folder / "checkpoints.jsonl", "".join(f"{line}\n" for line, _ in found))
        for _, said in found:
            self._on_event(said)

    async def _asked(self, doing: str, call: Callable[[], Awaitable[T]], *, about: str = "", sent: int = 0) -> T:
        """One request (or look, then request), retried; `about` names what may not be ready yet, `sent` is how many
        bytes it uploads."""
        from openai import APIConnectionError, APIStatusError

        where = f"{self._base_url}, {doing}"
        within_s = self._timeout_s + sent / _SLOWEST_UPLOAD

        async def attempt() -> T:
            try:
                # What the SDK makes of a reply that is not JSON, or not of the expected shape, is no closed list.
                with outside("unreadable reply"):
                    try:
                        async with asyncio.timeout(within_s):
                            return await call()
                    except TimeoutError as error:
                        raise OutsideFault(f"no whole reply within {within_s:g} s") from error
                    except APIConnectionError as error:
                        if isinstance(error.__cause__, TooLarge):
                            raise error.__cause__ from None
                        raise OutsideFault(f"no reply ({error.__cause__ or error})") from error
                    except APIStatusError as error:
                        response = error.response
                        reply = error_reply(error.status_code, response.content, response.headers)
            except TooLarge:
                raise
            except OutsideFault as error:
                raise TryAgain(redact_reply(str(error), self._key)) from error
            # Outside the handler: the SDK's error may quote the key, so it must not become the context of ours.
            refusal = classify_error(
                reply, where=where, api_key_env=self._api_key_env, key=self._key, refused=UsageError,
                names=SettingNames("finetune"),
            )  # fmt: skip
            if about and is_not_ready(reply, about=about):
                lasting = refusal if isinstance(refusal, RestReactError) else OutsideFault(f"{where}: {refusal}")
                said = redact_reply(reply.message, self._key)
                raise NotReady(f"{where}: the {about} is not ready yet (HTTP {reply.status}: {said})", lasting)
            raise refusal

        async def tried() -> T:
            return await retry(attempt, what=where, backoff=self._backoff, limiter=self._limiter)

        return await wait_until_ready(
            tried, first_wait_s=self._backoff.first_wait_s, tell=self._on_event, within_s=self._ready_within_s
        )

    def _read_job(self, job: "FineTuningJob") -> _Job:
        error = job.error
        said = (
            redact_reply(f"{error.code}: {error.message}", self._key) if error and error.message else "no reason given"
        )
        where = f" (parameter {error.param})" if error and error.param else ""
        model = name_of(job.fine_tuned_model) if job.fine_tuned_model else ""
        why = f"{self._base_url}: fine-tuning job {job.id} {job.status}: {said}{where}"
        return _Job(str(job.status), state_of(job.status), model, why)
