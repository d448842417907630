"""What a fine-tuning server already has: the file and the job of an earlier command, found in its lists.

    file = await find_file(client, "rest-react-9f2c.jsonl")      # "file-abc"; empty if there is none

So no second job is started, and paid for, after a kill. A server that lists nothing (404, 405, 501) has an empty list.
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
    """The id of a job on that file which has not failed; the file's name stands for all that the job depends on."""
    with if_it_can_list():
        async for job in client.fine_tuning.jobs.list(limit=100):
            if job.training_file == file and state_of(job.status) not in ("failed", "cancelled"):
                return name_of(job.id)
    return ""


@contextmanager
def if_it_can_list() -> Iterator[None]:
    """Not every provider lists files, jobs or events: one that has no such route lists nothing."""
    from openai import APIStatusError

    try:
        yield
    except APIStatusError as error:
        if error.status_code not in (404, 405, 501):
            raise


def name_of(told: object) -> str:
    """What a reply names; the SDK does not check that it is a text."""
    if not isinstance(told, str) or not told.isprintable() or not told:
        raise OutsideFault(f"the reply has an invalid name or id: {told!r:.80}")
    return told
