"""Reopens complete stages after a change of a judge's token limit: refused and unscored requests are made again.

    reopen_where_limits_changed(folder, locked_settings(settings))     # before the new settings are saved

Not here: which records are made again (stages.improve.improve.reopen_refused, stages.evaluate.reopen_unscored).
"""

from collections.abc import Mapping

from rest_react.stages.evaluate import reopen_unscored
from rest_react.stages.improve.improve import reopen_refused
from rest_react.storage.run_folder import BASELINES, RunFolder, iterations
from rest_react.storage.settings_file import differing_settings
from rest_react.storage.summaries import read_summary
from rest_react.storage.unused_settings import is_unused


def reopen_where_limits_changed(folder: RunFolder, settings: Mapping[str, object]) -> None:
    """Makes these stages incomplete if token limits of judges differ from the folder's settings, and nothing that the
    folder refuses to change."""
    differing = differing_settings(folder.root, settings)
    if not all(is_unused(folder.root, key) for key in differing):
        return
    if "improve.max_tokens" in differing:
        for k in iterations(folder.root):
            reopen_refused(folder.stage(k, "improve"))
    if "evaluate.grader_max_tokens" in differing:
        chosen = (path for path in folder.root.glob("iter_*/choose/*/") if read_summary(path.parent) is None)
        for stage in (*folder.root.glob("iter_*/evaluate/*/"), *chosen, *folder.root.glob(f"{BASELINES}/*/*/")):
            reopen_unscored(stage)
