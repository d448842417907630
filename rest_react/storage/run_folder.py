"""The run folder: the paths of the stages, and a lock against a second process.

    folder = RunFolder(Path("outputs/default"))
    with folder.locked():
        folder.stage(1, "grow")          # outputs/default/iter_1/grow

Not here: records (jsonl), whether a stage is complete (summaries), and a folder's settings (settings_file).
"""

import fcntl
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rest_react.errors import RunFolderError, disk_errors
from rest_react.storage.files import make_folder, remove_leftover

SCHEMA: Final = 1  # the version of the format, see docs/run_folder.md
BASELINES = "baselines"
HALF_COPIED = ".taken"  # a stage of another run is copied here first, since no command reads stages from this path


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run's folder; the layout is a public format (see docs/run_folder.md)."""

    root: Path

    def stage(self, iteration: int, *parts: str) -> Path:
        """The folder of a stage: `stage(1, "evaluate", "world")`."""
        return self.root.joinpath(f"iter_{iteration}", *parts)

    def baseline(self, name: str, benchmark: str) -> Path:
        """The folder of a baseline's answers to a benchmark: `baseline("tfidf", "validation")`."""
        return self.root / BASELINES / name / benchmark

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Locks the folder for this process; the kernel releases the lock when the process ends for any reason. Raises
        RunFolderError if another process has the lock."""
        make_folder(self.root)
        with disk_errors(self.root), (self.root / ".lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RunFolderError(
                    f"{self.root} is in use by another running process; wait for it, stop it, or use another run=<name>"
                ) from error
            self._clear_leftovers()
            yield

    def _clear_leftovers(self) -> None:
        """Removes incomplete files of killed commands. Only the process with the lock writes stages, but any may write
        a page here (`python -m rest_react.report page=<here>/page.html`)."""
        for path in [
            *self.root.glob("*.tmp"),
            *self.root.glob("iter_*/**/*.tmp"),
            *self.root.glob(f"{BASELINES}/**/*.tmp"),
            self.root / HALF_COPIED,
        ]:
            remove_leftover(path)


def iterations(root: Path) -> list[int]:
    """The numbers of the iterations in a run's folder, in order."""
    found = (re.fullmatch(r"iter_(\d+)", path.name) for path in root.glob("iter_*"))
    return sorted(int(match[1]) for match in found if match)
