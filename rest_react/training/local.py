"""Fine-tuning on this machine: a job in a process of its own, so that its memory comes back when it ends.

    folder/examples.jsonl   what to train on           folder/job.json     how (`Job`); accelerate.json beside it
    folder/loss.jsonl       one line per step          folder/train.log    what the process printed
    folder/checkpoints/     while it runs              folder/error.json   why it failed
    folder/model/           the weights, written last: there means complete     folder/adapter/   LoRA's, beside them

The process is started by `accelerate launch`, so `num_processes` runs data-parallel on GPUs or CPU cores, each with the
whole model. What `accelerate config` left on the machine is not read: the job is all there is. The process holds the
read end of a pipe as its standard input and ends when the pipe closes: no kill of this process, SIGKILL included,
leaves a trainer behind. Calling `train` again resumes from the last checkpoint.
Not here: the training itself (`worker`), which is never imported, only launched, and models sharded over several GPUs.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from rest_react import supervise
from rest_react.console import say
from rest_react.errors import DiskError, OutsideFault, UsageError
from rest_react.records import Example, ModelRef
from rest_react.storage.files import make_folder, remove, write_file
from rest_react.training.checkpoints import last_checkpoint
from rest_react.weights import count_steps, make_rows, resolve_weights

_POLL_SECONDS = 0.25
_STOP_SECONDS = 5.0
_LOG_TAIL = 1500
_NEARLY_FULL = 64 << 20


@dataclass(frozen=True, slots=True)
class LocalTraining:
    """How to tune. `batch_size` is examples per optimiser step over all processes; a forward pass takes
    `micro_batch_size` of them. `save_every` counts steps between checkpoints, `threads` is per process."""

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

    @property
    def accumulation(self) -> int:
        """Forward passes of each process per optimiser step."""
        return self.batch_size // (self.micro_batch_size * self.num_processes)


@dataclass(frozen=True, slots=True)
class Job:
    """What the worker process reads from `folder/job.json`. `base` is a folder or a Hub id, `checkpoint` where to go
    on from."""

    base: str
    folder: str
    seed: int
    checkpoint: str | None
    training: LocalTraining


def read_job(path: Path) -> Job:
    """The inverse of writing a job's `asdict` as JSON."""
    fields = json.loads(path.read_text(encoding="utf-8"))
    return Job(**{**fields, "training": LocalTraining(**fields["training"])})


def read_examples(path: Path) -> list[Example]:
    """The examples of a job."""
    with path.open(encoding="utf-8") as lines:
        return [Example(**json.loads(line)) for line in lines]


class LocalTrainer:
    """`records.Trainer` on this machine. `on_step(step, total_steps, loss)` is called as training goes on."""

    def __init__(
        self,
        training: LocalTraining,
        run_folder: Path,
        on_step: Callable[[int, int, float], None] = lambda step, total, loss: None,
    ) -> None:
        self._training = training
        self._run_folder = run_folder
        self._on_step = on_step

    async def train(self, examples: Sequence[Example], base: ModelRef, folder: Path, seed: int) -> ModelRef:
        """Tunes `base`, or goes on where an earlier call was cut short; returns at once if it had finished."""
        if not await asyncio.to_thread(self._prepare, examples, base, folder, seed):
            training = self._training
            total = count_steps(len(examples), training.batch_size, training.epochs, training.max_steps)
            await self._launch(folder, total)
        return self._trained(folder)

    def _prepare(self, examples: Sequence[Example], base: ModelRef, folder: Path, seed: int) -> bool:
        """Writes what the worker reads; True if there is nothing left to do."""
        make_folder(folder)
        lines = "".join(json.dumps(asdict(example)) + "\n" for example in examples)
        if (folder / "model").is_dir():
            for left in ("trained", "model.tmp", "checkpoints"):  # a kill came between the last two moves of the worker
                remove(folder / left)
            if not (folder / "examples.jsonl").exists():
                write_file(folder / "examples.jsonl", lines)
            return True
        weights = base_weights(base, self._run_folder)
        job = Job(str(weights), str(folder.resolve()), seed, prepare_resume(folder), self._training)
        write_file(folder / "examples.jsonl", lines)
        write_file(folder / "job.json", json.dumps(asdict(job), indent=2))
        write_file(folder / "accelerate.json", '{"distributed_type": "NO"}')
        (folder / "error.json").unlink(missing_ok=True)
        return False

    def _trained(self, folder: Path) -> ModelRef:
        name = (folder / "model").resolve().relative_to(self._run_folder.resolve()).as_posix()
        return ModelRef(name, "local", tuned=True)

    async def _launch(self, folder: Path, total: int) -> None:
        with (folder / "train.log").open("ab") as log:
            command = _command(self._training, folder / "job.json")
            process = supervise.start(command, output=log, environment=_environment())
            try:
                await self._watch(process, folder / "loss.jsonl", total)
            finally:
                await asyncio.to_thread(supervise.stop, process, _STOP_SECONDS)
        if not (folder / "model").is_dir():
            _explain(folder, process.returncode)

    async def _watch(self, process: subprocess.Popen[bytes], losses: Path, total: int) -> None:
        """Reports steps until the process ends; those of an earlier, interrupted call come first."""
        position, ended = 0, False
        while not ended:
            ended = process.poll() is not None
            for line, end in loss_lines(losses, position):
                self._on_step(int(line["step"]), total, line["loss"])
                position = end
            if not ended:
                await asyncio.sleep(_POLL_SECONDS)


def base_weights(base: ModelRef, run_folder: Path) -> Path | str:
    """What `from_pretrained` loads for `base`. A local model's folder holds merged weights, so a LoRA can be tuned
    again like any other model."""
    match base.where:
        case "base":
            return resolve_weights(base.name)
        case "local":
            folder = run_folder.resolve() / base.name
            if not folder.is_dir():
                raise UsageError(
                    f"fine-tuning starts from {folder}, which is not there; run the iteration before first"
                )
            return resolve_weights(str(folder))
        case "hosted":
            raise UsageError(
                f"{base.name} is a hosted model and cannot be tuned here; set finetune to a hosted trainer"
            )


def prepare_resume(folder: Path) -> str | None:
    """The last whole checkpoint. Clears away what came after it: checkpoints that a kill cut short, and the steps they
    lost, which will be logged again."""
    for draft in ("trained", "model.tmp"):
        remove(folder / draft)
    checkpoint = last_checkpoint(folder / "checkpoints")
    last = 0 if checkpoint is None else int(checkpoint.name.removeprefix("checkpoint-"))
    losses = folder / "loss.jsonl"
    kept = [line for line, _ in loss_lines(losses, 0) if line["step"] <= last]
    if len(kept) < last:
        say(f"note: {losses}: {last - len(kept)} of {last} steps are missing or damaged; the curve leaves them out")
    write_file(losses, "".join(json.dumps(line) + "\n" for line in kept))
    return None if checkpoint is None else str(checkpoint.resolve())


def _command(training: LocalTraining, job: Path) -> list[str]:
    threads = training.threads or max(1, (os.cpu_count() or 1) // training.num_processes)
    options = [
        *("--config_file", str(job.parent / "accelerate.json")),
        *("--num_processes", str(training.num_processes), "--num_machines", "1"),
        *("--num_cpu_threads_per_process", str(threads), "--mixed_precision", "no", "--dynamo_backend", "no"),
    ]
    if training.num_processes > 1:
        # accelerate's word for "start them with torchrun"; with `--cpu` it would start one process and say nothing.
        options += ["--multi_gpu", "--main_process_port", "0"]
    else:
        # TRL refuses a process that sees several GPUs.
        options += ["--gpu_ids", os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]]
    return [sys.executable, "-m", "accelerate.commands.launch", *options, "-m", "rest_react.training.worker", str(job)]


def _environment() -> dict[str, str]:
    """The child finds this package wherever it was imported from, and prints as it goes."""
    package_root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false"}


def loss_lines(losses: Path, position: int) -> Iterator[tuple[dict[str, float], int]]:
    """The whole lines after `position`, each with the position behind it. A line being written waits; a damaged one is
    passed over."""
    if not losses.is_file():
        return
    with losses.open("rb") as file:
        file.seek(position)
        for line in file:
            if not line.endswith(b"\n"):
                return
            position += len(line)
            read = _parsed(line)
            if isinstance(read.get("step"), int) and isinstance(read.get("loss"), (int, float)):
                yield read, position


def _explain(folder: Path, status: int | None) -> None:
    """Raises what stopped the worker: its own words if it left any, else how it ended and the last it printed."""
    error = folder / "error.json"
    told = _parsed(error.read_bytes()) if error.is_file() else {}
    free = shutil.disk_usage(folder).free
    if "message" in told:
        kind = UsageError if told.get("fault") == "usage" else OutsideFault
        full = f". The disk has {free >> 20} MB left: free some space and run again" if free < _NEARLY_FULL else ""
        raise kind(f"{told['message']}{full} (log: {folder}/train.log)")
    if free < _NEARLY_FULL:
        raise DiskError(
            f"{folder}: the training process ended with status {status}, and the disk has {free >> 20} MB left; free "
            f"some space and run the same command again (log: {folder}/train.log)"
        )
    tail = (folder / "train.log").read_bytes()[-_LOG_TAIL:].decode("utf-8", "replace").strip()
    killed = status is not None and status > 128
    how = f"was killed by signal {(status or 0) - 128}" if killed else f"ended with status {status}"
    raise OutsideFault(f"fine-tuning: the training process {how}; the end of {folder}/train.log:\n{tail}")


def _parsed(text: bytes) -> dict[str, Any]:
    """A JSON object; an empty one of a text that is none, as a kill or a power cut leaves it."""
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


class DryRunTrainer:
    """The trainer that trains nothing (`finetune=dry_run`): checks the examples as a real one would and hands the base
    back as tuned. For tests of the loop, and for seeing what a fine-tuning stage would be given."""

    def __init__(
        self,
        mode: Literal["chat", "completion"],
        max_length: int,
        run_folder: Path,
        chat_template_kwargs: Mapping[str, object] | None = None,
    ) -> None:
        self._mode = mode
        self._template_kwargs = chat_template_kwargs
        self._max_length = max_length
        self._run_folder = run_folder

    async def train(self, examples: Sequence[Example], base: ModelRef, folder: Path, seed: int) -> ModelRef:
        """Checks every row; `folder` and `seed` are not used."""
        await asyncio.to_thread(self._check, examples, base)
        return replace(base, tuned=True)

    def _check(self, examples: Sequence[Example], base: ModelRef) -> None:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(base_weights(base, self._run_folder))
        make_rows(examples, tokenizer, self._mode, self._max_length, self._template_kwargs)
