"""Finds the file and the job of an earlier command in the lists of a fine-tuning server.

    file = await find_file(client, "rest-react-9f2c.jsonl")      # "file-abc"; empty if there is none

So a run that was killed does not start, and pay for, a second job. Servers without lists (404, 405, 501)
count as empty.
Not here: uploading and starting (trainer).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rest_react.errors import OutsideFault
from rest_react.training.hosted.job_states import state_of

if TYPE_CHECKING:
    from openai import AsyncOpenAI


async def find_file(client: "AsyncOpenAI", name: str) -> str:
    """The id of the file uploaded under that name; empty if there is none, or the server does not list its files."""
    with if_it_can_list():
        async for file in client.files.list(purpose="fine-tune"):
            if file.filename == name:
                return name_of(file.id)
    return ""


async def find_job(client: "AsyncOpenAI", file: str) -> str:
    """The id of a job on that file that has not failed; empty if there is none. The file's name is a digest of
    everything that the job depends on."""
    with if_it_can_list():
        async for job in client.fine_tuning.jobs.list(limit=100):
            if job.training_file == file and state_of(job.status) not in ("failed", "cancelled"):
                return name_of(job.id)
    return ""


@contextmanager
def if_it_can_list() -> Iterator[None]:
    """Ignores the error of a provider without a route for lists (404, 405, 501)."""
    from openai import APIStatusError

    try:
        yield
    except APIStatusError as error:
        if error.status_code not in (404, 405, 501):
            raise


def name_of(told: object) -> str:
    """The name or id in a reply. Raises OutsideFault if it is not a printable text, which the SDK does not check."""
    if not isinstance(told, str) or not told.isprintable() or not told:
        raise OutsideFault(f"the reply has an invalid name or id: {told!r:.80}")
    return told
