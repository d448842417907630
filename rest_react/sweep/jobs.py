"""Runs a sweep: many runs with one command, and a table of their outcomes at the end.

    $ python -m rest_react.run -m 'run=mine_${seed}' seed=0,1,2
    ...
    Job  Settings           Outcome              Folder
    0    run=mine_0 seed=0  done                 /home/you/outputs/mine_0
    1    run=mine_1 seed=1  incomplete (exit 3)  /home/you/outputs/mine_1
         3 of 50 trajectories failed because of external errors ...
    2    run=mine_2 seed=2  done                 /home/you/outputs/mine_2

Below it stand the results by settings, with means over seeds (report).

A failed job does not stop the next one; Ctrl-C ends the sweep. Each job writes `<number>.json` into the sweep's folder,
so it can run on another machine (`hydra/launcher=submitit_slurm`, installed with the extra `slurm`). Hydra's launcher
pickles `Job`, so `Job` must not be defined in `__main__`.
Not here: what a job does (run), composing its settings (config.compose).
"""

import json
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rest_react.config.cli import with_hydra
from rest_react.config.overrides import text
from rest_react.errors import OutsideFault, outside
from rest_react.processes.command import exit_status
from rest_react.storage.files import write_file
from rest_react.sweep.job_outcome import RUNNING, outcome, own_settings
from rest_react.sweep.report import write_sweep_report
from rest_react.sweep.slurm import ended_by_slurm, submitted_jobs, wait_for_jobs
from rest_react.terminal.console import say


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: its exit status, its folder (empty if its settings name none) and its last message; `iteration`
    is the last one that it was asked for."""

    status: int
    folder: str
    message: str
    iteration: int | None = None


@dataclass(frozen=True)
class Job:
    """The callable that Hydra runs for each job of a sweep."""

    work: Callable[[Any], Ended]
    folder: Path

    def __call__(self, config: Any) -> None:
        """Runs one job and records its outcome, also after a bug or an interrupt."""
        from hydra.core.hydra_config import HydraConfig

        job = HydraConfig.get()
        pairs = (override.partition("=") for override in job.overrides.task)
        number, overrides = job.job.num, [f"{key}{equals}{text(value)}" for key, equals, value in pairs]
        say(f"job {number}: {' '.join(overrides)}")
        self._record(number, overrides, Ended(RUNNING, "", "it was killed, or is still running"))
        ended: Ended | None = None
        reasons = ["the job was interrupted"]
        try:
            with ended_by_slurm(reasons), outside("the job ended with a bug"):
                ended = self.work(config)
        except OutsideFault as error:  # the next jobs still run
            traceback.print_exception(error.__cause__)
            ended = Ended(1, "", str(error))
        finally:
            self._record(number, overrides, ended or Ended(exit_status(), "", reasons[-1]))
        if ended.status:
            say(ended.message)

    def _record(self, number: int, overrides: list[str], ended: Ended) -> None:
        record = {"job": number, "overrides": overrides, **asdict(ended)}
        write_file(self.folder / f"{number}.json", json.dumps(record))


def sweep(work: Callable[[Any], Ended], folder: Path) -> int:
    """Runs every job of the sweep on the command line and prints the table of outcomes.

    Returns the exit status: 0 if all jobs are done, the status of the failed jobs if it is the same for all, else 1.
    """
    broken, submitted, earlier = False, 0, frozenset(_records(folder))
    try:
        with_hydra(Job(work, folder))
    except SystemExit as end:  # Hydra printed what went wrong outside the jobs
        broken = bool(end.code)
        submitted = wait_for_jobs(folder)
    except KeyboardInterrupt:
        if numbers := submitted_jobs(folder):
            say(f"SLURM still runs the jobs of this sweep; to end them: scancel {' '.join(numbers)}")
        raise
    finally:
        jobs = list(outcomes(folder, earlier))
        if jobs:
            say(f"\n{table(jobs)}")
        if submitted > len(jobs):
            say(f"{submitted - len(jobs)} of {submitted} jobs never started: SLURM cancelled them in its queue")
        if told := write_sweep_report(jobs, folder):
            say(f"\n{told}")
    failed = {job["status"] for job in jobs if job["status"]}
    if not failed and not broken:
        return 0
    return failed.pop() if len(failed) == 1 and failed != {RUNNING} else 1


def outcomes(folder: Path, earlier: Collection[tuple[Path, int]] = ()) -> Iterator[dict[str, Any]]:
    """The record of each started job, by job number; not the `earlier` ones, of another sweep in the same folder."""
    records = [path for path, written in _records(folder) if (path, written) not in earlier]
    for path in sorted(records, key=lambda path: int(path.stem)):
        yield json.loads(path.read_text(encoding="utf-8"))


def _records(folder: Path) -> Iterator[tuple[Path, int]]:
    """The file of each job's record, and when it was written."""
    return ((path, path.stat().st_mtime_ns) for path in folder.glob("*.json") if path.stem.isdecimal())


def table(jobs: Sequence[Mapping[str, Any]]) -> str:
    """One line per job with the overrides that differ between jobs, and the message of each failed job."""
    lines = [("Job", "Settings", "Outcome", "Folder")]
    for job, own in zip(jobs, own_settings(jobs), strict=True):
        status = job["status"]
        ended = outcome(status) + (f" (exit {status})" if status > 0 else "")
        lines.append((str(job["job"]), own, ended, job["folder"] or "-"))
    widths = [max(len(line[i]) for line in lines) for i in range(3)]
    rows = ["  ".join([*map(str.ljust, line[:3], widths), line[3]]) for line in lines]
    messages = ["", *("".join(f"\n     {part}" for part in job["message"].splitlines()) for job in jobs)]
    return "\n".join(map(str.__add__, rows, messages))
