import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rest_react.errors import OutsideFault
from rest_react.protocols import Tracker
from rest_react.records import Result, Verdict
from rest_react.report import write_report
from rest_react.reporting.tracking.track_iteration import send
from rest_react.reporting.tracking.trackers import GivenMode, Tolerant, TrackedIteration, numbers
from rest_react.reporting.tracking.wandb_tracker import WandbTracker
from rest_react.storage.files import write_json
from rest_react.storage.jsonl import read_lines
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.summaries import write_summary
from tests.runs import made_with, scripted_run, write_evaluation, write_lines

UNREACHABLE = """
import sys, time
from pathlib import Path
from rest_react.reporting.tracking.trackers import Tolerant, TrackedIteration
from rest_react.reporting.tracking.wandb_tracker import WandbTracker

it = Tolerant(WandbTracker(TrackedIteration(Path(sys.argv[1]), "demo", 1, {}, "rest-react", "online")))
started = time.monotonic()
for step in range(5):
    it.log("grow", {"x": float(step)})
it.finish()
(problem,) = it.problems
print(problem.split(":")[:2], time.monotonic() - started < 10)
"""
DYING = """
import os, signal, sys, time
from pathlib import Path
from rest_react.reporting.tracking.trackers import Tolerant, TrackedIteration
from rest_react.reporting.tracking.wandb_tracker import WandbTracker

folder = Path(sys.argv[1])
for iteration in (1, 2):
    it = Tolerant(WandbTracker(TrackedIteration(folder, "demo", iteration, {}, "rest-react", "offline")))
    it.log("grow", {"x": 1.0})
    if iteration == 1:
        for status in Path("/proc").glob("[0-9]*/status"):
            words = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
            if int(words["PPid"]) == os.getpid():
                os.kill(int(words["Pid"]), signal.SIGKILL)
        time.sleep(0.2)
    it.table("rows", [{"a": 1}])
    it.finish()
    print(len(it.problems), it.taken)
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, so that no test sees, or writes into, that of whoever runs it."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    # Set first, so that what the tracker puts there is taken back after the test.
    monkeypatch.setenv("WANDB_DATA_DIR", "")
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    return home


def records(folder: Path) -> list[dict[str, Any]]:
    """What an offline run tells the server, in order, read by W&B itself, up to the end of the run: its own process
    writes that a few milliseconds after `finish` returns."""
    (log,) = folder.glob("*.wandb")
    inspect = ["leet", "inspect", "--json", "--follow", "--idle-timeout", "10s", str(log)]
    offline = {**os.environ, "WANDB_MODE": "offline"}  # otherwise it waits for a server to take its telemetry
    done = subprocess.run([sys.executable, "-m", "wandb", *inspect], env=offline, capture_output=True, check=True)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert told[-1]["type"] == "exit"
    return told


def history(folder: Path) -> list[dict[str, Any]]:
    """The rows that a run logged, nested keys joined by dots; less what W&B adds to each."""
    rows = [record["history"]["item"] for record in records(folder) if "history" in record]
    return [{key: value for key, value in row.items() if not key.startswith("_")} for row in rows]


def tracker(folder: Path, iteration: int = 1, mode: GivenMode = "offline") -> WandbTracker:
    config = {"agent": {"samples": 4}}
    return WandbTracker(TrackedIteration(folder, "demo", iteration, config, "rest-react", mode))


def test_an_offline_run_is_complete_in_the_given_folder(tmp_path: Path, home: Path) -> None:
    folder = tmp_path / "outputs" / "demo"
    weights = tmp_path / "weights.bin"
    weights.write_bytes(b"x")
    it = tracker(folder)
    it.log("grow", {"trajectories": 30, "tokens": 2.5})
    it.table("rows", [{"a": 1, "b": ("x",)}, {"c": None}])
    it.artifact("1-model", [weights], kind="model")
    it.finish()
    (run,) = (folder / "wandb").glob("offline-run-*")
    told = records(run)
    start = next(record["run"] for record in told if "run" in record)
    assert (start["project"], start["run_group"], start["display_name"]) == ("rest-react", "demo", "demo-1")
    config = {key: value for key, value in start["config"]["update"].items() if not key.startswith("_")}
    assert config == {"agent": {"samples": 4}, "iteration": 1}
    rows = history(run)
    assert rows[0] == {"iteration": 1, "grow/trajectories": 30.0, "grow/tokens": 2.5}
    (table,) = run.glob("files/media/table/*.json")
    assert json.loads(table.read_text()) == {
        "columns": ["a", "b", "c"],
        "data": [[1, '["x"]', None], [None, None, None]],
    }
    # The artifact's bytes are kept with the run until someone syncs it; only W&B's debug logs go to the home folder.
    assert [file.read_bytes() for file in (folder / "wandb" / "artifacts" / "staging").iterdir()].count(b"x") == 1
    assert not [file for file in home.rglob("*") if file.is_file() and file.suffix != ".log"]


def test_running_again_continues_the_same_wandb_run(tmp_path: Path) -> None:
    for iteration in (1, 1, 2):
        it = tracker(tmp_path / str(iteration), iteration)
        it.log("grow", {"x": 1.0})
        it.finish()
    ids = {run.name.split("-")[3] for run in (tmp_path / "1" / "wandb").glob("offline-run-*")}
    others = {run.name.split("-")[3] for run in (tmp_path / "2" / "wandb").glob("offline-run-*")}
    assert len(ids) == len(others) == 1
    assert ids != others


def test_a_new_process_replaces_an_interrupted_one(tmp_path: Path) -> None:
    for iteration, value in ((2, 3.0), (1, 1.0), (1, 2.0)):
        it = tracker(tmp_path, iteration)
        it.log("grow", {"x": value})
        it.finish()
    told = [history(run) for run in (tmp_path / "wandb").glob("offline-run-*")]
    assert sorted(row["grow/x"] for (row,) in told) == [2.0, 3.0]


def test_the_next_iteration_uses_the_model_artifact_of_the_one_before(tmp_path: Path) -> None:
    model, rows = tmp_path / "model.json", tmp_path / "examples.jsonl"
    model.write_text("{}")
    rows.write_text("{}\n")
    artifacts = {}
    for iteration in (1, 2):
        folder = tmp_path / str(iteration)
        it = tracker(folder, iteration)
        if iteration == 2:
            it.artifact("1-model", [model], kind="model", used=True)
        it.artifact(f"{iteration}-examples", [rows], kind="dataset")
        it.artifact(f"{iteration}-model", [model], kind="model")
        it.finish()
        (run,) = (folder / "wandb").glob("offline-run-*")
        artifacts[iteration] = [record["artifact"] for record in records(run) if "artifact" in record]
    told = {
        k: [(a["name"], a["type"], a.get("use_after_commit", False)) for a in found] for k, found in artifacts.items()
    }
    assert told == {
        1: [("demo-1-examples", "dataset", False), ("demo-1-model", "model", False)],
        2: [("demo-1-model", "model", True), ("demo-2-examples", "dataset", False), ("demo-2-model", "model", False)],
    }
    assert artifacts[1][1]["digest"] == artifacts[2][0]["digest"]


def test_a_table_records_its_number_of_rows(tmp_path: Path) -> None:
    it = tracker(tmp_path)
    it.table("rows", [{"a": i} for i in range(10_050)])
    it.finish()
    (run,) = (tmp_path / "wandb").glob("offline-run-*")
    (logged,) = history(run)
    assert (logged["rows.nrows"], logged["rows_rows"]) == (10_000, 10_050)


def test_a_number_is_not_logged_twice(tmp_path: Path) -> None:
    it = tracker(tmp_path)
    it.log("grow", {"x": 1.0, "y": 2.0})
    it.log("grow", {"x": 1.0, "y": 2.0})
    it.log("grow", {"x": 1.0, "y": 3.0})
    it.finish()
    (run,) = (tmp_path / "wandb").glob("offline-run-*")
    assert history(run) == [{"iteration": 1, "grow/x": 1.0, "grow/y": 2.0}, {"iteration": 1, "grow/y": 3.0}]


def test_a_curve_has_its_own_steps_and_continues_after_the_last_one(tmp_path: Path) -> None:
    it = tracker(tmp_path)
    it.log("grow", {"x": 1.0})
    for known in (2, 3, 3):
        it.curve("finetune", "loss", [(10, 0.5), (20, 0.25), (30, 0.125)][:known])
    it.finish()
    (run,) = (tmp_path / "wandb").glob("offline-run-*")
    assert history(run)[1:] == [
        {"iteration": 1, "finetune/step": 10, "finetune/loss": 0.5},
        {"iteration": 1, "finetune/step": 20, "finetune/loss": 0.25},
        {"iteration": 1, "finetune/step": 30, "finetune/loss": 0.125},
    ]
    axes = [record["metric"] for record in records(run) if "metric" in record]
    assert {axis.get("name", axis.get("glob_name")): axis["step_metric"] for axis in axes} == {
        "*": "iteration",
        "finetune/loss": "finetune/step",
    }


def test_without_logging_nothing_is_written(tmp_path: Path) -> None:
    tracker(tmp_path / "run").finish()
    assert not (tmp_path / "run").exists()


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import openai  # noqa: F401  # W&B advertises a product of its own to those who use it

    it = tracker(tmp_path)
    it.log("grow", {"x": 1.0})
    it.table("rows", [{"a": 1}])
    it.artifact("1-model", [Path(__file__)], kind="model")
    it.artifact("0-model", [Path(__file__)], kind="model", used=True)
    it.finish()
    assert capfd.readouterr() == ("", "")


def test_online_mode_without_a_key_fails_at_once_and_says_what_to_do(tmp_path: Path) -> None:
    it = tracker(tmp_path, mode="online")
    with pytest.raises(OutsideFault, match=r"WANDB_API_KEY.*wandb sync"):
        it.log("grow", {"x": 1.0})


def refused(folder: Path) -> Tolerant:
    """A tracker that was given an iteration, whatever became of it."""
    it = Tolerant(tracker(folder))
    it.log("grow", {"x": 1.0})
    it.table("rows", [{"a": 1}])
    return it


def test_a_refused_artifact_does_not_stop_other_data(tmp_path: Path) -> None:
    it = refused(tmp_path)
    it.artifact("1-model", [tmp_path / "missing"], kind="model")
    it.finish()
    assert (it.problems, it.taken) == ([f"wandb: ValueError: Path is not a file: '{tmp_path / 'missing'}'"], 3)
    (run,) = (tmp_path / "wandb").glob("offline-run-*")
    assert history(run)[0] == {"iteration": 1, "grow/x": 1.0}


def test_a_folder_that_cannot_be_created_is_reported_once(tmp_path: Path) -> None:
    (tmp_path / "wandb").write_text("not a folder")
    it = refused(tmp_path)
    it.finish()
    assert (it.problems, it.taken) == ([f"wandb: FileExistsError: [Errno 17] File exists: '{tmp_path / 'wandb'}'"], 1)


def test_a_full_disk_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=3_000_000))
    it = refused(tmp_path)
    (told,) = it.problems
    assert told.startswith(f"only 3 MB are free in {tmp_path}")


def test_an_unreachable_server_is_tried_once_and_reported(tmp_path: Path) -> None:
    server = {"WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "0" * 40, "WANDB_INIT_TIMEOUT": "2"}
    code = [sys.executable, "-c", UNREACHABLE, str(tmp_path)]
    done = subprocess.run(code, env={**os.environ, **server}, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("['wandb', ' CommError'] True\n", "")


@pytest.mark.skipif(sys.platform != "linux", reason="finds W&B's process in /proc")
def test_the_death_of_w_and_b_s_process_is_reported(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", DYING, str(tmp_path)], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("2 1\n0 3\n", "")


def test_a_broken_w_and_b_installation_is_reported(tmp_path: Path) -> None:
    (tmp_path / "wandb.py").write_text("raise ImportError('protobuf is too new')")
    code = (
        "import sys; from pathlib import Path;"
        "from rest_react.reporting.tracking.trackers import Tolerant, TrackedIteration;"
        "from rest_react.reporting.tracking.wandb_tracker import WandbTracker;"
        "of = TrackedIteration(Path(sys.argv[1]), 'demo', 1, {}, 'rest-react', 'offline');"
        "it = Tolerant(WandbTracker(of));"
        "it.log('grow', {'x': 1.0}); it.table('rows', [{}]); it.finish(); print(it.problems)"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "run")],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "['wandb: ImportError: protobuf is too new']\n"


def three_evaluations(folder: Path) -> RunFolder:
    """Iterations 0, 1 and 2, none like another, with models and their losses."""
    run = RunFolder(scripted_run(folder))
    shutil.copytree(folder / "iter_1", folder / "iter_2")
    first = list(read_lines(run.stage(1, "evaluate", "world") / "results.jsonl", Result))
    better = [replace(result, verdict=Verdict("correct"), searches=result.searches + 1) for result in first]
    write_evaluation(folder, 2, better, repeats=2)
    for k in (0, 1, 2):
        stage = run.stage(k, "finetune")
        write_lines(stage / "loss.jsonl", [{"step": step, "loss": (k + 1) / step} for step in range(1, 1001)])
        write_json(stage / "model.json", {"name": f"model {k}"})
        write_summary(stage, {"examples": 30 + k, "seconds": 1.5})
    return run


def sent(run: RunFolder, k: int, folder: Path) -> Path:
    """Where W&B keeps one iteration."""
    it = tracker(folder, k)
    send(run, k, it)
    it.finish()
    (found,) = (folder / "wandb").glob("offline-run-*")
    return found


class Noted(Tracker):
    """Notes the artifacts."""

    def __init__(self) -> None:
        self.artifacts: list[tuple[str, list[Path], str, bool]] = []

    def artifact(self, name: str, files: Sequence[Path], *, kind: str, used: bool = False) -> None:
        self.artifacts.append((name, list(files), kind, used))


def test_every_number_of_results_json_is_in_the_w_and_b_run_of_its_iteration_once(tmp_path: Path) -> None:
    folder = three_evaluations(tmp_path / "demo")
    write_report(folder.root, smoke=False)
    rows = json.loads((folder.root / "results.json").read_text(encoding="utf-8"))["rows"]
    assert [row["iteration"] for row in rows] == [0, 1, 2]
    assert len({row["accuracy"]["mean"] for row in rows}) == 3
    wanted = [
        (row["iteration"], f"evaluate/world/{name}", value)
        for row in rows
        for name, value in numbers(row).items()
        if name != "iteration"
    ]
    names = {name for _, name, _ in wanted}
    logged = [
        (told["iteration"], name, value)
        for k in (0, 1, 2)
        for told in history(sent(folder, k, tmp_path / str(k)))
        for name, value in told.items()
        if name in names
    ]
    assert len(wanted) > 120
    assert sorted(logged) == sorted(wanted)


def test_the_w_and_b_run_of_an_iteration_has_losses_tables_and_artifacts(tmp_path: Path) -> None:
    folder = three_evaluations(tmp_path / "demo")
    run = sent(folder, 1, tmp_path)
    rows = history(run)
    losses = [(row["finetune/step"], row["finetune/loss"]) for row in rows if "finetune/loss" in row]
    assert (losses[0], losses[-1], len(losses)) == ((1, 2.0), (1000, 0.002), 251)
    names = [name for row in rows for name in row]
    assert [name for name in names if name.endswith("_rows")] == ["trajectories_rows", "rankings_rows", "verdicts_rows"]
    assert {row["iteration"] for row in rows} == {1}
    artifacts = [record["artifact"] for record in records(run) if "artifact" in record]
    assert [(a["name"], a.get("use_after_commit", False)) for a in artifacts if a["type"] != "run_table"] == [
        ("demo-0-model", True),
        ("demo-1-examples", False),
        ("demo-1-model", False),
    ]
    (verdicts,) = run.glob("files/media/table/verdicts_*.json")
    table = json.loads(verdicts.read_text())
    results = list(read_lines(folder.stage(1, "evaluate", "world") / "results.jsonl", Result))
    told = {cells[1]: cells[table["columns"].index("verdict")] for cells in table["data"]}
    assert told == {result.id: result.verdict.verdict for result in results}


@pytest.mark.parametrize("mixed", [True, False])
def test_an_iteration_uses_the_demonstrations_if_they_are_mixed_with_its_rows(tmp_path: Path, mixed: bool) -> None:
    folder = three_evaluations(tmp_path / "demo")
    made_with(folder.root, {"finetune.mix_demonstrations": mixed})

    def made(k: int, verb: str, used: bool = False) -> tuple[str, list[Path], str, bool]:
        stage = folder.stage(k, verb)
        if verb == "improve":
            return (f"{k}-examples", [stage / "examples.jsonl"], "dataset", used)
        return (f"{k}-model", [stage / "model.json", stage / "loss.jsonl"], "model", used)

    shown = [made(0, "improve", used=True)] if mixed else []
    told = {}
    for k in (0, 1, 2):
        send(folder, k, noted := Noted())
        told[k] = noted.artifacts
    assert told == {
        0: [made(0, "improve"), made(0, "finetune")],
        1: [made(0, "finetune", used=True), *shown, made(1, "improve"), made(1, "finetune")],
        2: [made(1, "finetune", used=True), *shown, made(2, "improve"), made(2, "finetune")],
    }
