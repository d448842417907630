"""A disk that forgets: what a power cut may leave of a folder, by what was flushed before it.

    with recorded(tmp_path / "run") as disk:
        ...                                  # anything that writes there in this process
    disk.after_power_cut(tmp_path / "left")  # files as they were last flushed, under the names that were

The worst that a file system may do: a file holds what it held at its last fsync, nothing if there was none, and a
folder the names that it had at its own.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class Disk:
    """What of `root` would survive a power cut now. `watch` is called after each flush."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.watch: Callable[[], None] = lambda: None
        self._content: dict[int, bytes] = {}
        self._names: dict[int, dict[str, int]] = {root.stat().st_ino: {}}
        self._held: list[int] = []  # open files, so that no inode is given to another file

    def flushed(self, handle: int) -> None:
        inode, path = os.fstat(handle).st_ino, Path(f"/proc/self/fd/{handle}").resolve()
        if not path.is_relative_to(self.root):
            return
        self._held.append(os.dup(handle))
        if path.is_dir():
            self._names[inode] = {entry.name: entry.inode() for entry in os.scandir(path)}
            self._names |= {e.inode(): self._names.get(e.inode(), {}) for e in os.scandir(path) if e.is_dir()}
        else:
            self._content[inode] = path.read_bytes()
        self.watch()

    def after_power_cut(self, target: Path) -> Path:
        shutil.rmtree(target, ignore_errors=True)
        self._write(self.root.stat().st_ino, target)
        return target

    def _write(self, inode: int, target: Path) -> None:
        if inode in self._names:
            target.mkdir(parents=True)
            for name, child in self._names[inode].items():
                self._write(child, target / name)
        else:
            target.write_bytes(self._content.get(inode, b""))

    def close(self) -> None:
        for handle in self._held:
            os.close(handle)


@contextmanager
def recorded(root: Path) -> Iterator[Disk]:
    root.mkdir(parents=True, exist_ok=True)
    disk, flush = Disk(root.resolve()), os.fsync

    def fsync(handle: int) -> None:
        flush(handle)
        disk.flushed(handle)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        try:
            yield disk
        finally:
            disk.close()
