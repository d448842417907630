"""Writes files that survive a kill and a power cut: atomically, flushed with their folders, and without leftovers.

    with replacing(path) as file:           # the old file is kept until the new one is complete and on disk
        file.write(b"...")
    make_folder(stage)                      # new folders are flushed too
    flush_tree(draft)                       # every file and folder in it, before the rename that publishes it
    with draft_folder(cache, ".smollm2.") as draft:   # leftovers of killed processes are removed first
    remove_leftover(path)                   # a temporary file of `replacing` stays while its process writes it

Errors of the disk are raised as `DiskError`.
Not here: the content of the files (jsonl, summaries), and checks for damage (integrity).
"""

import errno
import fcntl
import hashlib
import json
import math
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from rest_react.errors import FOLDERS, DiskError, disk_errors

_PROBE_BYTES = 65_536
_ENDS = 1 << 20  # bytes
_OF_WEIGHTS = (".safetensors", ".bin", ".gguf", ".json")


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that replaces `path` when the block ends; if it raises, the old file is kept."""
    # Not the process id: processes that share a folder may have the same one, each in its container.
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    with disk_errors(path):
        make_folder(path.parent)
        try:
            with temporary.open("xb") as file:
                with suppress(OSError):  # some file systems have no locks
                    fcntl.flock(file, fcntl.LOCK_EX)  # until it has its name: remove_leftover spares it
                yield file
                file.flush()
                os.fsync(file.fileno())
                temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        flush(path.parent)


def write_file(path: Path, content: bytes | str) -> None:
    """Writes a file atomically; text as UTF-8, with lone surrogates as question marks."""
    with replacing(path) as file:
        file.write(content if isinstance(content, bytes) else content.encode("utf-8", "replace"))


def write_json(path: Path, value: object) -> None:
    """Writes a JSON file atomically, with sorted keys. A number that is not finite becomes null: JSON has none, and a
    file that holds it could not be read again."""
    text = json.dumps(_finite(msgspec.to_builtins(value)), indent=1, sort_keys=True, ensure_ascii=False)
    write_file(path, text + "\n")


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def make_folder(folder: Path) -> None:
    """Makes a folder and its parents, and flushes them, so that a power cut cannot remove a folder that has files."""
    with disk_errors(folder):
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        _make(folder)
        for one in missing:
            flush(one.parent)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError as error:  # some file systems, such as /proc, have no folders of users
        raise DiskError(f"{folder}: cannot be made ({error.strerror}); choose another folder ({FOLDERS})") from error


def flush(path: Path) -> None:
    """Flushes a file's content, or a folder's list of names, to disk."""
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


def folder_digest(folder: Path) -> str:
    """Names the content of a folder of weights: names and sizes of its files, and both ends of each, since all of a
    large model would take a minute."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.suffix in _OF_WEIGHTS and path.is_file()):
        size = path.stat().st_size
        digest.update(f"{path.name}\0{size}\0".encode("utf-8", "surrogateescape"))
        with path.open("rb") as file:
            digest.update(file.read(_ENDS))
            file.seek(max(size - _ENDS, 0))
            digest.update(file.read(_ENDS))
    return digest.hexdigest()[:16]


def cut_torn_line(path: Path) -> int:
    """Removes an incomplete last line, as after a kill; returns its length in bytes."""
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
    """A new folder in `parent`, to be filled and renamed; if it was not renamed, it is removed when the block ends."""
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
    """Locks the folder: shared while drafts are filled, exclusively while leftovers are removed."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)


def publish(draft: Path, folder: Path) -> None:
    """Flushes a draft and gives it its final name. If another process was faster, its folder is kept."""
    flush_tree(draft)
    try:
        draft.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
    flush(folder.parent)


def clear_drafts(parent: Path, prefix: str) -> None:
    """Removes drafts that killed processes left, unless a running process has a draft there now."""
    leftovers = [path for path in parent.iterdir() if path.name.startswith(prefix)] if parent.is_dir() else []
    if not leftovers:
        return
    # Leftovers stay if the folder belongs to another user, or if a running process fills a draft.
    with suppress(OSError), _locked(parent, fcntl.LOCK_EX | fcntl.LOCK_NB):
        for path in leftovers:
            remove(path)


def remove(path: Path) -> None:
    """Removes a file, or a folder with its content; does nothing if it does not exist."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_leftover(path: Path) -> None:
    """Removes a file or folder that a killed process left half written, but no file that `replacing` writes now."""
    if path.is_dir():
        remove(path)
        return
    with suppress(OSError), path.open("rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove(path)


def refuse_unwritable(folder: Path) -> None:
    """Raises DiskError if no file can be written in `folder`; called early, before libraries fail with a traceback."""
    probe = folder / f".probe.{os.getpid()}"
    with disk_errors(folder):
        _make(folder)
        try:
            with probe.open("wb") as file:
                file.write(bytes(_PROBE_BYTES))
                file.flush()
        finally:
            probe.unlink(missing_ok=True)
