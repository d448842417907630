"""Weights & Biases as a `Tracker`: one W&B run per iteration, grouped by the run's name.

    tracker = WandbTracker(TrackedIteration(Path("outputs/default"), "default", 1, locked, "rest-react", "offline"))
    tracker.log("evaluate/bamboogle", numbers({"accuracy": {"mean": 0.41, "low": None}, "grader": "rule"}))
    tracker.finish()                      # the W&B run holds evaluate/bamboogle/accuracy/mean = 0.41

The id of a W&B run is derived from name and iteration, so the same command continues it, and numbers and tables that it
already has are not logged twice. Offline (the default) there is no server to ask: a new process replaces an interrupted
one and removes its folder `wandb/offline-run-*`, so log every stage of the iteration, also those that were complete on
disk. Two run folders with the same name in one W&B project are one run to W&B: give them different names.

All errors of W&B become an `OutsideFault`. Artifacts are named by the run and identified by their content: iteration 2
uses the model that iteration 1 logged, so W&B shows the lineage of the iterations.
Not here: what is logged (track_iteration, sample_tables). Nothing is read back from a tracker.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rest_react.errors import OutsideFault, outside
from rest_react.reporting.tracking.trackers import TrackedIteration, table_cell

if TYPE_CHECKING:
    import wandb

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
_LEAST_BYTES = 16_000_000
_FINISH_S = 120.0  # W&B would try for days to reach its server


class WandbTracker:
    """One iteration as one W&B run. The first call opens it, so an iteration without new data creates no run.

    W&B reads its own key (WANDB_API_KEY, or what `wandb login` stored). Everything it writes about the run lies under
    `folder/wandb`.
    """

    def __init__(self, of: TrackedIteration) -> None:
        self._of = of
        self._run: wandb.Run | None = None
        self._failed: OutsideFault | None = None

    def log(self, stage: str, metrics: Mapping[str, float]) -> None:
        """Logs each metric as `<stage>/<metric>`, unless the W&B run already has this number."""
        with outside("wandb"):
            run = self._opened()
            named = {f"{stage}/{name}": float(value) for name, value in metrics.items()}
            held = run.summary.get  # of a continued run, too: its summary came from the server
            news = {name: value for name, value in named.items() if held(name) != value}  # type: ignore[no-untyped-call]
            if news:
                run.log({"iteration": self._of.iteration, **news})

    def curve(self, stage: str, name: str, points: Sequence[tuple[int, float]]) -> None:
        """Logs values as `<stage>/<name>` over `<stage>/step`, from the first step that the W&B run does not have."""
        with outside("wandb"):
            run = self._opened()
            axis = f"{stage}/step"
            run.define_metric(f"{stage}/{name}", step_metric=axis)
            last = run.summary.get(axis)  # type: ignore[no-untyped-call]
            for step, value in points:
                if last is None or step > last:
                    run.log({"iteration": self._of.iteration, axis: step, f"{stage}/{name}": value})

    def table(self, name: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Logs rows as a table, unless the W&B run already has a table with this name. A cell that is neither text
        nor a number is written as JSON. `<name>_rows` counts all rows, also those beyond W&B's limit."""
        columns: list[str | int] = list(dict.fromkeys(column for row in rows for column in row))
        with outside("wandb"):
            run = self._opened()
            import wandb

            if run.summary.get(name) is not None:  # type: ignore[no-untyped-call]
                return
            kept = rows[: wandb.Table.MAX_ROWS]
            cells = [[table_cell(row.get(str(column))) for column in columns] for row in kept]
            table = wandb.Table(columns=columns, data=cells, allow_mixed_types=True)
            run.log({"iteration": self._of.iteration, name: table, f"{name}_rows": len(rows)})

    def artifact(self, name: str, files: Sequence[Path], *, kind: str, used: bool = False) -> None:
        """Stores files as artifact `<run>-<name>`; with `used`, records that this iteration used the artifact."""
        with outside("wandb"):
            run = self._opened()
            import wandb

            artifact = wandb.Artifact(_UNSAFE.sub("-", f"{self._of.run}-{name}"), type=kind)
            for file in files:
                artifact.add_file(str(file), name=file.name)
            if not used:
                run.log_artifact(artifact)
            elif self._of.mode == "online":
                run.use_artifact(artifact)
            else:  # `use_artifact` refuses offline, though the record that it writes online can be synced as well
                run._log_artifact(artifact, is_user_created=True, use_after_commit=True)

    def finish(self) -> None:
        """Sends pending data and closes the W&B run, if one is open."""
        run, self._run = self._run, None
        if run is None:
            return
        try:
            with outside("wandb"):
                run.finish()
                _need_space(self._of.folder)
        except OutsideFault as error:
            if isinstance(error.__cause__, TimeoutError):
                raise  # its process is alive and still trying
            import wandb

            # Its own process may be dead: the next run starts a new one, and nothing is tried when this one exits.
            with suppress(SystemExit, OutsideFault), outside("wandb"):
                wandb.teardown()
            raise

    def _opened(self) -> "wandb.Run":
        """The W&B run. If opening failed before, raises that error at once: W&B waits minutes for a server."""
        if self._failed is not None:
            raise self._failed
        if self._run is None:
            try:
                with outside("wandb"):
                    self._run = self._open()
            except OutsideFault as error:
                self._failed = error
                raise
        return self._run

    def _open(self) -> "wandb.Run":
        # W&B prints lines of its own; its errors are also raised.
        os.environ.update(WANDB_SILENT="true", WANDB_DISABLE_WEAVE="true")
        import wandb

        # Without a folder that exists W&B writes to a temporary one; without its data folder, artifacts go to $HOME.
        (self._of.folder / "wandb").mkdir(parents=True, exist_ok=True)
        _need_space(self._of.folder)
        os.environ.setdefault("WANDB_DATA_DIR", str(self._of.folder / "wandb"))
        # Checked first, because W&B would wait for the user to type a key.
        if self._of.mode == "online" and not wandb.login(prompt=False, verify=False):
            raise OutsideFault(
                "there is no W&B key; set WANDB_API_KEY or run `wandb login`, "
                "or use tracking.mode=offline and send the files later with `wandb sync`"
            )
        id_ = hashlib.sha256(f"{self._of.run}\x1f{self._of.iteration}".encode()).hexdigest()[:16]
        if self._of.mode == "offline":
            for cut_short in (self._of.folder / "wandb").glob(f"offline-run-*-{id_}"):
                shutil.rmtree(cut_short)
        run = wandb.init(
            project=self._of.project,
            group=self._of.run,
            name=self._of.name,
            id=id_,
            dir=str(self._of.folder),
            mode=self._of.mode,
            # W&B warns if it is told to resume offline.
            resume="allow" if self._of.mode == "online" else None,
            config=self._of.settings,
            settings=wandb.Settings(
                silent=True,
                console="off",
                disable_git=True,
                save_code=False,
                finish_timeout=_FINISH_S,
                finish_timeout_raises=True,
            ),
        )
        run.define_metric("*", step_metric="iteration")
        return run


def _need_space(folder: Path) -> None:
    """Raises OutsideFault on a full disk. W&B's own process writes that only to its log, and loses data."""
    if (free := shutil.disk_usage(folder).free) < _LEAST_BYTES:
        raise OutsideFault(f"only {free / 1e6:.0f} MB are free in {folder}; W&B may have lost data, so free some space")
