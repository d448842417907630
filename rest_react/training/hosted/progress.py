"""What a hosted training has done so far, on disk the moment it is known: job.json and events.jsonl.

    {"content": "9f2c...", "file": "file-abc", "job": "ftjob-xyz", "model": "ft:gpt-4.1-mini:..."}

Not here: what is on the server (server_lists).
"""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from rest_react.storage.files import cut_torn_line, write_file


@dataclass(frozen=True, slots=True)
class Progress:
    """`job.json`: what the server has said yes to so far."""

    content: str
    file: str = ""
    job: str = ""
    model: str = ""


class _Event(msgspec.Struct):
    id: str


def note_progress(folder: Path, progress: Progress) -> Progress:
    """Puts `job.json` on disk, whole or not at all, before anything else happens."""
    write_file(folder / "job.json", json.dumps(asdict(progress), indent=1))
    return progress


def events_on_disk(folder: Path) -> set[str]:
    """The ids in `events.jsonl`; a line torn by a kill is cut off, a damaged one is passed over."""
    path = folder / "events.jsonl"
    cut_torn_line(path)
    seen = set()
    for line in path.read_bytes().splitlines() if path.exists() else []:
        with suppress(msgspec.MsgspecError):
            seen.add(msgspec.json.decode(line, type=_Event).id)
    return seen
