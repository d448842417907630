"""MLflow as a `Tracker`: one MLflow run per iteration, tagged with the run's name.

    tracker = MlflowTracker(TrackedIteration(Path("outputs/default"), "default", 1, locked, "rest-react", "offline"))
    tracker.log("evaluate/bamboogle", {"accuracy/mean": 0.41})
    tracker.finish()

Offline (the default) everything is in the run's folder: `mlflow.db` and `mlflow_artifacts/`. Online,
MLFLOW_TRACKING_URI names the server. The same command continues the MLflow run of its iteration: a number that it has
is not logged twice, and a curve goes on after its last step. Settings are parameters, cut to their longest size.
Not here: what is logged (track_iteration). Nothing is read back except to continue a run.
"""

import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rest_react.errors import OutsideFault, outside
from rest_react.reporting.tracking.trackers import TrackedIteration, table_cell

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_UNSAFE = re.compile(r"[^\w. :/-]")  # in names of metrics and parameters
_PARAMETER, _AT_ONCE = 6_000, 100  # MLflow's limits: characters of a parameter; parameters in a request
_RUN = "rest_react.run"


class MlflowTracker:
    """One iteration as one MLflow run. The first call opens it. All errors of MLflow become an `OutsideFault`."""

    def __init__(self, of: TrackedIteration) -> None:
        self._of = of
        self._client: MlflowClient | None = None
        self._id = ""

    def log(self, stage: str, metrics: Mapping[str, float]) -> None:
        """Logs each metric as `<stage>/<metric>`, with the iteration as step."""
        with outside("mlflow"):
            client = self._opened()
            held = client.get_run(self._id).data.metrics
            for name, value in metrics.items():
                key = _UNSAFE.sub("_", f"{stage}/{name}")
                if held.get(key) != value:
                    client.log_metric(self._id, key, float(value), step=self._of.iteration)

    def curve(self, stage: str, name: str, points: Sequence[tuple[int, float]]) -> None:
        """Logs values as `<stage>/<name>`, from the first step that the MLflow run does not have."""
        with outside("mlflow"):
            from mlflow.entities import Metric

            client, key = self._opened(), _UNSAFE.sub("_", f"{stage}/{name}")
            last = max((point.step for point in client.get_metric_history(self._id, key)), default=-1)
            now = int(time.time() * 1000)
            news = [Metric(key, value, now, step) for step, value in points if step > last]
            for start in range(0, len(news), 10 * _AT_ONCE):
                client.log_batch(self._id, metrics=news[start : start + 10 * _AT_ONCE])

    def table(self, name: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Logs rows as a table (`tables/<name>.json`), and their number as the metric `<name>_rows`."""
        columns = list(dict.fromkeys(column for row in rows for column in row))
        with outside("mlflow"):
            client, file = self._opened(), f"tables/{name}.json"
            if any(held.path == file for held in client.list_artifacts(self._id, "tables")):
                return
            # The form that MLflow's page and `load_table` read.
            data = [[table_cell(row.get(column)) for column in columns] for row in rows]
            client.log_text(self._id, json.dumps({"columns": columns, "data": data}, ensure_ascii=False), file)
            client.log_metric(self._id, f"{name}_rows", len(rows), step=self._of.iteration)

    def artifact(self, name: str, files: Sequence[Path], *, kind: str, used: bool = False) -> None:
        """Stores files in the folder `<name>`; with `used` only a tag `used.<name>`, because an earlier iteration has
        stored them."""
        with outside("mlflow"):
            client = self._opened()
            if used:
                client.set_tag(self._id, f"used.{_UNSAFE.sub('_', name)}", kind)
                return
            for file in files:
                client.log_artifact(self._id, str(file), artifact_path=name)

    def finish(self) -> None:
        """Marks the MLflow run as finished, if one is open."""
        if self._client is not None:
            client, self._client = self._client, None
            with outside("mlflow"):
                client.set_terminated(self._id)

    def _opened(self) -> "MlflowClient":
        if self._client is None:
            client = self._connect()
            self._id = self._run_of(client, self._experiment(client))
            self._client = client
        return self._client

    def _connect(self) -> "MlflowClient":
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow.tracking import MlflowClient

        if self._of.mode == "offline":
            self._of.folder.mkdir(parents=True, exist_ok=True)
            return MlflowClient(f"sqlite:///{self._of.folder.resolve()}/mlflow.db")
        uri = os.environ.get("MLFLOW_TRACKING_URI", "")
        if not uri:
            raise OutsideFault("there is no MLflow server; set MLFLOW_TRACKING_URI, or use tracking.mode=offline")
        return MlflowClient(uri)

    def _experiment(self, client: "MlflowClient") -> str:
        found = client.get_experiment_by_name(self._of.project)
        if found is not None:
            return str(found.experiment_id)
        where = (self._of.folder.resolve() / "mlflow_artifacts").as_uri() if self._of.mode == "offline" else None
        return str(client.create_experiment(self._of.project, artifact_location=where))

    def _run_of(self, client: "MlflowClient", experiment: str) -> str:
        """The MLflow run of this iteration, made first if there is none."""
        found = client.search_runs([experiment], f"tags.`{_RUN}` = '{_UNSAFE.sub('_', self._of.name)}'", max_results=1)
        if found:
            self._log_parameters(client, str(found[0].info.run_id), found[0].data.params)
            return str(found[0].info.run_id)
        opened = client.create_run(
            experiment,
            run_name=self._of.name,
            tags={_RUN: _UNSAFE.sub("_", self._of.name), "mlflow.source.name": "rest_react"},
        )
        self._log_parameters(client, str(opened.info.run_id), {})
        return str(opened.info.run_id)

    def _log_parameters(self, client: "MlflowClient", id_: str, held: Mapping[str, str]) -> None:
        """Logs the settings that the MLflow run does not hold: an earlier command may have failed before all were."""
        from mlflow.entities import Param

        named = {_UNSAFE.sub("_", name): str(value)[:_PARAMETER] for name, value in self._of.settings.items()}
        given = [Param(name, value) for name, value in named.items() if name not in held]
        for start in range(0, len(given), _AT_ONCE):
            client.log_batch(id_, params=given[start : start + _AT_ONCE])
