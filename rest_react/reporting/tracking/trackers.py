"""What a tracker is told of its iteration; the mode of tracking, from settings and environment; and a tracker whose
errors do not stop the run.

    tracker = Tolerant(WandbTracker(TrackedIteration(folder, "default", 1, locked, "rest-react", "offline")))
    tracker.log("grow", numbers({"trajectories": 40, "grader": "rule"}))       # {"trajectories": 40.0}
    tracker.problems                                                            # its errors

`Tolerant` keeps each `OutsideFault` as a problem instead of raising it; the next command logs the iteration again.
`tracker_mode` reads WANDB_MODE.
Not here: the trackers themselves (wandb_tracker, mlflow_tracker, trackio_tracker), what is logged (track_iteration).
"""

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from rest_react.errors import OutsideFault
from rest_react.protocols import Tracker

Kind: TypeAlias = Literal["none", "wandb", "mlflow", "trackio"]
GivenMode: TypeAlias = Literal["offline", "online"]  # tracking.mode
Mode: TypeAlias = Literal["none", "offline", "online"]
# The values of WANDB_MODE; `run` and `dryrun` are older names.
_MODES: Mapping[str, Mode] = {
    "disabled": "none", "offline": "offline", "dryrun": "offline", "online": "online", "run": "online",
}  # fmt: skip


def tracker_mode(kind: Kind, mode: GivenMode) -> tuple[Mode, str]:
    """The mode of tracking, and the environment variable that overrides the settings (empty if none does).

    >>> tracker_mode("wandb", "offline")                 # with WANDB_MODE=disabled in the environment
    ('none', 'WANDB_MODE=disabled')
    """
    if kind != "wandb":
        return ("none" if kind == "none" else mode), ""
    if (disabled := os.environ.get("WANDB_DISABLED", "")).strip().casefold() in ("true", "1", "yes", "on"):
        return "none", f"WANDB_DISABLED={disabled}"
    given = os.environ.get("WANDB_MODE", "")
    if (told := _MODES.get(given.strip().casefold(), mode)) != mode:
        return told, f"WANDB_MODE={given}"
    return mode, ""


def numbers(summary: Mapping[str, object], prefix: str = "") -> dict[str, float]:
    """The finite numbers of a summary, nested keys joined by `/`. Unknown numbers (None) are left out."""
    flat: dict[str, float] = {}
    for key, value in summary.items():
        if isinstance(value, Mapping):
            flat |= numbers(value, f"{prefix}{key}/")
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            flat[f"{prefix}{key}"] = float(value)
    return flat


def table_cell(value: object) -> str | int | float | None:
    """A cell of a tracker's table: text and numbers as they are, anything else as JSON."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


@dataclass(frozen=True, slots=True)
class TrackedIteration:
    """One iteration, as a tracker shows it. `folder` is the run's; `config`, the settings, must be free of secrets."""

    folder: Path
    run: str
    iteration: int
    config: Mapping[str, object]
    project: str
    mode: GivenMode

    @property
    def name(self) -> str:
        """The name of the tracker's own run."""
        return f"{self.run}-{self.iteration}"

    @property
    def settings(self) -> dict[str, object]:
        """What the tracker shows as settings: `config`, and the iteration."""
        return {**self.config, "iteration": self.iteration}


class Tolerant:
    """A tracker that keeps errors as `problems` instead of raising them; `taken` counts successful calls."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self.problems: list[str] = []
        self.taken = 0

    def log(self, stage: str, metrics: Mapping[str, float]) -> None:
        """As the tracker."""
        self._try(lambda: self._tracker.log(stage, metrics))

    def curve(self, stage: str, name: str, points: Sequence[tuple[int, float]]) -> None:
        """As the tracker."""
        self._try(lambda: self._tracker.curve(stage, name, points))

    def table(self, name: str, rows: Sequence[Mapping[str, object]]) -> None:
        """As the tracker."""
        self._try(lambda: self._tracker.table(name, rows))

    def artifact(self, name: str, files: Sequence[Path], *, kind: str, used: bool = False) -> None:
        """As the tracker."""
        self._try(lambda: self._tracker.artifact(name, files, kind=kind, used=used))

    def finish(self) -> None:
        """As the tracker."""
        self._try(self._tracker.finish)

    def _try(self, part: Callable[[], None]) -> None:
        try:
            part()
            self.taken += 1
        except OutsideFault as error:
            if str(error) not in self.problems:
                self.problems.append(str(error))
