import os
import signal
from pathlib import Path
from types import FrameType

import pytest
from submitit.core.utils import UncompletedJobError

from rest_react.run import job
from rest_react.sweep.jobs import sweep
from rest_react.sweep.slurm import ended_by_slurm, wait_for_jobs


def press_ctrl_c(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("theirs", "way_out"),
    [
        (SystemExit(-1), "it is queued again and resumes"),
        (UncompletedJobError("timed-out too many times"), "run the same command again to resume"),
    ],
)
def test_at_the_time_limit_a_run_ends_like_after_ctrl_c_before_submitit_ends_the_job(
    theirs: BaseException, way_out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rest_react.sweep.slurm.interrupt", press_ctrl_c)

    def handler_of_submitit(number: int, frame: FrameType | None) -> None:
        raise theirs

    before = signal.signal(signal.SIGUSR2, handler_of_submitit)
    reasons, seen = ["none"], list[type[BaseException]]()
    try:
        with pytest.raises(type(theirs)), ended_by_slurm(reasons):
            try:
                os.kill(os.getpid(), signal.SIGUSR2)
                signal.pause()
            except BaseException as error:
                seen.append(type(error))
                raise
        assert signal.getsignal(signal.SIGUSR2) is handler_of_submitit
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert seen == [KeyboardInterrupt] and [reason.partition("; ")[2] for reason in reasons[1:]] == [way_out]


def test_a_job_outside_submitit_keeps_its_signals() -> None:
    reasons: list[str] = []
    with ended_by_slurm(reasons):
        assert signal.getsignal(signal.SIGUSR2) is signal.SIG_DFL
    assert reasons == []


@pytest.mark.parametrize(("launcher", "jobs"), [("Slurm", 2), ("Local", 0)])
def test_a_sweep_waits_until_none_of_its_jobs_is_in_the_queue(
    launcher: str, jobs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = tmp_path / "squeue"
    queue.write_text('#!/bin/sh\necho 8\nif [ ! -e "$0.asked" ]; then touch "$0.asked"; echo 7_1; fi\n')
    queue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("rest_react.sweep.slurm._POLL_S", 0.01)
    submit(tmp_path, launcher)
    assert wait_for_jobs(tmp_path) == jobs
    assert (tmp_path / "squeue.asked").exists() == bool(jobs)


def test_a_queue_that_cannot_be_asked_is_told_once_and_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    queue = tmp_path / "squeue"
    queue.write_text(
        '#!/bin/sh\necho >> "$0.asked"\n[ "$(wc -l < "$0.asked")" -gt 2 ] || { echo no daemon >&2; exit 1; }\n'
    )
    queue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("rest_react.sweep.slurm._POLL_S", 0.01)
    submit(tmp_path, "Slurm")
    assert wait_for_jobs(tmp_path) == 2
    assert capsys.readouterr().err.count("squeue failed (no daemon)") == 1


def test_ctrl_c_names_the_jobs_that_slurm_still_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(job: object) -> None:
        raise KeyboardInterrupt

    submit(tmp_path, "Slurm")
    monkeypatch.setattr("rest_react.sweep.jobs.with_hydra", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sweep(job, tmp_path)
    assert "scancel 7_0 7_1" in capsys.readouterr().err


def submit(sweep_folder: Path, launcher: str) -> None:
    """What Hydra and submitit write when they submit two jobs."""
    (sweep_folder / "multirun.yaml").write_text(f"hydra: {{launcher: {{_target_: a.{launcher}Launcher}}}}\n")
    for number in ("7_0", "7_1"):
        (sweep_folder / ".submitit" / number).mkdir(parents=True)
        (sweep_folder / ".submitit" / number / f"{number}_submitted.pkl").touch()
