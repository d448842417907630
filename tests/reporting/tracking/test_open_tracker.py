"""The same numbers in MLflow's and Trackio's local stores as W&B is sent, read back by their own clients."""

import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from rest_react.config.checks.needs import lacking_here
from rest_react.config.compose import compose
from rest_react.protocols import Tracker
from rest_react.reporting.tracking.open_tracker import missing_tracker, open_tracker
from rest_react.reporting.tracking.track_iteration import send
from rest_react.reporting.tracking.trackers import Kind, TrackedIteration, tracker_mode
from rest_react.storage.run_folder import RunFolder
from tests.runs import reported_run


class Sent(Tracker):
    """What any tracker is sent of an iteration."""

    def __init__(self) -> None:
        self.metrics: dict[str, float] = {}
        self.curves: dict[str, list[tuple[int, float]]] = {}
        self.rows: dict[str, int] = {}

    def log(self, stage: str, metrics: Mapping[str, float]) -> None:
        self.metrics |= {f"{stage}/{name}": value for name, value in metrics.items()}

    def curve(self, stage: str, name: str, points: Sequence[tuple[int, float]]) -> None:
        self.curves[f"{stage}/{name}"] = list(points)

    def table(self, name: str, rows: Sequence[Mapping[str, object]]) -> None:
        self.rows[name] = len(rows)


def sent_to(kind: Kind, folder: Path, times: int = 1) -> Sent:
    """Logs iteration 1 of a run to the tracker, so many times, as interrupted commands do."""
    run, sent = RunFolder(reported_run(folder)), Sent()
    send(run, 1, sent)
    for _ in range(times):
        config = {"agent.samples": 4, "long": "x" * 9000}
        tracker = open_tracker(kind, TrackedIteration(run.root, "demo", 1, config, "tests", "offline"))
        send(run, 1, tracker)
        tracker.finish()
    assert sent.metrics and sent.curves["finetune/loss"] and sent.rows
    return sent


def test_mlflow_holds_every_number_once(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow", reason="rest-react[mlflow] is not installed")
    sent = sent_to("mlflow", tmp_path / "demo", times=2)
    client = mlflow.tracking.MlflowClient(f"sqlite:///{tmp_path}/demo/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("tests").experiment_id])
    assert (run.info.run_name, run.info.status, run.data.params["agent.samples"]) == ("demo-1", "FINISHED", "4")
    kept = {name: value for name, value in run.data.metrics.items() if name != "finetune/loss"}
    plain = {name: value for name, value in sent.metrics.items() if "<" not in name}
    assert {name: kept.get(name) for name in plain} == plain
    assert len(kept) == len(sent.metrics) + len(sent.rows)
    history = client.get_metric_history(run.info.run_id, "finetune/loss")
    assert sorted((point.step, point.value) for point in history) == sent.curves["finetune/loss"]
    accuracy = client.get_metric_history(run.info.run_id, "evaluate/world/accuracy/mean")
    assert [(point.step, point.value) for point in accuracy] == [(1, 0.75)]
    tables = {file.path for file in client.list_artifacts(run.info.run_id, "tables")}
    assert tables == {f"tables/{name}.json" for name in sent.rows}
    assert {name: run.data.metrics[f"{name}_rows"] for name in sent.rows} == sent.rows


def test_trackio_holds_every_number_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))  # read when trackio is imported
    trackio = pytest.importorskip("trackio", reason="rest-react[trackio] is not installed")
    monkeypatch.setenv("TRACKIO_SPACE_ID", "nobody/nowhere")  # offline must not use it
    sent = sent_to("trackio", tmp_path / "demo", times=2)
    from trackio.sqlite_storage import SQLiteStorage

    assert os.environ["TRACKIO_SPACE_ID"] == "nobody/nowhere"
    assert [run.name for run in trackio.Api().runs("tests")] == ["demo-1"]
    logs = SQLiteStorage.get_logs("tests", "demo-1")
    numbers = {name: value for line in logs for name, value in line.items() if name in sent.metrics}
    assert numbers == sent.metrics
    curve = [(line["finetune/step"], line["finetune/loss"]) for line in logs if "finetune/loss" in line]
    assert curve == sent.curves["finetune/loss"]
    assert {name: line[f"{name}_rows"] for line in logs for name in sent.rows if name in line} == sent.rows
    assert SQLiteStorage.get_run_config("tests", "demo-1")["agent.samples"] == 4


def test_a_tracker_that_is_not_installed_is_an_error_of_the_settings_before_any_work() -> None:
    told = {kind: lacking_here(compose([f"tracking={kind}"])) for kind in ("none", "wandb", "mlflow", "trackio")}
    assert told["none"] == told["wandb"] == []
    for kind in ("mlflow", "trackio"):
        problem = [] if find_spec(kind) else [f"tracking.kind: {missing_tracker(kind)}"]
        assert told[kind] == problem
        assert not problem or f"rest-react[{kind}]" in problem[0]


def test_variables_of_wandb_say_nothing_to_other_trackers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert tracker_mode("wandb", "offline") == ("none", "WANDB_MODE=disabled")
    assert tracker_mode("mlflow", "offline") == ("offline", "")
    assert tracker_mode("none", "online") == ("none", "")
