"""Experiment tracking, as two implementations of `records.Tracker`: none, and Weights & Biases.

One W&B run per iteration, grouped by the run's name, so that W&B draws a metric over iterations from a group:

    tracker = WandbTracker(Path("outputs/default"), run="default", iteration=1, config={"agent": {"samples": 4}})
    tracker.log("evaluate/bamboogle", numbers({"accuracy": {"mean": 0.41, "low": None}, "grader": "rule"}))
    tracker.finish()                      # the W&B run holds evaluate/bamboogle/accuracy/mean = 0.41

The id of a W&B run follows from name and iteration, so running the same command again continues it, and a number it
already holds is not logged twice. Offline (the default) nothing can be asked of a server: each process leaves a
folder `wandb/offline-run-*` of the same id, and the last of them should be whole, so log every stage of the iteration,
also those found complete on disk. Two run folders of one name in one W&B project are one run to W&B: name them apart.

Not here: computing metrics, and what the verbs write to disk; nothing ever reads back from a tracker.
"""

import hashlib
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rest_react.errors import UsageError, outside

if TYPE_CHECKING:
    import wandb

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


def numbers(summary: Mapping[str, object], prefix: str = "") -> dict[str, float]:
    """The finite numbers of a summary, nested keys joined by `/`. What is unknown (None) stays away, it is no zero."""
    flat: dict[str, float] = {}
    for key, value in summary.items():
        if isinstance(value, Mapping):
            flat |= numbers(value, f"{prefix}{key}/")
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            flat[f"{prefix}{key}"] = float(value)
    return flat


class NoTracker:
    """Tracks nothing, and needs nothing installed."""

    def log(self, stage: str, metrics: Mapping[str, float]) -> None:
        """Nothing."""

    def table(self, name: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Nothing."""

    def artifact(self, path: Path) -> None:
        """Nothing."""

    def finish(self) -> None:
        """Nothing."""


class WandbTracker:
    """One iteration as one W&B run, opened by the first thing logged: an iteration with no news leaves no trace.

    `config` must be free of secrets; W&B reads its own key (WANDB_API_KEY, or what `wandb login` stored). Everything
    W&B writes about the run lies under `folder/wandb`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        run: str,
        iteration: int,
        config: Mapping[str, object],
        project: str = "rest-react",
        mode: Literal["offline", "online"] = "offline",
    ) -> None:
        self._folder = folder
        self._name = f"{run}-{iteration}"
        self._group = run
        self._config = {**config, "iteration": iteration}
        self._iteration = iteration
        self._project = project
        self._mode = mode
        self._run: wandb.Run | None = None

    def log(self, stage: str, metrics: Mapping[str, float]) -> None:
        """Logs each metric as `<stage>/<metric>`, unless the W&B run already holds that very number."""
        run = self._opened()
        with outside("wandb"):
            named = {f"{stage}/{name}": float(value) for name, value in metrics.items()}
            held = run.summary.get  # of a continued run, too: its summary came from the server
            news = {name: value for name, value in named.items() if held(name) != value}  # type: ignore[no-untyped-call]
            if news:
                run.log({"iteration": self._iteration, **news})

    def table(self, name: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Logs rows as a table; a cell that is neither text nor a number is written as JSON."""
        import wandb

        run = self._opened()
        columns: list[str | int] = list(dict.fromkeys(column for row in rows for column in row))
        with outside("wandb"):
            cells = [[_cell(row.get(str(column))) for column in columns] for row in rows]
            # A new table each time: W&B ignores, without a word, a changed table logged again.
            run.log({name: wandb.Table(columns=columns, data=cells, allow_mixed_types=True)})

    def artifact(self, path: Path) -> None:
        """Stores a file or a folder with the run, under the path's own name."""
        import wandb

        run = self._opened()
        with outside("wandb"):
            artifact = wandb.Artifact(_UNSAFE.sub("-", f"{self._name}-{path.name}"), type=path.suffix[1:] or "folder")
            # File by file: `add_dir` prints to the terminal, silent or not.
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if file.is_file():
                    artifact.add_file(str(file), name=str(file.relative_to(path if path.is_dir() else path.parent)))
            run.log_artifact(artifact)

    def finish(self) -> None:
        """Writes out what is pending and closes the W&B run, if one was opened."""
        if self._run is not None:
            with outside("wandb"):
                self._run.finish()
            self._run = None

    def _opened(self) -> "wandb.Run":
        if self._run is not None:
            return self._run
        import wandb

        # Without a folder that exists W&B writes to a temporary one; without its data folder, artifacts go to $HOME.
        self._folder.mkdir(parents=True, exist_ok=True)
        os.environ.setdefault("WANDB_DATA_DIR", str(self._folder / "wandb"))
        # Asked first, as W&B itself would wait for a key to be typed.
        if self._mode == "online" and not wandb.login(prompt=False, verify=False):
            raise UsageError(
                "tracking.mode=online: there is no W&B key; set WANDB_API_KEY or run `wandb login`, "
                "or keep tracking.mode=offline and send the files later with `wandb sync`"
            )
        with outside("wandb"):
            self._run = wandb.init(
                project=self._project,
                group=self._group,
                name=self._name,
                id=hashlib.sha256(f"{self._group}\x1f{self._iteration}".encode()).hexdigest()[:16],
                dir=str(self._folder),
                mode=self._mode,
                # Offline there is nothing to resume from, and W&B would warn about being asked to.
                resume="allow" if self._mode == "online" else None,
                config=self._config,
                settings=wandb.Settings(silent=True, console="off", disable_git=True, save_code=False),
            )
            self._run.define_metric("*", step_metric="iteration")
        return self._run


def _cell(value: object) -> str | int | float | None:
    if value is None or isinstance(value, (str, int, float)):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)
