import json
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rest_react.run import job
from rest_react.sweep.jobs import Ended, Job, outcomes, sweep, table
from tests.test_run import wait_for

QUICK = (
    "experiment=smoke", "start=prompted", "iteration=0", "world.evaluation=4", "run=r_${seed}", "output=out",
)  # fmt: skip


def command(*overrides: str) -> list[str]:
    return [sys.executable, "-m", "rest_react.run", *QUICK, *overrides]


def run(where: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*overrides), cwd=where, capture_output=True, text=True, check=False, timeout=280)


def recorded(where: Path) -> list[dict[str, Any]]:
    (folder,) = (where / "out" / "multirun").iterdir()
    return [{key: value for key, value in record.items() if key != "message"} for record in outcomes(folder)]


def record_of(number: int, seed: int, status: int, where: Path) -> dict[str, Any]:
    shared = [override for override in QUICK if not override.startswith("run=")]
    return {
        "job": number,
        "overrides": [*shared[:4], f"run=r_{seed}", *shared[4:], f"seed={seed}"],
        "status": status,
        "folder": str(where / "out" / f"r_{seed}"),
        "iteration": 0,
    }


def test_a_sweep_continues_after_a_refused_job_and_ends_with_a_table(tmp_path: Path) -> None:
    taken = tmp_path / "out" / "r_5"
    assert run(tmp_path, "seed=5", "agent.max_searches=2").returncode == 0
    done = run(tmp_path, "seed=5,6", "-m")
    assert done.returncode == 2
    head, refused, problem, difference, way_out, finished = done.stderr.splitlines()[-6:]
    assert (head, refused, difference, finished) == (
        "Job  Settings        Outcome           Folder",
        f"0    run=r_5 seed=5  refused (exit 2)  {taken}",
        "       agent.max_searches: 2 in the folder, 5 now",
        f"1    run=r_6 seed=6  done              {tmp_path / 'out' / 'r_6'}",
    )
    assert problem.startswith(f"     {taken} ") and "run=<name>" in way_out
    assert recorded(tmp_path) == [record_of(0, 5, 2, tmp_path), record_of(1, 6, 0, tmp_path)]


def test_a_sweep_that_is_done_adds_no_stage_and_has_the_same_table_again(tmp_path: Path) -> None:
    small = ("experiment=completion_smoke", "finetune=dry_run", "world.train=4", "world.evaluation=4", "iteration=1")
    twice = [sys.executable, "-m", "rest_react.run", "-m", *small, "run=r_${seed}", "output=out", "seed=0,1"]

    def made() -> tuple[dict[str, tuple[int, bytes]], set[str]]:
        done = subprocess.run(twice, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=280)
        assert done.returncode == 0, done.stderr
        records = (path for path in (tmp_path / "out").glob("r_*/iter_*/**/*.json*"))
        tables = {path.read_text() for path in (tmp_path / "out" / "multirun").glob("*/sweep.md")}
        return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in records}, tables

    (records, (table_of_both,)), (later, tables) = made(), made()
    assert sum("summary.json" in path for path in records) == 2 * 10
    changed = [path for path in {*records, *later} if records.get(path) != later.get(path)]
    assert (changed, tables) == ([], {table_of_both})


def test_ctrl_c_ends_a_sweep_with_the_table(tmp_path: Path) -> None:
    long = command("seed=0,1", "--multirun", "world.evaluation=400", "world.passages=4000")
    with subprocess.Popen(long, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        wait_for(tmp_path / "out/r_0/iter_0/evaluate/world/trajectories.jsonl")
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 143
    *_, row, message, last = stderr.splitlines()
    assert (row.startswith("0 "), "  interrupted (exit 143)  -" in row) == (True, True)
    assert message.strip() == "the job was interrupted"
    assert last == "Interrupted. Progress is saved; run the same command again to resume."
    assert not (tmp_path / "out/r_1").exists()


def broken(config: Any) -> Ended:
    """A job with a bug."""
    raise TypeError(f"no seed {config.seed}")


BROKEN = """
import sys
from pathlib import Path
from rest_react.sweep.jobs import sweep
from tests.sweep.test_jobs import broken
raise SystemExit(sweep(broken, Path(sys.argv.pop(1))))
"""


def test_a_bug_in_one_job_prints_its_traceback_and_the_next_job_runs(tmp_path: Path) -> None:
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", BROKEN, str(tmp_path / "jobs"), "-m", "seed=3,4", f"hydra.sweep.dir={tmp_path}/hydra"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 2
    assert done.stderr.splitlines()[-5:] == [
        "Job  Settings  Outcome          Folder",
        "0    seed=3    failed (exit 1)  -",
        "     the job ended with a bug: TypeError: no seed 3",
        "1    seed=4    failed (exit 1)  -",
        "     the job ended with a bug: TypeError: no seed 4",
    ]


def test_a_killed_job_has_no_outcome() -> None:
    jobs = [
        {"job": 0, "overrides": ["a=1", "seed=0"], "status": -1, "folder": "", "message": "it was killed"},
        {"job": 1, "overrides": ["a=1", "seed=1"], "status": 3, "folder": "/out/r", "message": "3 of 4 failed"},
    ]
    assert table(jobs).splitlines() == [
        "Job  Settings  Outcome              Folder",
        "0    seed=0    no outcome           -",
        "     it was killed",
        "1    seed=1    incomplete (exit 3)  /out/r",
        "     3 of 4 failed",
    ]


def test_other_files_in_the_folder_of_a_sweep_are_no_jobs(tmp_path: Path) -> None:
    for name in ("10", "2", "results"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"job": name}))
    assert [found["job"] for found in outcomes(tmp_path)] == ["2", "10"]


def test_records_of_an_earlier_sweep_in_the_same_folder_are_not_those_of_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = {"overrides": [], "folder": "", "message": "refused earlier", "status": 2}
    for number in (0, 1):
        (tmp_path / f"{number}.json").write_text(json.dumps({"job": number, **record}))
    again = json.dumps({"job": 0, **record, "status": 0, "message": ""})
    monkeypatch.setattr("rest_react.sweep.jobs.with_hydra", lambda _: (tmp_path / "0.json").write_text(again))
    assert sweep(job, tmp_path) == 0
    assert "refused earlier" not in capsys.readouterr().err


def test_a_launcher_can_pickle_a_job() -> None:
    import cloudpickle

    packed = cloudpickle.dumps(Job(job, Path("sweep")))
    assert len(packed) < 500  # pickled by name, without the module's contents
    assert pickle.loads(packed) == Job(job, Path("sweep"))  # noqa: S301


def test_a_sweep_runs_through_submitit(tmp_path: Path) -> None:
    done = run(tmp_path, "-m", "hydra/launcher=submitit_local", "hydra.launcher.timeout_min=5", "seed=0,1")
    assert done.returncode == 0, done.stderr
    *_, head, first, second, empty, headings, mean, page = done.stderr.splitlines()
    assert (empty, headings.split()[:3], mean.split()[:3]) == (
        "",
        ["Settings", "Benchmark", "Trainings"],
        ["(all)", "world", "2"],
    )
    assert page.endswith("sweep.html")
    assert [head, first, second] == [
        "Job  Settings        Outcome  Folder",
        f"0    run=r_0 seed=0  done     {tmp_path / 'out' / 'r_0'}",
        f"1    run=r_1 seed=1  done     {tmp_path / 'out' / 'r_1'}",
    ]
    assert [json.loads((tmp_path / f"out/r_{seed}/results.json").read_text())["run"] for seed in (0, 1)] == [
        "r_0",
        "r_1",
    ]
