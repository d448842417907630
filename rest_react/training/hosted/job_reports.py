"""Reads what a fine-tuning service reports about a job: its state, its events and its checkpoints.

    job = await look_at(service, client, "ftjob-xyz")          # Job("running", "running", model="", why="...")
    events = await new_events(service, client, "ftjob-xyz", seen=set())

Not here: how long to wait for a job, and where its events are stored (job_watch).
"""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rest_react.errors import OutsideFault
from rest_react.remote.retry import NotReady
from rest_react.training.hosted.job_states import State, state_of
from rest_react.training.hosted.server_lists import if_it_can_list, name_of
from rest_react.training.hosted.service import Service

if TYPE_CHECKING:
    from openai import AsyncOpenAI


@dataclass(frozen=True, slots=True)
class Job:
    """The state of a job at one moment; `why` describes the failure of a failed or cancelled job, `tokens` are those
    that the service charges for, 0 until it says so."""

    status: str
    state: State
    model: str
    why: str
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """An event or a checkpoint: its id, its JSON line for the folder, and its message for the terminal."""

    id: str
    line: str
    message: str


async def look_at(service: Service, client: "AsyncOpenAI", job: str) -> Job:
    """The job as it is now. One that succeeded and whose model has no name yet is waited for."""

    async def look() -> Job:
        told = await client.fine_tuning.jobs.retrieve(job)
        state = state_of(told.status)
        model = name_of(told.fine_tuned_model) if told.fine_tuned_model else ""
        if state == "succeeded" and not model:
            said = f"{service.base_url}: job {job} succeeded, but its model has no name yet"
            raise NotReady(said, OutsideFault(f"{said}; run the same command again to check again"))
        error = told.error
        said = service.redact(f"{error.code}: {error.message}") if error and error.message else "no reason given"
        where = f" (parameter {error.param})" if error and error.param else ""
        why = f"{service.base_url}: fine-tuning job {told.id} {told.status}: {said}{where}"
        charged = told.trained_tokens  # not checked by the SDK
        return Job(str(told.status), state, model, why, charged if isinstance(charged, int) and charged > 0 else 0)

    return await service.ask("checking the job", look, about="job")


async def new_events(service: Service, client: "AsyncOpenAI", job: str, seen: set[str]) -> list[Report]:
    """The job's events whose ids are not in `seen`, oldest first."""

    async def unseen() -> list[Report]:
        events: list[Report] = []
        with if_it_can_list():
            # Newest first: one page is enough unless much has happened.
            async for event in client.fine_tuning.jobs.list_events(job, limit=100):
                if event.id in seen:
                    break
                fields = event.model_dump(mode="json", warnings=False)
                line = service.redact_line(json.dumps(fields, ensure_ascii=False))
                events.insert(0, Report(event.id, line, service.redact(str(fields.get("message", "")))))
        return events

    return await service.ask("reading the job's events", unseen)


async def list_checkpoints(service: Service, client: "AsyncOpenAI", job: str) -> list[Report]:
    """The checkpoints of a job that is done; none where the service does not list them."""

    async def listed() -> list[Report]:
        checkpoints = []
        with if_it_can_list():
            async for one in client.fine_tuning.jobs.checkpoints.list(job):
                fields = one.model_dump(mode="json", warnings=False)
                # Not every provider gives a checkpoint a model's name.
                name = fields.get("fine_tuned_model_checkpoint") or fields.get("id")
                line = service.redact_line(json.dumps(fields, ensure_ascii=False))
                message = service.redact(f"checkpoint at step {fields.get('step_number')}: {name}")
                checkpoints.append(Report(str(name), line, message))
        return checkpoints

    return await service.ask("listing the checkpoints", listed)
