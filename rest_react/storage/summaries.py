"""Summaries of stages: a stage is complete if its summary.json exists.

    write_summary(stage, {"examples": 40})     # flushes all files of the stage first
    read_summary(stage)                        # {"schema": 1, "examples": 40}; None while the stage is incomplete
    reopen(stage)                              # incomplete again: the next command completes it

A power cut loses at most lines of an incomplete stage. A summary has the sizes and digests of its stage's files, so
reading the summary detects a damaged file.
Not here: the check for damage (integrity).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from rest_react.errors import RunFolderError
from rest_react.storage.files import remove, write_json
from rest_react.storage.integrity import SUMMARY, flushed_files, refuse_damaged, stored_files
from rest_react.storage.run_folder import BASELINES, SCHEMA


def write_summary(stage: Path, summary: Mapping[str, object]) -> None:
    """Flushes the files of a stage, then marks it complete by writing its summary with the states of the files."""
    write_json(stage / SUMMARY, {"schema": SCHEMA, **summary, "files": flushed_files(stage)})


def reopen(stage: Path) -> None:
    """Makes a complete stage incomplete again: the next command does the missing work and keeps the rest."""
    remove(stage / SUMMARY)


def read_summary(stage: Path) -> dict[str, Any] | None:
    """A complete stage's summary; None if the stage is incomplete. Raises RunFolderError if the summary is damaged, or
    if a file of the stage has changed since the stage was completed."""
    path = stage / SUMMARY
    if not path.exists():
        return None
    content = path.read_bytes()
    try:
        summary = msgspec.json.decode(content, type=dict[str, Any])
        files = stored_files(content)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RunFolderError(
            f"{path} is damaged ({error}); delete it and run the same command again to complete the stage anew"
        ) from error
    refuse_damaged(stage, files)
    del summary["files"]
    return summary


def refuse_damaged_stages(run_folder: Path) -> None:
    """Raises RunFolderError if a complete stage is damaged; called before work or money is spent on later stages."""
    for summary in sorted((*run_folder.glob(f"iter_*/**/{SUMMARY}"), *run_folder.glob(f"{BASELINES}/*/*/{SUMMARY}"))):
        read_summary(summary.parent)
