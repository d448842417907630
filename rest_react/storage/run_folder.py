"""The run folder: where every stage keeps its files, and the lock that keeps a second live process out.

    folder = RunFolder(Path("outputs/default"))
    with folder.locked():
        folder.stage(1, "grow")          # outputs/default/iter_1/grow

Not here: records (jsonl), when a stage is complete (summaries), and which settings a folder holds (settings_file).
"""

import fcntl
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rest_react.errors import RunFolderError, disk_errors
from rest_react.storage.files import make_folder, remove

SCHEMA: Final = 1  # the version of the format, see docs/run_folder.md
HALF_COPIED = ".taken"  # a stage of another run while it is copied: where nobody looks for a stage


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run's folder; the layout is a public format (see docs/run_folder.md)."""

    root: Path

    def stage(self, iteration: int, *parts: str) -> Path:
        """Where a stage keeps its files: `stage(1, "evaluate", "world")`."""
        return self.root.joinpath(f"iter_{iteration}", *parts)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder for this process. The kernel lets go when the process ends, however it ends."""
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
        """Removes what killed commands left half written; whoever holds the lock is the only one that writes."""
        for path in [*self.root.glob("*.tmp"), *self.root.glob("iter_*/**/*.tmp"), self.root / HALF_COPIED]:
            remove(path)


def iterations(root: Path) -> list[int]:
    """The iterations that a run's folder holds anything of, in order."""
    found = (re.fullmatch(r"iter_(\d+)", path.name) for path in root.glob("iter_*"))
    return sorted(int(match[1]) for match in found if match)
