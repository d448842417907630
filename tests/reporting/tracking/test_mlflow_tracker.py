"""What MLflow is sent again after a failure, by a client in its place."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from rest_react.errors import OutsideFault
from rest_react.reporting.tracking.mlflow_tracker import MlflowTracker
from rest_react.reporting.tracking.trackers import TrackedIteration


class OneRun:
    """A client of a store with one MLflow run, whose first request with parameters has no reply."""

    params: dict[str, str] | None = None  # None: there is no run yet
    requests = 0

    def get_experiment_by_name(self, name: str) -> Any:
        return SimpleNamespace(experiment_id="1")

    def search_runs(self, experiments: list[str], query: str, max_results: int) -> list[Any]:
        return [] if self.params is None else [self._run()]

    def create_run(self, experiment: str, **facts: object) -> Any:
        self.params = {}
        return self._run()

    def _run(self) -> Any:
        return SimpleNamespace(info=SimpleNamespace(run_id="r"), data=SimpleNamespace(params=dict(self.params or {})))

    def log_batch(self, run_id: str, params: list[tuple[str, str]]) -> None:
        self.requests += 1
        if self.requests == 1:
            raise OSError("no reply")
        assert self.params is not None
        self.params |= dict(params)

    def set_tag(self, run_id: str, name: str, value: str) -> None:
        """Not kept."""


def test_settings_that_a_failure_kept_out_of_a_run_are_logged_by_the_next_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = OneRun()
    modules = {name: ModuleType(name) for name in ("mlflow", "mlflow.entities", "mlflow.tracking")}
    modules["mlflow.entities"].__dict__["Param"] = lambda name, value: (name, value)
    modules["mlflow.tracking"].__dict__["MlflowClient"] = lambda uri: store
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)

    def command() -> None:
        config = {f"a{number}": number for number in range(150)}
        tracker = MlflowTracker(TrackedIteration(tmp_path, "demo", 1, config, "tests", "offline"))
        tracker.artifact("model", [], kind="model", used=True)

    with pytest.raises(OutsideFault, match="no reply"):
        command()
    assert store.params == {}
    command()
    assert store.params == {f"a{number}": str(number) for number in range(150)} | {"iteration": "1"}
    command()
    assert store.requests == 3  # one that failed, and two with all of them
