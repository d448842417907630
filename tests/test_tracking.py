import json
import os
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rest_react.errors import UsageError
from rest_react.records import Result
from rest_react.report import write_report
from rest_react.run import send
from rest_react.store import RunFolder, read_lines
from rest_react.tracking import NoTracker, WandbTracker, numbers
from tests.runs import scripted_run


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
    """What a finished offline run tells the server, in order. W&B's own process writes the last of it a few
    milliseconds after `finish` returns."""
    (path,) = folder.glob("*.wandb")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = read_log(path.read_bytes())
        if any("exit" in record for record in found):
            return found
        time.sleep(0.01)
    raise AssertionError("the run was not finished")


def read_log(content: bytes) -> list[dict[str, Any]]:
    """A LevelDB log of protobufs: after W&B's header of 7 bytes, blocks of 32 KiB of pieces, each with a checksum, its
    length, and whether a record starts or ends with it."""
    from google.protobuf.json_format import MessageToDict
    from wandb.proto import wandb_internal_pb2

    at, data, found = 7, b"", []
    while at + 7 <= len(content):
        if (left := -at % 32768) and left < 7:
            at += left
            continue
        length, piece = struct.unpack_from("<HB", content, at + 4)
        data += content[at + 7 : at + 7 + length]
        at += 7 + length
        if at <= len(content) and piece in (1, 4):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(data)
            found.append(MessageToDict(record, preserving_proto_field_name=True))
            data = b""
    return found


def history(folder: Path) -> list[dict[str, Any]]:
    rows = []
    for record in records(folder):
        if "history" in record:
            items = record["history"]["item"]
            row = {item.get("key") or "/".join(item["nested_key"]): json.loads(item["value_json"]) for item in items}
            rows.append({key: value for key, value in row.items() if not key.startswith("_")})
    return rows


def tracker(folder: Path, iteration: int = 1) -> WandbTracker:
    return WandbTracker(folder, run="demo", iteration=iteration, config={"agent": {"samples": 4}})


def test_the_numbers_of_a_summary_are_flat_finite_floats() -> None:
    summary = {
        "schema": 1,
        "run": "demo",
        "complete": True,
        "cost_usd": None,
        "loss": float("nan"),
        "accuracy": {"mean": 0.5, "by_hops": {"2": 1}},
        "shares": [1, 2],
    }
    assert numbers(summary) == {"schema": 1.0, "accuracy/mean": 0.5, "accuracy/by_hops/2": 1.0}


def test_no_tracker_accepts_everything_and_never_imports_wandb() -> None:
    code = (
        "import sys; from pathlib import Path; from rest_react.tracking import NoTracker, WandbTracker;"
        "t = NoTracker(); t.log('grow', {'x': 1.0}); t.table('rows', [{}]);"
        "t.artifact('x', [Path('none')], kind='model'); t.finish();"
        "sys.exit('wandb' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_offline_run_lies_whole_in_the_given_folder(tmp_path: Path, home: Path) -> None:
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
    config = {item["key"]: json.loads(item["value_json"]) for item in start["config"]["update"] if "key" in item}
    assert config["agent"] == {"samples": 4}
    assert config["iteration"] == 1
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


def test_a_process_takes_the_place_of_one_that_was_cut_short(tmp_path: Path) -> None:
    for iteration, value in ((2, 3.0), (1, 1.0), (1, 2.0)):
        it = tracker(tmp_path, iteration)
        it.log("grow", {"x": value})
        it.finish()
    told = [history(run) for run in (tmp_path / "wandb").glob("offline-run-*")]
    assert sorted(row["grow/x"] for (row,) in told) == [2.0, 3.0]


def test_the_model_of_one_iteration_is_what_the_next_one_uses(tmp_path: Path) -> None:
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


def test_a_table_says_how_many_rows_there_were(tmp_path: Path) -> None:
    it = tracker(tmp_path)
    it.table("rows", [{"a": i} for i in range(10_050)])
    it.finish()
    (run,) = (tmp_path / "wandb").glob("offline-run-*")
    (logged,) = history(run)
    assert (logged["rows/nrows"], logged["rows_rows"]) == (10_000, 10_050)


def test_a_number_already_held_is_not_logged_twice(tmp_path: Path) -> None:
    it = tracker(tmp_path)
    it.log("grow", {"x": 1.0, "y": 2.0})
    it.log("grow", {"x": 1.0, "y": 2.0})
    it.log("grow", {"x": 1.0, "y": 3.0})
    it.finish()
    (run,) = (tmp_path / "wandb").glob("offline-run-*")
    assert history(run) == [{"iteration": 1, "grow/x": 1.0, "grow/y": 2.0}, {"iteration": 1, "grow/y": 3.0}]


def test_nothing_logged_leaves_no_trace(tmp_path: Path) -> None:
    tracker(tmp_path / "run").finish()
    assert not (tmp_path / "run").exists()


def test_the_terminal_stays_silent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    it = tracker(tmp_path)
    it.log("grow", {"x": 1.0})
    it.table("rows", [{"a": 1}])
    it.artifact("1-model", [Path(__file__)], kind="model")
    it.artifact("0-model", [Path(__file__)], kind="model", used=True)
    it.finish()
    assert capfd.readouterr() == ("", "")


def test_online_without_a_key_says_the_way_out_at_once(tmp_path: Path) -> None:
    it = WandbTracker(tmp_path, run="demo", iteration=1, config={}, mode="online")
    with pytest.raises(UsageError, match=r"WANDB_API_KEY.*wandb sync"):
        it.log("grow", {"x": 1.0})


def test_no_tracker_needs_no_folder_and_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here := tmp_path / "here").mkdir()
    monkeypatch.chdir(here)
    it = NoTracker()
    it.log("grow", {"x": 1.0})
    it.table("verdicts", [{"id": "q1.0"}])
    it.artifact("1-model", [Path("does/not/exist")], kind="model")
    it.finish()
    assert list(here.iterdir()) == []


def test_every_number_of_results_json_is_in_the_w_and_b_run_once(tmp_path: Path) -> None:
    folder = RunFolder(scripted_run(tmp_path / "demo"))
    write_report(folder.root, smoke=False)
    (row,) = [row for row in json.loads((folder.root / "results.json").read_text())["rows"] if row["iteration"] == 1]
    it = tracker(folder.root)
    send(folder, 1, it)
    it.finish()
    (run,) = (folder.root / "wandb").glob("offline-run-*")
    logged = [item for told in history(run) for item in told.items()]
    values: dict[str, list[Any]] = {}
    for name, value in logged:
        values.setdefault(name, []).append(value)
    wanted = {f"evaluate/world/{name}": value for name, value in numbers(row).items() if name != "iteration"}
    assert len(wanted) > 40
    assert {name: values.get(name) for name in wanted} == {name: [pytest.approx(v)] for name, v in wanted.items()}
    assert values["iteration"] == [1] * len(values["iteration"])
    assert {name for name in values if name.endswith("_rows")} == {
        "trajectories_rows",
        "rankings_rows",
        "verdicts_rows",
    }
    artifacts = [record["artifact"] for record in records(run) if "artifact" in record]
    assert [a["name"] for a in artifacts if a["type"] == "dataset"] == ["demo-1-examples"]
    (verdicts,) = run.glob("files/media/table/verdicts_*.json")
    table = json.loads(verdicts.read_text())
    results = list(read_lines(folder.stage(1, "evaluate", "world") / "results.jsonl", Result))
    told = {cells[1]: cells[table["columns"].index("verdict")] for cells in table["data"]}
    assert told == {result.id: result.verdict.verdict for result in results}
