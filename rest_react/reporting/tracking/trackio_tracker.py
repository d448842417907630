"""Trackio as a `Tracker`: one Trackio run per iteration, grouped by the run's name.

    tracker = TrackioTracker(TrackedIteration(Path("outputs/default"), "default", 1, locked, "rest-react", "offline"))
    tracker.log("evaluate/bamboogle", {"accuracy/mean": 0.41})
    tracker.finish()

Offline (the default) Trackio keeps its data in a folder of its own (TRACKIO_DIR), which `trackio show` reads; online it
sends them to the Space in TRACKIO_SPACE_ID. An iteration that is logged again replaces the one that this machine holds.
Not here: what is logged (track_iteration), and artifacts, whose files are in the run's folder.
"""

import contextlib
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rest_react.errors import OutsideFault, outside
from rest_react.reporting.tracking.trackers import TrackedIteration, table_cell

if TYPE_CHECKING:
    import trackio

_PLACES = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL")


class TrackioTracker:
    """One iteration as one Trackio run. The first call opens it. All errors of Trackio become an `OutsideFault`."""

    def __init__(self, of: TrackedIteration) -> None:
        self._of = of
        self._run: trackio.Run | None = None

    def log(self, stage: str, metrics: Mapping[str, float]) -> None:
        """Logs each metric as `<stage>/<metric>`."""
        self._log({f"{stage}/{name}": float(value) for name, value in metrics.items()})

    def curve(self, stage: str, name: str, points: Sequence[tuple[int, float]]) -> None:
        """Logs values as `<stage>/<name>`, beside `<stage>/step`."""
        for step, value in points:
            self._log({f"{stage}/step": step, f"{stage}/{name}": value})

    def table(self, name: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Logs rows as a table, and their number as `<name>_rows`."""
        columns = list(dict.fromkeys(column for row in rows for column in row))
        with outside("trackio"):
            import trackio

            data = [[table_cell(row.get(column)) for column in columns] for row in rows]
            self._log({name: trackio.Table(columns=columns, data=data), f"{name}_rows": len(rows)})

    def artifact(self, name: str, files: Sequence[Path], *, kind: str, used: bool = False) -> None:
        """Nothing: the files are in the run's folder."""

    def finish(self) -> None:
        """Writes pending data and closes the Trackio run, if one is open."""
        run, self._run = self._run, None
        if run is not None:
            with outside("trackio"), contextlib.redirect_stdout(io.StringIO()):
                import trackio

                trackio.finish()  # as run.finish(), and not once more when the process ends

    def _log(self, values: dict[str, Any]) -> None:
        with outside("trackio"):
            self._opened().log({"iteration": self._of.iteration, **values})

    def _opened(self) -> "trackio.Run":
        if self._run is None:
            if self._of.mode == "online" and not any(os.environ.get(name) for name in _PLACES):
                raise OutsideFault("there is no Trackio server; set TRACKIO_SPACE_ID, or use tracking.mode=offline")
            with contextlib.redirect_stdout(io.StringIO()):  # lines of its own; its errors are also raised
                self._run = self._open() if self._of.mode == "online" else self._open_here()
        return self._run

    def _open(self) -> "trackio.Run":
        import trackio

        return trackio.init(
            project=self._of.project, name=self._of.name, group=self._of.run, config=self._of.settings,
            embed=False, auto_log_gpu=False, auto_log_cpu=False,
        )  # fmt: skip

    def _open_here(self) -> "trackio.Run":
        """Opens a run on this machine, whatever the environment says, in place of one with its name."""
        import trackio
        from trackio.sqlite_storage import SQLiteStorage

        elsewhere = {name: os.environ.pop(name) for name in _PLACES if name in os.environ}
        try:
            if self._of.project in SQLiteStorage.get_projects():
                for held in trackio.Api().runs(self._of.project):
                    if held.name == self._of.name:
                        held.delete()
            return self._open()
        finally:
            os.environ.update(elsewhere)
