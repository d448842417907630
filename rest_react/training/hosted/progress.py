"""What a hosted training has done so far, on disk the moment it is known: job.json and events.jsonl.

    {"content": "9f2c...", "file": "file-abc", "job": "ftjob-xyz", "model": "ft:gpt-4.1-mini:...", "tokens": 41920,
     "account": null}
    {"step": 88, "loss": 0.478}                                  a line of loss.jsonl, made of the events at the end

Not here: what is on the server (server_lists).
"""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from rest_react.errors import UsageError
from rest_react.records import ModelRef
from rest_react.storage.files import cut_torn_line, write_file

CHECKPOINTS = "checkpoints.jsonl"


@dataclass(frozen=True, slots=True)
class Progress:
    """The content of `job.json`: the ids that the server has returned so far, and the tokens that it charges for: an
    estimate until the job is done. 0: unknown. `account`: what the training's account in spending.json holds once these
    tokens are in it, written before they are, so that after a kill they are booked once; None: they are in it."""

    content: str
    file: str = ""
    job: str = ""
    model: str = ""
    tokens: int = 0
    account: int | None = None


class _Event(msgspec.Struct):
    id: str


class _Charged(msgspec.Struct):
    tokens: int = 0


class _Measured(msgspec.Struct):
    step: int
    train_loss: float


class _EventWithLoss(msgspec.Struct):
    data: _Measured


class _Checkpoint(msgspec.Struct):
    step_number: int
    fine_tuned_model_checkpoint: Annotated[str, msgspec.Meta(min_length=1)]


def read_progress(folder: Path, content: str) -> Progress:
    """The progress in `job.json`, if it exists. Raises UsageError if it is damaged or belongs to another `content`."""
    path = folder / "job.json"
    if not path.exists():
        return Progress(content)
    try:
        progress = msgspec.json.decode(path.read_bytes(), type=Progress)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} is damaged ({error}). Delete it and run the same command again: it searches the server's list "
            "for the job, and starts (and pays for) a new one only if the list has none."
        ) from error
    if progress.content != content:
        raise UsageError(
            f"{path}: the job was started with other examples or settings; restore them, or delete it to start another"
        )
    return progress


def note_progress(folder: Path, progress: Progress) -> Progress:
    """Writes `job.json` atomically; called before the next request."""
    write_file(folder / "job.json", json.dumps(asdict(progress), indent=1))
    return progress


def charged_tokens(folder: Path) -> int | None:
    """The tokens in `job.json`; None if it has none, or is a file of another trainer."""
    path = folder / "job.json"
    with suppress(ValueError):  # not JSON, another form, or not UTF-8
        return (msgspec.json.decode(path.read_bytes(), type=_Charged).tokens or None) if path.exists() else None
    return None


def checkpoints_on_disk(folder: Path, last: ModelRef) -> dict[int, ModelRef]:
    """The models in `checkpoints.jsonl` by the number of steps, without `last`; a line without the name of a model is
    skipped."""
    path, models = folder / CHECKPOINTS, dict[int, ModelRef]()
    for line in path.read_bytes().splitlines() if path.exists() else []:
        with suppress(ValueError):  # not JSON, another form, or not UTF-8
            found = msgspec.json.decode(line, type=_Checkpoint)
            models[found.step_number] = ModelRef(found.fine_tuned_model_checkpoint, "hosted", tuned=True)
    return {steps: models[steps] for steps in sorted(models) if models[steps] != last}


def write_loss_curve(folder: Path) -> None:
    """Writes `loss.jsonl` from the events with a training loss (OpenAI's have it); nothing if there is none."""
    path, losses = folder / "events.jsonl", dict[int, float]()
    for line in path.read_bytes().splitlines() if path.exists() else []:
        with suppress(ValueError):  # not JSON, another form, or not UTF-8
            measured = msgspec.json.decode(line, type=_EventWithLoss).data
            losses[measured.step] = measured.train_loss
    if losses:
        lines = (json.dumps({"step": step, "loss": losses[step]}) for step in sorted(losses))
        write_file(folder / "loss.jsonl", "".join(f"{line}\n" for line in lines))


def events_on_disk(folder: Path) -> set[str]:
    """The ids in `events.jsonl`. An incomplete last line (after a kill) is removed; damaged lines are skipped."""
    path = folder / "events.jsonl"
    cut_torn_line(path)
    seen = set()
    for line in path.read_bytes().splitlines() if path.exists() else []:
        with suppress(ValueError):  # not JSON, another form, or not UTF-8
            seen.add(msgspec.json.decode(line, type=_Event).id)
    return seen
