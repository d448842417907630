"""Runs a training: starts its processes, reports its steps, and ends them with their parent.

    await train_in_process("rest_react.training.worker.supervised", {"examples.jsonl": examples}, base, folder, ...)

One process is started directly, several with `accelerate launch`. `num_processes` processes run data-parallel on GPUs
or CPU cores, each with the whole model unless `accelerate` shards it. This machine's own configuration of accelerate is
ignored. The processes run under `child_processes`, so they also end when this process is killed.
Errors: the error in `error.json`; without one, OutsideFault with the end of the log, or DiskError on a full disk.
With `num_machines`, this machine is number 0, and the script join.sh in the folder starts the training on the others.
Not here: the configuration of accelerate (training.accelerate_configuration).
"""

import asyncio
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from rest_react.errors import DiskError, OutsideFault, UsageError
from rest_react.processes import child_processes
from rest_react.processes.cores import usable_cores
from rest_react.records import Example, ModelRef
from rest_react.storage.files import write_file
from rest_react.terminal.console import say
from rest_react.training.process.job import LocalTraining, note_of_published, prepare_job
from rest_react.training.process.loss_curve import loss_lines, parsed_object
from rest_react.training.rows.order import count_steps

OnStep: TypeAlias = Callable[[int, int, float], None]
JOIN = "join.sh"  # in the folder of a training on several machines
_POLL_SECONDS = 0.25
_STOP_SECONDS = 5.0
_LOG_TAIL = 1500
_NEARLY_FULL = 64 << 20


async def train_in_process(
    module: str,
    rows: Mapping[str, Sequence[Example]],
    base: ModelRef,
    folder: Path,
    seed: int,
    *,
    training: LocalTraining,
    run_folder: Path,
    on_step: OnStep,
) -> ModelRef:
    """Tunes `base` with `python -m <module> folder/job.json`, or resumes an interrupted call; returns at once if the
    training has finished."""
    if not await asyncio.to_thread(prepare_job, rows, base, folder, seed, training, run_folder):
        count = len(next(iter(rows.values())))  # the first file has the rows to train on
        total = count_steps(count, training.batch_size, training.epochs, training.max_steps)
        if training.num_machines > 1:
            write_file(folder / JOIN, _join_script(module, training, folder))
            others = "the other machine" if training.num_machines == 2 else "each other machine, with its number"
            say(f"Training waits for {training.num_machines} machines. Run on {others}: bash {folder}/{JOIN} 1")
        await _launch(_command(module, training, folder / "job.json"), _environment(training), folder, total, on_step)
        if note := note_of_published(folder):
            say(f"note: {note}")
    name = (folder / "model").resolve().relative_to(run_folder.resolve()).as_posix()
    return ModelRef(name, "local", tuned=True)


async def _launch(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, total: int, on_step: OnStep
) -> None:
    losses = folder / "loss.jsonl"
    position = losses.stat().st_size if losses.exists() else 0
    with (folder / "train.log").open("ab") as log:
        process = child_processes.start(command, output=log, environment=environment)
        try:
            await _watch(process, losses, position, total, on_step)
        finally:
            await asyncio.to_thread(child_processes.stop, process, _STOP_SECONDS)
    if not (folder / "model").is_dir():
        _explain(folder, process.returncode)


async def _watch(process: subprocess.Popen[bytes], losses: Path, position: int, total: int, on_step: OnStep) -> None:
    """Calls `on_step` for each step behind `position` in the file until the process ends: those before it are of an
    interrupted call."""
    ended = False
    while not ended:
        ended = process.poll() is not None
        for line, end in loss_lines(losses, position):
            on_step(int(line["step"]), total, line["loss"])
            position = end
        if not ended:
            await asyncio.sleep(_POLL_SECONDS)


def _is_alone(training: LocalTraining) -> bool:
    """Whether the training is one process, which needs no launcher: importing it takes seconds."""
    return training.num_processes == 1 and training.accelerate is None


def _command(module: str, training: LocalTraining, job: Path) -> list[str]:
    if _is_alone(training):
        return [sys.executable, "-m", module, str(job)]
    machines = training.num_machines
    options = [
        *("--config_file", str(job.parent / "accelerate.json")),
        *("--num_processes", str(training.num_processes), "--num_machines", str(machines)),
        *("--num_cpu_threads_per_process", str(_threads(training)), "--mixed_precision", "no"),
        *("--dynamo_backend", "no"),
    ]
    if training.num_processes > 1 and training.accelerate is None:
        # `--multi_gpu` makes accelerate use torchrun; with `--cpu` it would start a single process without a warning.
        options += ["--multi_gpu"]
    if machines > 1:
        address, port = str(training.main_process_ip), str(training.main_process_port)
        options += ["--machine_rank", "0", "--main_process_ip", address, "--main_process_port", port]
    else:
        options += ["--main_process_port", "0"]
    return [sys.executable, "-m", "accelerate.commands.launch", *options, "-m", module, str(job)]


def _threads(training: LocalTraining) -> int:
    """The threads of each process."""
    return training.threads or max(1, usable_cores() * training.num_machines // training.num_processes)


def _join_script(module: str, training: LocalTraining, folder: Path) -> str:
    """A script for the other machines, which must see the run's folder under the same path. Its standard input is no
    pipe, whatever started it: a worker ends when a pipe there closes (child_processes)."""
    command = _command(module, training, (folder / "job.json").resolve())
    at = command.index("--machine_rank") + 1
    words = [shlex.quote(word) for word in command]
    words[at] = '"${1:?give the number of this machine, from 1 on}"'
    given = _environment(training)
    kept = (f"export {name}={shlex.quote(given[name])}" for name in ("PYTHONPATH", "TOKENIZERS_PARALLELISM"))
    lines = [
        "#!/usr/bin/env bash",
        f"cd {shlex.quote(str(Path.cwd()))}",
        *kept,
        f"exec {' '.join(words)} </dev/null",
        "",
    ]
    return "\n".join(lines)


def _environment(training: LocalTraining) -> dict[str, str]:
    """The child imports this package from the same place, and prints without buffering."""
    package_root = str(Path(__file__).resolve().parents[3])
    path = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH", "")]))
    given = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false"}
    return given | _variables_of_accelerate(training) if _is_alone(training) else given


def _variables_of_accelerate(training: LocalTraining) -> dict[str, str]:
    """What `accelerate launch` sets for one process. TRL refuses a process that sees several GPUs."""
    return {
        "ACCELERATE_USE_CPU": "False",
        "ACCELERATE_MIXED_PRECISION": "no",
        "ACCELERATE_DYNAMO_BACKEND": "NO",
        "CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0],
        "OMP_NUM_THREADS": str(_threads(training)),
    }


def _explain(folder: Path, status: int | None) -> None:
    """Raises the error of the worker: the message in error.json, else its exit status and its last output."""
    error = folder / "error.json"
    told = parsed_object(error.read_bytes()) if error.is_file() else {}
    free = shutil.disk_usage(folder).free
    if "message" in told:
        kind = UsageError if told.get("fault") == "usage" else OutsideFault
        advice = f". The disk has {free >> 20} MB left: free some space and run the same command again"
        full = advice if free < _NEARLY_FULL else ""
        raise kind(f"{told['message']}{full} (log: {folder}/train.log)")
    if free < _NEARLY_FULL:
        raise DiskError(
            f"{folder}: the training process ended with status {status}, and the disk has {free >> 20} MB left; free "
            f"some space and run the same command again (log: {folder}/train.log)"
        )
    tail = (folder / "train.log").read_bytes()[-_LOG_TAIL:].decode("utf-8", "replace").strip()
    killed = status is not None and status > 128
    how = f"was killed by signal {(status or 0) - 128}" if killed else f"ended with status {status}"
    raise OutsideFault(f"fine-tuning: the training process {how}; the last lines of {folder}/train.log:\n{tail}")
