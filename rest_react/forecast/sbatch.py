"""A script for SLURM's `sbatch` that runs a command of this project on one node, and resumes it when it is requeued.

    sbatch_script(settings, ["experiment=paper_gpu", "finetune.accelerate=fsdp2"], minutes=430.0)

`dry_run=true` prints it where `sbatch` is installed; any other command writes it into the run's folder as sbatch.sh.
The time limit is twice the forecast, or a day where the forecast is unknown. A script asks for GPUs only where the
settings need them; where `device=auto` would take one, a comment has the line to add. A run over several machines has
no script, because a script starts a run on one of them: `why_no_script` says what to do instead.
Not here: sweeps, which Hydra's launcher submits.
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


def why_no_script(settings: Settings) -> str:
    """Why no script can start this run, and what to do; empty if one can."""
    parts = used_parts(settings)
    if (machines := getattr(parts.get("finetune"), "num_machines", 1)) > 1:
        return (
            f"no script for sbatch, which would start one machine: finetune.num_machines={machines}. Run this command "
            "on machine 0, and join.sh of each training on every other machine (docs/scaling.md, Training)"
        )
    for role, part in parts.items():
        if getattr(part, "spans_machines", False):
            return (
                f"no script for sbatch, which would start one machine: by {role}.extra_args the model runs on a Ray "
                "cluster. Start Ray on each machine, and this command on one of them (docs/scaling.md, Rollouts)"
            )
    return ""


def sbatch_script(settings: Settings, overrides: Sequence[str], minutes: float | None) -> str:
    """The script for the command with these overrides, which is expected to take so many minutes."""
    limit = max(60, round(minutes * _SPARE)) if minutes is not None else round(_A_DAY)
    gpus = _gpus(settings)
    cores = _CORES_PER_GPU * gpus or min(usable_cores(), _MOST_CORES)
    name = "".join(char if char.isalnum() else "-" for char in settings.run)
    words = [word for word in overrides if not word.startswith("dry_run=")]
    return _TEMPLATE.format(
        name=f"rest_react-{name}",
        gpus=f"#SBATCH --gpus={gpus}\n" if gpus else _how_to_ask(_gpus(settings, optional=True)),
        cores=cores,
        hours=limit // 60,
        minutes=limit % 60,
        folder=shlex.quote(os.fspath(Path.cwd())),
        python=shlex.quote(sys.executable),
        words=" ".join(map(shlex.quote, words)),
    )


def _how_to_ask(gpus: int) -> str:
    """A comment on GPUs that the job may have and does not need."""
    line = f"# No setting needs a GPU; device=auto takes one where there is one. To ask for it: #SBATCH --gpus={gpus}\n"
    return line if gpus else ""


def _gpus(settings: Settings, *, optional: bool = False) -> int:
    """The GPUs of the model or the training that needs most, with `optional` also of those that run on the CPU as well.
    Of two models that run at the same time, such as a teacher and its judge, both begin with the first GPU. A training
    is where the policy is; that of a server's policy, or with a setting that needs a GPU, is on GPUs."""
    parts, policy, finetune = used_parts(settings), settings.policy, settings.finetune
    needed = {
        role: getattr(part, "gpus", 0) or int(optional and getattr(part, "takes_gpu", False))
        for role, part in parts.items()
    }
    on_gpus = policy.runs == "server" or needed["policy"] > 0 or getattr(finetune, "needs_gpu", False)
    if "finetune" in parts and finetune.tunes == "here" and on_gpus:
        needed["finetune"] = getattr(finetune, "num_processes", 1)
    return max(needed.values())
