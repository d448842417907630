"""Reopens complete stages after a change of a judge's token limit: refused and unscored requests are made again.

    reopen_where_limits_changed(folder, locked_settings(settings), iteration=2)     # before the new settings are saved

Not here: which records are made again (stages.improve.improve.reopen_refused, stages.evaluate.reopen_unscored).
"""

from collections.abc import Mapping
from pathlib import Path

from rest_react.stages.evaluate import reopen_unscored
from rest_react.stages.improve.improve import reopen_refused
from rest_react.storage.files import remove
from rest_react.storage.run_folder import BASELINES, RunFolder, iterations
from rest_react.storage.settings_file import differing_settings
from rest_react.storage.summaries import read_summary
from rest_react.storage.unused_settings import is_unused
from rest_react.terminal.console import say


def reopen_where_limits_changed(folder: RunFolder, settings: Mapping[str, object], iteration: int) -> None:
    """Makes these stages incomplete if token limits of judges differ from the folder's settings, and nothing that the
    folder refuses to change. Says which iterations a command to `iteration` leaves incomplete."""
    differing = differing_settings(folder.root, settings)
    if not all(is_unused(folder.root, key) for key in differing):
        return
    if "improve.max_tokens" in differing:
        for k in iterations(folder.root):
            reopen_refused(folder.stage(k, "improve"))
    if "evaluate.grader_max_tokens" in differing:
        chosen = (path for path in folder.root.glob("iter_*/choose/*/") if read_summary(path.parent) is None)
        for stage in (*chosen, *folder.root.glob(f"{BASELINES}/*/*/")):
            reopen_unscored(stage)
        _reopen_evaluations(folder.root, iteration)


def _reopen_evaluations(root: Path, iteration: int) -> None:
    """Trackers get the iterations again: each row also has differences to the iterations before it. A stage without a
    summary was reopened by a command that was killed before this, or never logged."""
    reopened = []
    for k in iterations(root):
        stages = list(root.glob(f"iter_{k}/evaluate/*/"))
        done = [reopen_unscored(stage) or read_summary(stage) is None for stage in stages]
        if any(done):
            reopened.append(k)
        if reopened:
            remove(root / f"iter_{k}" / "tracking")
    if left := [k for k in reopened if k > iteration]:
        say(
            f"note: evaluate.grader_max_tokens has changed, so answers without a verdict are graded again. The results "
            f"lack {', '.join(f'iteration {k}' for k in left)} until a command with iteration={left[-1]} has done it"
        )
