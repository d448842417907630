"""Logs each iteration to the experiment tracker once: metrics, loss curve, samples, data and models.

    tracking = IterationTracking(folder, "wandb", "offline", lambda k, mode: parts.tracker(k, locked, mode))
    tracking.track(1)       # True if it logged iteration 1; False if this tracker already has it

Errors of a tracker do not stop the run: they are saved in the iteration's `tracking/summary.json`, and the next command
logs the iteration again.
Not here: the trackers (reporting.tracking.open_tracker), and the numbers (reporting.results.rows).
"""

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from rest_react.protocols import Tracker
from rest_react.reporting.results.rows import compute_rows
from rest_react.reporting.results.scored_answers import Score, no_scores
from rest_react.reporting.tracking.sample_tables import sample_tables
from rest_react.reporting.tracking.trackers import GivenMode, Kind, Tolerant, numbers, tracker_mode
from rest_react.stages.finetune import MODEL
from rest_react.stages.improve.improve import EXAMPLES
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.settings_file import read_settings
from rest_react.storage.summaries import read_summary, write_summary
from rest_react.terminal.console import say
from rest_react.training.process.loss_curve import loss_curve

_NAMES = {"wandb": "W&B", "mlflow": "MLflow", "trackio": "Trackio"}
_OFFLINE = {
    "wandb": "W&B is offline; send its files with: wandb sync {root}/wandb/offline-run-*",
    "mlflow": "MLflow's data are in the run's folder; show them with: mlflow ui --backend-store-uri sqlite:///{root}/mlflow.db",
    "trackio": "Trackio's data are on this machine; show them with: trackio show",
}
OpenTracker: TypeAlias = Callable[[int, GivenMode], Tracker]


class IterationTracking:
    """Logs the iterations of a run, and remembers which notes were printed."""

    def __init__(
        self, folder: RunFolder, kind: Kind, mode: GivenMode, open_tracker: OpenTracker, score: Score = no_scores
    ) -> None:
        self._folder, self._kind, self._mode, self._open, self._score = folder, kind, mode, open_tracker, score
        self._said: set[str] = set()
        self._unreachable: list[str] = []  # why the tracker accepts nothing

    def track(self, k: int) -> bool:
        """Logs iteration k unless this tracker already has it. Returns False if it has it, or if an earlier command
        logged it and logging failed again."""
        done = self._folder.stage(k, "tracking")
        mode, variable = tracker_mode(self._kind, self._mode)
        to = {"tracking": "none", "mode": self._mode} if mode == "none" else {"tracking": self._kind, "mode": mode}
        sent = read_summary(done) or {}
        same = mode == "none" or (sent.get("tracking"), sent.get("mode", mode)) == (self._kind, mode)
        if sent and same and not sent.get("problems"):
            return False
        if variable:
            used = "nothing is sent to W&B" if mode == "none" else f"W&B is used {mode}"
            self._say_once(f"note: {variable} is set in the environment: {used}")
        problems = [] if mode == "none" else self._unreachable or self._send(k, mode)
        if not problems and mode == "offline":
            self._say_once(_OFFLINE[self._kind].format(root=self._folder.root))
        write_summary(done, to | ({"problems": problems} if problems else {}))
        return not (sent and problems)

    def _send(self, k: int, mode: GivenMode) -> list[str]:
        """Logs iteration k and returns the errors. If the tracker accepted nothing or did not finish, this command
        does not try again: W&B waits minutes for its server each time."""
        tracker = Tolerant(self._open(k, mode))
        send(self._folder, k, tracker, self._score)
        taken, problems = tracker.taken, len(tracker.problems)
        tracker.finish()
        if not taken or len(tracker.problems) > problems:
            self._unreachable = tracker.problems
        if tracker.problems:
            name = _NAMES[self._kind]
            what = f"Iteration {k} was only partly sent to {name}" if taken else f"Nothing was sent to {name}"
            say(f"note: {what}: {'; '.join(tracker.problems)}")
            say("The run continues. Run the same command again to retry the rest.")
        return tracker.problems

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            say(text)


def send(folder: RunFolder, k: int, tracker: Tracker, score: Score = no_scores) -> None:
    """Logs the metrics and the loss curve of an iteration, samples of its records, and as artifacts: the model of
    Grow, the selected examples, the demonstrations mixed with them, and the trained model. `score` gives the task's own
    scores of an answer."""
    rows = (row for row in compute_rows(folder.root, score) if row.iteration == k)
    measured = {f"evaluate/{row.benchmark}": numbers(msgspec.to_builtins(row)) for row in rows}
    for name in ("grow", "improve", "finetune", *measured):
        summary = read_summary(folder.stage(k, *name.split("/")))
        if summary is not None:
            held = numbers(summary) | measured.get(name, {})
            tracker.log(name, {key: value for key, value in held.items() if key not in ("schema", "iteration")})
    if points := loss_curve(folder.stage(k, "finetune")):
        tracker.curve("finetune", "loss", points)
    for name, table in sample_tables(folder.root, k).items():
        if table:
            tracker.table(name, table)
    # Iteration 0 has training rows only where the run began with demonstrations.
    mixed = [(0, "improve")] if k and read_settings(folder.root).get("finetune.mix_demonstrations") else []
    for iteration, name in ((k - 1, "finetune"), *mixed, (k, "improve"), (k, "finetune")):
        stage = folder.stage(iteration, name)
        if read_summary(stage) is not None:
            files_of = (EXAMPLES,) if name == "improve" else (MODEL, "loss.jsonl")
            files = [stage / file for file in files_of if (stage / file).exists()]
            label, kind = ("examples", "dataset") if name == "improve" else ("model", "model")
            tracker.artifact(f"{iteration}-{label}", files, kind=kind, used=iteration < k)
