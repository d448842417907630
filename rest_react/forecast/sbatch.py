"""A script for SLURM's `sbatch` that runs a command of this project on one node, and resumes it when it is requeued.

    sbatch_script(settings, ["experiment=paper_gpu", "finetune.accelerate=fsdp2"], minutes=430.0)

`dry_run=true` prints it where `sbatch` is installed; any other command writes it into the run's folder as sbatch.sh.
The time limit is twice the forecast, or a day where the forecast is unknown.
Not here: sweeps, which Hydra's launcher submits, and trainings over several machines (docs/scaling.md).
"""

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from rest_react.config.checks.needs import used_parts
from rest_react.config.settings import Settings
from rest_react.forecast.estimate import forecast
from rest_react.processes.cores import usable_cores
from rest_react.storage.run_folder import RunFolder

SCRIPT = "sbatch.sh"
_A_DAY = 24 * 60.0
_SPARE = 2.0
_CORES_PER_GPU = 8
_MOST_CORES = 16  # without a GPU; a training on a CPU gains little from more
_TEMPLATE = """#!/usr/bin/env bash
#SBATCH --job-name={name}
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task={cores}
{gpus}#SBATCH --time={hours}:{minutes:02}:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=TERM@120
# The signal comes two minutes before the limit: the run saves its progress and ends with 143, and the job is queued
# again. It then resumes.
cd {folder} || exit 1
srun --cpus-per-task={cores} {python} -m rest_react.run {words}
status=$?
[ "$status" -ne 143 ] || scontrol requeue "$SLURM_JOB_ID"
exit "$status"
"""


def has_slurm() -> bool:
    """Whether this machine can submit jobs to SLURM."""
    return shutil.which("sbatch") is not None


def expected_minutes(settings: Settings, folder: RunFolder) -> float | None:
    """The time of the stages that are left; None if one is unknown."""
    minutes = [row.minutes for row in forecast(settings, folder)]
    return None if None in minutes else sum(minute or 0.0 for minute in minutes)


def sbatch_script(settings: Settings, overrides: Sequence[str], minutes: float | None) -> str:
    """The script for the command with these overrides, which is expected to take so many minutes."""
    limit = max(60, round(minutes * _SPARE)) if minutes is not None else round(_A_DAY)
    gpus = _gpus(settings)
    cores = _CORES_PER_GPU * gpus or min(usable_cores(), _MOST_CORES)
    name = "".join(char if char.isalnum() else "-" for char in settings.run)
    words = [word for word in overrides if not word.startswith("dry_run=")]
    return _TEMPLATE.format(
        name=f"rest_react-{name}",
        gpus=f"#SBATCH --gpus={gpus}\n" if gpus else "",
        cores=cores,
        hours=limit // 60,
        minutes=limit % 60,
        folder=shlex.quote(os.fspath(Path.cwd())),
        python=shlex.quote(sys.executable),
        words=" ".join(map(shlex.quote, words)),
    )


def _gpus(settings: Settings) -> int:
    """The GPUs of the model or the training that needs most. Of two models that run at the same time, such as a teacher
    and its judge, both begin with the first GPU. A policy on the CPU, or a script, is tuned on the CPU."""
    parts, policy = used_parts(settings), settings.policy
    on_gpus = policy.runs == "server" or policy.gpus > 0
    trains = "finetune" in parts and settings.finetune.tunes == "here" and on_gpus
    training = getattr(settings.finetune, "num_processes", 1) if trains else 0
    return max(training, *(getattr(part, "gpus", 0) for part in parts.values()))
