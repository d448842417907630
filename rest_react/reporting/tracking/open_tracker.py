"""Opens the tracker of one iteration, by the settings `tracking`.

    tracker = open_tracker("mlflow", folder, "offline", run="default", iteration=1, config=locked, project="rest-react")

Each tracker's package is imported when it is first used. Not here: what is logged (track_iteration).
"""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from rest_react.protocols import Tracker
from rest_react.reporting.tracking.mlflow_tracker import MlflowTracker
from rest_react.reporting.tracking.trackers import Kind, Mode, NoTracker
from rest_react.reporting.tracking.trackio_tracker import TrackioTracker
from rest_react.reporting.tracking.wandb_tracker import WandbTracker

_TRACKERS: Mapping[str, Callable[..., Tracker]] = {
    "wandb": WandbTracker, "mlflow": MlflowTracker, "trackio": TrackioTracker,
}  # fmt: skip


def open_tracker(
    kind: Kind, folder: Path, mode: Mode, *, run: str, iteration: int, config: Mapping[str, object], project: str
) -> Tracker:
    """The tracker; it connects at its first call."""
    if mode == "none":
        return NoTracker()
    return _TRACKERS[kind](folder, run=run, iteration=iteration, config=config, project=project, mode=mode)


def missing_tracker(kind: Kind) -> str:
    """What must be installed for a tracker; empty if nothing is missing."""
    if kind == "none" or find_spec(kind):
        return ""
    return f"the package {kind} is not installed; pip install 'rest-react[{kind}]'"
