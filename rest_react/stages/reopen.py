"""Reopens complete stages where a judge's token limit changed: what that limit cut off or refused is asked again.

    reopen_where_limits_changed(folder, locked_settings(settings))     # before the folder takes the new settings

Not here: which records those are (improve.reopen_refused, evaluate.reopen_unscored).
"""

from collections.abc import Mapping

from rest_react.stages.evaluate import reopen_unscored
from rest_react.stages.improve import reopen_refused
from rest_react.storage.run_folder import RunFolder, iterations
from rest_react.storage.settings_file import LIMITS_OF_JUDGES, differing_settings


def reopen_where_limits_changed(folder: RunFolder, settings: Mapping[str, object]) -> None:
    """Makes those stages incomplete, if the limits of judges alone differ from the folder's settings."""
    differing = differing_settings(folder.root, settings)
    if not set(differing) <= set(LIMITS_OF_JUDGES):
        return
    for k in iterations(folder.root):
        if "improve.max_tokens" in differing:
            reopen_refused(folder.stage(k, "improve"))
        if "evaluate.grader_max_tokens" in differing:
            for stage in folder.stage(k, "evaluate").glob("*/"):
                reopen_unscored(stage)
