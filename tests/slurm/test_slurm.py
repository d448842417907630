"""Sweeps and scripts on a real SLURM of two nodes, whose packages docs/scaling.md names."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.cluster import Finished, Slurm, cluster, missing
from tests.slurm.daemons import wait_until

pytestmark = pytest.mark.slurm

ROOT = str(Path(__file__).parents[2])
RUN = [sys.executable, "-m", "rest_react.run"]
QUICK = ["experiment=smoke", "start=prompted", "iteration=0", "world.evaluation=4", "output=out"]
ON_SLURM = ["-m", "hydra/launcher=submitit_slurm", "hydra.launcher.timeout_min=10"]
LONG = 5000  # repeats that nobody waits for


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """The cluster. The tests fail where its programs are missing: to leave them out would look like success."""
    if missing():
        pytest.fail(f"not installed: {' '.join(missing())}; install the packages that docs/scaling.md names")
    with cluster(tmp_path_factory.mktemp("slurm") / "c") as running:
        running.environment["PYTHONPATH"] = ROOT
        running.environment["OMP_NUM_THREADS"] = "1"
        yield running


def started(slurm: Slurm, where: Path, *words: str) -> "subprocess.Popen[str]":
    """The command, with its messages in `where`/said."""
    with (where / "said").open("w") as said:
        return subprocess.Popen(
            [*RUN, *words], cwd=where, env={**os.environ, **slurm.environment}, stdout=said, stderr=said, text=True
        )


def said(where: Path) -> list[str]:
    return (where / "said").read_text().splitlines()


def table(where: Path) -> list[str]:
    """The lines of the sweep's table, without its head."""
    lines = said(where)
    head = next(i for i, line in enumerate(lines) if line.startswith("Job  Settings"))
    end = lines.index("", head) if "" in lines[head:] else len(lines)
    return lines[head + 1 : end]


def trajectories(run: Path) -> list[bytes]:
    path = run / "iter_0" / "evaluate" / "world" / "trajectories.jsonl"
    return path.read_bytes().splitlines() if path.is_file() else []


def start_now(slurm: Slurm, number: str) -> None:
    """Starts a job that is queued again. SLURM itself waits two minutes; within some seconds a node would refuse it."""
    time.sleep(6)
    slurm.ask("scontrol", "update", f"JobId={number}", "StartTime=now")


def accounts(slurm: Slurm, name: str, count: int) -> list[Finished]:
    """What accounting says of the jobs with that name; it hears of their ends a moment later."""
    unfinished = {"PENDING", "RUNNING", "REQUEUED"}
    found: list[Finished] = []

    def complete() -> bool:
        found[:] = [job for job in slurm.finished() if job.name == name]
        return len(found) == count and not unfinished & {job.state for job in found}

    wait_until(complete, 30, lambda: str(found))
    return found


def test_a_job_that_is_killed_cancelled_or_fails_does_not_stop_the_others_and_the_table_waits_for_all(
    slurm: Slurm, tmp_path: Path
) -> None:
    slurm.ask("sbatch", "--nodelist=n2", "--job-name=busy", "--output=/dev/null", "--wrap=sleep 600")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "r_1").write_text("not a folder")
    words = [*QUICK, *ON_SLURM, f"evaluate.repeats={LONG},1,2,3", "run=r_${evaluate.repeats}"]
    sweep = started(slurm, tmp_path, *words, "hydra.launcher.name=first")
    long = tmp_path / "out" / f"r_{LONG}"
    wait_until(lambda: bool(trajectories(long)), 120, lambda: "\n".join(said(tmp_path)))
    number = slurm.ask("squeue", "--noheader", "--array", "--name=first", "--state=R", "--format=%F").strip()
    slurm.ask("scontrol", "hold", f"{number}_2")
    slurm.ask("scancel", f"{number}_3")
    slurm.ask("scancel", "--name=busy")
    slurm.ask("scancel", "--signal=KILL", f"{number}_0")
    wait_until(lambda: "UncompletedJobError" in "\n".join(said(tmp_path)), 120, lambda: slurm.ask("squeue"))
    assert sweep.poll() is None  # the launcher gave up, the sweep waits
    slurm.ask("scontrol", "release", f"{number}_2")
    assert sweep.wait(120) == 1
    out = tmp_path / "out"
    rows = [" ".join(line.split()) for line in table(tmp_path)]
    assert rows.pop(3).startswith(f"{out / 'r_1'}: cannot be written or read (File exists)")
    assert rows == [
        f"0 evaluate.repeats={LONG} run=r_{LONG} no outcome -",
        "it was killed, or is still running",
        f"1 evaluate.repeats=1 run=r_1 refused (exit 2) {out / 'r_1'}",
        f"2 evaluate.repeats=2 run=r_2 done {out / 'r_2'}",
        "1 of 4 jobs never started: SLURM cancelled them in its queue",
    ]
    states = sorted(
        job.state for job in accounts(slurm, "first", 3)
    )  # it has no record of the one cancelled in the queue
    assert states == ["CANCELLED", "COMPLETED", "COMPLETED"]


def test_a_sweep_uses_both_nodes_and_a_job_at_its_time_limit_is_queued_again_and_resumes(
    slurm: Slurm, tmp_path: Path
) -> None:
    words = [*QUICK, *ON_SLURM, "seed=0,1", "run=r_${seed}", "evaluate.repeats=100", "hydra.launcher.name=second"]
    sweep = started(slurm, tmp_path, *words, "hydra.launcher.max_num_timeout=1")
    run = tmp_path / "out" / "r_0"
    wait_until(lambda: len(trajectories(run)) > 1, 120, lambda: "\n".join(said(tmp_path)))
    number = slurm.ask("squeue", "--noheader", "--array", "--name=second", "--format=%F").split()[0]
    slurm.ask("scancel", "--signal=USR2", f"{number}_0")  # what SLURM sends before the limit
    wait_until(lambda: "PD" in slurm.ask("squeue", "--noheader", "--format=%t"), 60, lambda: slurm.ask("squeue"))
    first = trajectories(run)
    record = json.loads(next((tmp_path / "out" / "multirun").glob("*/0.json")).read_bytes())
    assert (record["status"], record["message"].partition(";")[2]) == (140, " it is queued again and resumes")
    start_now(slurm, f"{number}_0")
    assert sweep.wait(200) == 0, said(tmp_path)
    assert [" ".join(line.split()) for line in table(tmp_path)] == [
        f"0 seed=0 run=r_0 done {run}",
        f"1 seed=1 run=r_1 done {tmp_path / 'out' / 'r_1'}",
    ]
    assert 0 < len(first) < 400 and trajectories(run)[: len(first)] == first and len(trajectories(run)) == 400
    jobs = accounts(slurm, "second", 2)
    assert {job.node for job in jobs} == {"n1", "n2"} and {job.state for job in jobs} == {"COMPLETED"}


def test_the_script_of_dry_run_is_queued_again_before_its_limit_and_resumes_but_not_once_it_is_cancelled(
    slurm: Slurm, tmp_path: Path
) -> None:
    asked = subprocess.run(
        [*RUN, *QUICK, "run=it's", "evaluate.repeats=100", "dry_run=true"],
        cwd=tmp_path, env={**os.environ, **slurm.environment}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    script = tmp_path / "sbatch.sh"
    script.write_text(asked.stdout[asked.stdout.index("#!/usr/bin/env bash") :])
    number = slurm.ask("sbatch", "--parsable", f"--output={tmp_path}/said", str(script)).strip()
    run = tmp_path / "out" / "it's"
    wait_until(lambda: len(trajectories(run)) > 1, 120, lambda: slurm.ask("squeue"))
    slurm.ask("scancel", "--signal=TERM", number)  # what SLURM sends before the limit
    wait_until(lambda: "PD" in slurm.ask("squeue", "--noheader", "--format=%t"), 60, lambda: slurm.ask("squeue"))
    first = trajectories(run)
    assert 0 < len(first) < 400 and "Interrupted. Progress is saved" in "\n".join(said(tmp_path))
    start_now(slurm, number)
    slurm.wait(120)
    assert accounts(slurm, "rest_react-it-s", 1) == [Finished("rest_react-it-s", "COMPLETED", "n1")], said(tmp_path)
    assert trajectories(run)[: len(first)] == first and (run / "results.json").is_file()
    lines = ["srun sleep 600" if line.startswith("srun ") else line for line in script.read_text().splitlines()]
    script.write_text("\n".join(lines))
    number = slurm.ask("sbatch", "--parsable", "--output=/dev/null", "--job-name=other", str(script)).strip()
    wait_until(lambda: f"{number}.0" in slurm.ask("squeue", "--steps"), 60, lambda: slurm.ask("squeue"))
    slurm.ask("scancel", number)
    slurm.wait(60)
    shown = slurm.ask("scontrol", "show", "job", number)
    assert "JobState=CANCELLED" in shown and "Restarts=0" in shown, shown
