"""Prepares the folder of a training: the job that its process reads, and the state of an interrupted training.

    folder/examples.jsonl   the training data          folder/job.json     the settings (`Job`), with accelerate.json
    folder/loss.jsonl       one line per step          folder/train.log    the output of the process
    folder/checkpoints/     during the training        folder/error.json   why it failed
    folder/model/           the weights, written last: if it exists, the training is complete
    folder/adapter/         the LoRA adapter, if one was trained
    folder/snapshots/55/    the same after fewer steps, with `snapshots` above 1
    folder/published.json   the data type of model/, and what share of the update rounding to the base's would keep

Not here: starting the process (launch).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import msgspec

from rest_react.errors import UsageError
from rest_react.records import Example, ModelRef
from rest_react.storage.files import folder_digest, make_folder, remove, write_file
from rest_react.storage.locked_settings import flatten, is_locked
from rest_react.terminal.console import say
from rest_react.training.accelerate_configuration import accelerate_configuration
from rest_react.training.process.checkpoints import last_checkpoint
from rest_react.training.process.loss_curve import loss_lines
from rest_react.training.process.snapshots import SNAPSHOTS
from rest_react.training.rows.holdout import HELD_OUT
from rest_react.weights import resolve_weights
from rest_react.weights.number_type import NumberType, compute_type_here

JOB_EXAMPLES, PUBLISHED = "examples.jsonl", "published.json"
_DRAFTS = ("trained", "model.tmp")  # of publishing
ENOUGH_KEPT = 0.9  # of an update, by rounding to the data type of the base
How = TypeVar("How", bound="LocalTraining")
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class LocalTraining:
    """Settings of a training. `batch_size` is the examples per optimiser step over all processes, `micro_batch_size`
    those of a forward pass, `holdout` the share of questions that do not train, `snapshots` the models that are kept,
    `save_every` the steps between checkpoints, `threads` the threads of each process."""

    method: Literal["full", "lora"]
    mode: Literal["chat", "completion"]
    epochs: float
    max_steps: int | None
    batch_size: int
    micro_batch_size: int
    learning_rate: float
    warmup_ratio: float
    weight_decay: float
    max_length: int
    save_every: int | None
    lora_r: int
    lora_alpha: int
    lora_dropout: float
    optimizer: Literal["adamw", "adafactor"]
    num_processes: int
    threads: int | None
    chat_template_kwargs: Mapping[str, object] | None = None
    dtype: NumberType = "auto"
    load_in_4bit: bool = False
    liger_kernel: bool = False
    holdout: float = 0.0
    snapshots: int = 1
    accelerate: str | None = None
    num_machines: int = 1
    main_process_ip: str | None = None
    main_process_port: int = 29_500

    @property
    def accumulation(self) -> int:
        """Forward passes of each process per optimiser step."""
        return self.batch_size // (self.micro_batch_size * self.num_processes)


@dataclass(frozen=True, slots=True)
class Job(Generic[How]):
    """The content of `folder/job.json`. `base` is a folder or a Hub id; the training resumes from `checkpoint`, whose
    base has this digest (of a Hub id: the id)."""

    base: str
    folder: str
    seed: int
    checkpoint: str | None
    training: How
    base_digest: str = ""


def read_job(path: Path, how: type[How]) -> Job[How]:
    """Reads a job; `how` is the type of its settings."""
    fields = json.loads(path.read_text(encoding="utf-8"))
    return Job(**{**fields, "training": msgspec.convert(fields["training"], how)})


def read_rows(path: Path, kind: type[Row]) -> list[Row]:
    """The rows of a job, from a JSON Lines file."""
    with path.open("rb") as lines:
        return [msgspec.json.decode(line, type=kind) for line in lines]


def prepare_job(
    rows: Mapping[str, Sequence[Example]],
    base: ModelRef,
    folder: Path,
    seed: int,
    training: LocalTraining,
    run_folder: Path,
) -> bool:
    """Writes the files that the process reads; `rows` maps file names to records. True if the training is complete: a
    model of other rows is removed. For `dtype=auto` the job has the type of number of this machine; that of the first
    machine if it resumes."""
    make_folder(folder)
    files = {name: "".join(json.dumps(asdict(row)) + "\n" for row in records) for name, records in rows.items()}
    if (folder / "model").is_dir() and not any(_are_other_rows(folder / name, new) for name, new in files.items()):
        _complete_published(folder, files)
        return True
    if (folder / "model").is_dir():
        say(f"note: {folder}: the model there was trained on other rows, so it is trained again")
        for left in (SNAPSHOTS, "adapter", PUBLISHED, "model"):  # the model last: a kill leaves none of its parts
            remove(folder / left)
    if HELD_OUT not in files:
        remove(folder / HELD_OUT)  # of earlier rows
    _write_job(files, str(base_weights(base, run_folder)), folder, seed, training)
    return False


def _are_other_rows(path: Path, new: str) -> bool:
    """Whether the rows in a file differ from the new ones in a field that both have: another version may write more
    fields. Rows that are missing or damaged are not known to be others, and a training is too dear to repeat for them.
    """
    try:
        before = [dict(json.loads(line)) for line in path.read_bytes().splitlines()]
    except (OSError, ValueError, TypeError):
        return False
    rows = [json.loads(line) for line in new.splitlines()]
    pairs = zip(before, rows, strict=False)
    return len(before) != len(rows) or any(old[key] != row[key] for old, row in pairs for key in old.keys() & row)


def _complete_published(folder: Path, files: Mapping[str, str]) -> None:
    """Cleans up after a kill between publishing the model and cleaning up, and writes rows that are missing."""
    for left in (*_DRAFTS, "checkpoints"):
        remove(folder / left)
    for name, lines in files.items():
        if not (folder / name).exists():
            write_file(folder / name, lines)


def _write_job(files: Mapping[str, str], weights: str, folder: Path, seed: int, training: LocalTraining) -> None:
    """The job of a model to be trained from `weights`, from the last checkpoint if it is of the same training."""
    is_auto = training.dtype == "auto"
    if is_auto:
        training = replace(training, dtype=_number_type_before(folder))
    digest = folder_digest(Path(weights)) if Path(weights).is_dir() else weights
    _drop_another_training(folder, files, seed, training, digest)
    checkpoint = prepare_resume(folder)
    if is_auto and checkpoint is None:
        training = replace(training, dtype=compute_type_here("auto"))
    job = Job(weights, str(folder.resolve()), seed, checkpoint, training, digest)
    for name, lines in files.items():
        write_file(folder / name, lines)
    write_file(folder / "job.json", json.dumps(asdict(job), indent=2))
    write_file(folder / "accelerate.json", json.dumps(accelerate_configuration(training.accelerate)))
    (folder / "error.json").unlink(missing_ok=True)


def _number_type_before(folder: Path) -> NumberType:
    """The type of number of the training that was begun here; `auto` if there is none that can be read."""
    try:
        told: NumberType = json.loads((folder / "job.json").read_text(encoding="utf-8"))["training"]["dtype"]
    except (OSError, ValueError, KeyError, TypeError):
        return "auto"
    return told


def _drop_another_training(
    folder: Path, files: Mapping[str, str], seed: int, training: LocalTraining, base_digest: str
) -> None:
    """Removes the state of an interrupted training of another base, with other rows, another seed or settings that
    change its result: its checkpoints do not belong to this one."""
    path = folder / "job.json"
    if not path.exists():
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
        same = before["seed"] == seed and _that_count(before["training"]) == _that_count(asdict(training))
        same = same and before.get("base_digest", base_digest) == base_digest  # an earlier version wrote none
    except (ValueError, KeyError, TypeError):  # of another version
        same = False
    same = same and all((folder / name).exists() and (folder / name).read_text() == new for name, new in files.items())
    if not same:
        remove(folder / SNAPSHOTS)
    if not same and (folder / "checkpoints").exists():
        say(
            f"note: {folder}: the rows, the settings or the base of this training have changed since it began, so it "
            "starts again"
        )
        remove(folder / "checkpoints")
        (folder / "loss.jsonl").unlink(missing_ok=True)


def _that_count(training: Mapping[str, Any]) -> str:
    """The settings of a training that can change its result, as a text."""
    counts = {place: value for place, value in flatten(training, "finetune") if is_locked(place)}
    return json.dumps(counts, sort_keys=True)


def note_of_published(folder: Path) -> str:
    """What a user must know of the published weights; empty if they have the data type of the base."""
    path = folder / PUBLISHED
    told = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if told.get("update_kept", 1.0) >= ENOUGH_KEPT:
        return ""
    return (
        f"{folder}: rounding to the base's data type would keep {told['update_kept']:.0%} of the update, so the model "
        "is published in float32. A server that casts it down loses the rest; a higher finetune.learning_rate does not"
    )


def base_weights(base: ModelRef, run_folder: Path) -> Path | str:
    """The argument of `from_pretrained` for `base`. A local model's folder has merged weights, so a model tuned with
    LoRA can be tuned again. Raises UsageError if `base` is hosted or its folder does not exist."""
    match base.where:
        case "base":
            return resolve_weights(base.name)
        case "local":
            folder = run_folder.resolve() / base.name
            if not folder.is_dir():
                raise UsageError(
                    f"fine-tuning starts from {folder}, which does not exist; run the previous iteration first"
                )
            return resolve_weights(str(folder))
        case "hosted":
            raise UsageError(
                f"{base.name} is a hosted model and cannot be tuned here; set finetune to a hosted trainer"
            )


def prepare_resume(folder: Path) -> str | None:
    """The last complete checkpoint, or None. Removes incomplete checkpoints and the lines of loss.jsonl after it; these
    steps are trained and logged again."""
    for draft in _DRAFTS:
        remove(folder / draft)
    checkpoint = last_checkpoint(folder / "checkpoints")
    last = 0 if checkpoint is None else int(checkpoint.name.removeprefix("checkpoint-"))
    losses = folder / "loss.jsonl"
    kept = [line for line, _ in loss_lines(losses, 0) if line["step"] <= last]
    if len(kept) < last:
        say(f"note: {losses}: {last - len(kept)} of {last} steps are missing or damaged; the loss curve omits them")
    write_file(losses, "".join(json.dumps(line) + "\n" for line in kept))
    return None if checkpoint is None else str(checkpoint.resolve())
