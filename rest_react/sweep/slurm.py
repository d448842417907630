"""What a sweep on SLURM needs beyond submitit's launcher: runs that end whole, and a sweep that waits for all its jobs.

    with ended_by_slurm(reasons): run(...)       # in a job: at the time limit the run ends as after Ctrl-C
    wait_for_jobs(folder)                        # in the command: after the launcher stopped at a job that was killed

submitit's own signal handler raises in the middle of whatever runs, which would look like a bug of the run.
Not here: the jobs and their table (jobs), the script for one run (forecast.sbatch).
"""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rest_react.processes.command import interrupt
from rest_react.terminal.console import say

_SIGNAL = signal.SIGUSR2  # submitit asks SLURM for it, before the time limit and at a preemption
_QUEUE = ("squeue", "--noheader", "--array", "--format=%i")
_POLL_S = 10.0


@contextmanager
def ended_by_slurm(reasons: list[str]) -> Iterator[None]:
    """Ends the block like Ctrl-C when SLURM is about to end the job, and appends why. submitit is asked first, which
    queues the job again if `hydra.launcher.max_num_timeout` allows; what it raises is raised after the block."""
    theirs = signal.getsignal(_SIGNAL)
    if not callable(theirs):  # not a job of submitit
        yield
        return
    from submitit.core.utils import UncompletedJobError

    raised: list[BaseException] = []

    def handle(number: int, frame: FrameType | None) -> None:
        try:
            theirs(number, frame)
        except SystemExit as end:
            raised.append(end)
            reasons.append("SLURM's time limit or a preemption ended the job; it is queued again and resumes")
        except UncompletedJobError as error:
            raised.append(error)
            reasons.append("SLURM's time limit ended the job; run the same command again to resume")
        interrupt(number, frame)

    signal.signal(_SIGNAL, handle)
    try:
        yield
    except KeyboardInterrupt:
        if raised:
            raise raised[0] from None
        raise
    finally:
        signal.signal(_SIGNAL, theirs)


def submitted_jobs(folder: Path) -> list[str]:
    """The numbers that SLURM gave the jobs of the sweep in this folder; none if they did not go to SLURM."""
    from omegaconf import OmegaConf

    settings = folder / "multirun.yaml"
    if not settings.is_file():
        return []
    launcher = OmegaConf.select(OmegaConf.load(settings), "hydra.launcher._target_", default="")
    if not launcher.endswith(".SlurmLauncher"):
        return []
    ending = "_submitted.pkl"
    return sorted(path.name.removesuffix(ending) for path in folder.glob(f".submitit/*/*{ending}"))


def wait_for_jobs(folder: Path) -> int:
    """Waits until no job of the sweep is queued or runs, since the launcher waits only until the first one that was
    killed. Returns how many were submitted. It asks `squeue`: accounting has no record of some cancelled jobs."""
    numbers, told = submitted_jobs(folder), False
    while numbers:
        queue = subprocess.run(_QUEUE, capture_output=True, text=True, check=False)
        if not queue.returncode and not set(numbers) & set(queue.stdout.split()):
            break
        if queue.returncode and not told:
            why = " ".join(queue.stderr.split())[:200]
            say(f"note: squeue failed ({why}), so it is unknown whether jobs still run; it is asked until it answers")
        told = told or queue.returncode != 0
        time.sleep(_POLL_S)
    return len(numbers)
