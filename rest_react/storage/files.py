"""Files that survive a kill and a power cut: written whole, flushed with their folders, drafts cleared afterwards.

    with replacing(path) as file:           # the old file stands until the new one is whole and on the disk
        file.write(b"...")
    make_folder(stage)                      # new folders are flushed as well
    flush_tree(draft)                       # every file and folder below, before a rename says that it is complete
    with draft_folder(cache, ".smollm2.") as draft:   # what killed processes left there is removed first

What the disk refuses is a `DiskError`.
Not here: what the files mean (jsonl, summaries), and whether they are damaged (integrity).
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from rest_react.errors import disk_errors

_PROBE_BYTES = 65_536


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` once the block is through; until then the old one stands."""
    temporary = path.with_name(f"{path.name}.tmp")
    with disk_errors(path):
        make_folder(path.parent)
        try:
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        flush(path.parent)


def write_file(path: Path, content: bytes | str) -> None:
    """Writes a whole file; text as UTF-8, half of a surrogate pair as a question mark."""
    with replacing(path) as file:
        file.write(content if isinstance(content, bytes) else content.encode("utf-8", "replace"))


def write_json(path: Path, value: object) -> None:
    """Writes a whole JSON file, atomically, with sorted keys."""
    text = json.dumps(msgspec.to_builtins(value), indent=1, sort_keys=True, ensure_ascii=False)
    write_file(path, text + "\n")


def make_folder(folder: Path) -> None:
    """Makes a folder with all above it, each flushed, so that a power cut cannot take it from under its files."""
    with disk_errors(folder):
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for one in missing:
            flush(one.parent)


def flush(path: Path) -> None:
    """Puts a file's content, or a folder's list of names, on the disk."""
    with disk_errors(path):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        except OSError as error:  # some network file systems cannot flush a folder
            if error.errno not in (errno.EINVAL, errno.ENOTSUP) or not path.is_dir():
                raise
        finally:
            os.close(handle)


def flush_tree(folder: Path) -> None:
    """Flushes every file and folder in `folder`, then itself."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if not path.is_symlink():
            flush(path)
    flush(folder)


def file_digest(path: Path) -> str:
    """Names the exact content of a file: the start of its SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def cut_torn_line(path: Path) -> int:
    """Removes a last line without an end, as a kill leaves it; returns how many bytes it had."""
    if not path.exists():
        return 0
    with disk_errors(path), path.open("rb+") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - 65536)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end < size:
            file.truncate(end)
    return size - end


@contextmanager
def draft_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder in `parent`, to be filled and renamed; removed afterwards if it still has its own name."""
    make_folder(parent)
    clear_drafts(parent, prefix)
    with disk_errors(parent), _locked(parent, fcntl.LOCK_SH):
        draft = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        try:
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    """Holds the folder itself: whoever fills a draft in it, with others; whoever clears drafts away, alone."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)


def publish(draft: Path, folder: Path) -> None:
    """Gives a draft its final name once it is on the disk. Where another process was faster, its work stands."""
    flush_tree(draft)
    try:
        draft.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
    flush(folder.parent)


def clear_drafts(parent: Path, prefix: str) -> None:
    """Removes what killed processes left of their drafts, unless a live one has a draft there now."""
    leftovers = list(parent.glob(f"{prefix}*"))
    if not leftovers:
        return
    # A folder that belongs to somebody else, or a live process that fills a draft, keeps its leftovers.
    with suppress(OSError), _locked(parent, fcntl.LOCK_EX | fcntl.LOCK_NB):
        for path in leftovers:
            remove(path)


def remove(path: Path) -> None:
    """Removes a file, or a folder with all that is in it; nothing where there is neither."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def refuse_unwritable(folder: Path) -> None:
    """Raises DiskError where no file can be written in `folder`, before others try it and fail with a traceback."""
    probe = folder / f".probe.{os.getpid()}"
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with probe.open("wb") as file:
                file.write(bytes(_PROBE_BYTES))
                file.flush()
        finally:
            probe.unlink(missing_ok=True)
