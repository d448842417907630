"""Opens the tracker of one iteration, by the settings `tracking`.

    tracker = open_tracker("mlflow", TrackedIteration(folder, "default", 1, locked, "rest-react", "offline"))

Each tracker's package is imported when it is first used. Not here: what is logged (track_iteration).
"""

from collections.abc import Callable, Mapping
from importlib.util import find_spec

from rest_react.protocols import Tracker
from rest_react.reporting.tracking.mlflow_tracker import MlflowTracker
from rest_react.reporting.tracking.trackers import Kind, TrackedIteration
from rest_react.reporting.tracking.trackio_tracker import TrackioTracker
from rest_react.reporting.tracking.wandb_tracker import WandbTracker

_TRACKERS: Mapping[str, Callable[[TrackedIteration], Tracker]] = {
    "wandb": WandbTracker, "mlflow": MlflowTracker, "trackio": TrackioTracker,
}  # fmt: skip


def open_tracker(kind: Kind, of: TrackedIteration) -> Tracker:
    """The tracker of any kind but `none`; it connects at its first call."""
    return _TRACKERS[kind](of)


def missing_tracker(kind: Kind) -> str:
    """What must be installed for a tracker; empty if nothing is missing."""
    if kind == "none" or find_spec(kind):
        return ""
    return f"the package {kind} is not installed; pip install 'rest-react[{kind}]'"
