"""Copies complete stages of one run into the folder of another.

    copy_stage(source, folder, "iter_0/evaluate")     # with every complete stage below it (iter_0/evaluate/world)

The two runs share files as hard links, because a complete stage never changes its files. A stage whose lost records
are to be made again (`reopened`) gets files of its own.
Not here: which stages are copied (reuse).
"""

import os
import shutil
from collections.abc import Collection
from pathlib import Path

from rest_react.errors import disk_errors
from rest_react.records import Trajectory
from rest_react.stages.rollouts import TRAJECTORIES
from rest_react.storage.files import flush, flush_tree, make_folder, remove
from rest_react.storage.integrity import SUMMARY
from rest_react.storage.jsonl import read_lines, replace_lines
from rest_react.storage.run_folder import HALF_COPIED, RunFolder
from rest_react.storage.summaries import read_summary


def copy_stage(source: RunFolder, folder: RunFolder, stage: str, reopened: Collection[Path] = ()) -> None:
    """Copies a complete stage, and every complete stage below it, as hard links if the disk allows them. Of these
    folders, those in `reopened` are not complete in the copy, so that the next command makes their lost records."""
    for summary in sorted((source.root / stage).rglob(SUMMARY), key=lambda path: (len(path.parts), path)):
        target = folder.root / summary.parent.relative_to(source.root)
        copy_complete(summary.parent, target, folder, reopened=summary.parent in reopened)


def copy_complete(stage: Path, target: Path, folder: RunFolder, *, reopened: bool = False) -> None:
    """Copies one complete stage to `target` in `folder`, where it does not exist yet. A `reopened` one has no summary,
    and files of its own, because records will be appended to them."""
    if target.exists():
        return
    read_summary(stage)  # refuses damaged files
    unfinished = folder.root / HALF_COPIED
    remove(unfinished)
    make_folder(target.parent)
    with disk_errors(target):
        shutil.copytree(stage, unfinished, copy_function=_copy if reopened else _link)
        if reopened:
            (unfinished / SUMMARY).unlink()
        flush_tree(unfinished)
        unfinished.replace(target)
    flush(target.parent)


def copy_repeats(source: RunFolder, folder: RunFolder, stage: str, repeats: int) -> None:
    """Copies the first `repeats` trajectories of each question; Grow adds the missing ones."""
    trajectories = read_lines(source.root / stage / TRAJECTORIES, Trajectory)
    kept = (trajectory for trajectory in trajectories if int(trajectory.id.rpartition(".")[2]) < repeats)
    replace_lines(folder.root / stage / TRAJECTORIES, kept)


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without hard links
        return _copy(source, target)
    return target


def _copy(source: str, target: str) -> str:
    with disk_errors(target):  # copytree would make one error of all, without their kinds
        return shutil.copy2(source, target)
