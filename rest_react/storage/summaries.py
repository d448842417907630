"""Summaries: a stage is complete when its summary.json is there.

    write_summary(stage, {"examples": 40})     # once all files of the stage are on the disk
    read_summary(stage)                        # {"schema": 1, "examples": 40}; None while the stage is incomplete
    reopen(stage)                              # incomplete again: the next command does what it lacks

A power cut costs lines of an incomplete stage at most. A summary says what its stage's files hold, so a complete stage
with a damaged file is refused by whoever reads its summary.
Not here: how damage is recognised (integrity).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from rest_react.console import say
from rest_react.errors import RunFolderError
from rest_react.storage.files import remove, write_json
from rest_react.storage.integrity import SUMMARY, counted_files, flushed_files, refuse_damaged, stored_files
from rest_react.storage.run_folder import SCHEMA


def write_summary(stage: Path, summary: Mapping[str, object]) -> None:
    """Marks a stage complete, once all that it consists of is on the disk; says what its files hold."""
    write_json(stage / SUMMARY, {"schema": SCHEMA, **summary, "files": flushed_files(stage)})


def reopen(stage: Path) -> None:
    """Makes a complete stage incomplete again: what it lacks is done by the next command, the rest is kept."""
    remove(stage / SUMMARY)


def read_summary(stage: Path) -> dict[str, Any] | None:
    """A complete stage's summary; None while it is incomplete. Raises RunFolderError where a file of the stage is not
    what it was when the stage was completed."""
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
    if files is None:
        _note_unchecked(stage)
        files = {name: state for name, state in counted_files(summary).items() if (stage / name).exists()}
    refuse_damaged(stage, files)
    summary.pop("files", None)
    return summary


def refuse_damaged_stages(run_folder: Path) -> None:
    """Raises RunFolderError where a complete stage is damaged; before work, or money, goes into what follows it."""
    for summary in sorted(run_folder.glob(f"iter_*/**/{SUMMARY}")):
        read_summary(summary.parent)


_unchecked: set[Path] = set()


def _note_unchecked(stage: Path) -> None:
    """Tells once that a run's files are hardly checked; its summaries were written before they said what files hold."""
    run = next((folder.parent for folder in stage.parents if folder.name.startswith("iter_")), stage)
    if run not in _unchecked:
        _unchecked.add(run)
        say(f"note: {run} was created by an earlier version, so only the row counts of its files are checked")
