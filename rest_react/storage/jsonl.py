"""Append-only files of records: one JSON object a line, each id once.

    log = JsonLines(stage / "trajectories.jsonl", Trajectory)
    done = log.resume(keep=lambda t: t.fault is None)        # removes an incomplete last line, and records to repeat
    log.append(trajectory)                                   # one write per record
    log.finish(order=["w1.0", "w1.1"])                       # sorts the file
    replace_lines(stage / "examples.jsonl", examples)        # or writes a whole file at once

A file grows by complete lines or is replaced atomically, so a kill loses at most the line that is being written.
Not here: the types of the records, and which of them must be repeated (each stage decides).
"""

import errno
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import msgspec

from rest_react.errors import RunFolderError, disk_errors
from rest_react.storage.files import cut_torn_line, flush, make_folder, replacing


class Record(Protocol):
    """Any record with an id."""

    @property
    def id(self) -> str: ...


R = TypeVar("R", bound=Record)


class JsonLines(Generic[R]):
    """An append-only file of records, one JSON object a line, each id once. Only ids are kept in memory."""

    def __init__(self, path: Path, kind: type[R]) -> None:
        self.path = path
        self._kind = kind
        self._encoder = msgspec.json.Encoder()
        self._file: int | None = None

    def resume(self, keep: Callable[[R], bool] = lambda _: True) -> set[str]:
        """Opens the file for appending and returns the ids in it. Removes an incomplete last line, and the records for
        which `keep` is false, because their work must be repeated."""
        make_folder(self.path.parent)
        cut_torn_line(self.path)
        done: set[str] = set()
        dropped = False
        for record in read_lines(self.path, self._kind):
            if keep(record):
                done.add(record.id)
            else:
                dropped = True
        if dropped:
            replace_lines(self.path, (r for r in read_lines(self.path, self._kind) if r.id in done))
        with disk_errors(self.path):
            self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        return done

    def append(self, record: R) -> None:
        """Writes a line in one call. Raises DiskError, without leaving part of the line, if the disk is full."""
        if self._file is None:
            raise RuntimeError("append before resume")
        line = _line(self._encoder, record)
        whole = os.fstat(self._file).st_size
        with disk_errors(self.path):
            if os.write(self._file, line) != len(line):
                # Another worker may still write; its line must not follow half a line.
                os.ftruncate(self._file, whole)
                raise OSError(errno.ENOSPC, "only part of a line was written")

    def close(self) -> None:
        """Closes the file, if it is open."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def finish(self, order: Sequence[str]) -> None:
        """Closes the file and sorts its lines by `order`; ids that are not in the file are skipped. A file that is in
        order is read once and not changed. Raises RunFolderError if the file has records that are not in `order`.

        Flushes the file: what is made from its records must not outlive them in a power cut."""
        if self._file is not None:
            self.close()
            flush(self.path)
            flush(self.path.parent)
        left = iter(order)
        if all(id_ in left for id_, _, _ in _line_spans(self.path)):
            return
        where = {id_: (start, length) for id_, start, length in _line_spans(self.path)}
        spans = [where.pop(id_) for id_ in order if id_ in where]
        if where:
            raise _foreign(self.path, list(where))
        if spans == sorted(spans):
            return
        with self.path.open("rb") as source, replacing(self.path) as target:
            for start, length in spans:
                source.seek(start)
                target.write(source.read(length))


def refuse_foreign(path: Path, known: Collection[str]) -> None:
    """Raises RunFolderError if the file has records with other ids than these: the stage could not be finished."""
    if others := [record.id for record in read_lines(path, _Id) if record.id not in known]:
        raise _foreign(path, others)


def _foreign(path: Path, ids: Sequence[str]) -> RunFolderError:
    return RunFolderError(
        f"{path} has {len(ids)} records that do not belong to this stage, e.g. {ids[0]!r}; did the questions change? "
        "Move the file away, or give the run another name (run=<name>)"
    )


def read_lines(path: Path, kind: type[R]) -> Iterator[R]:
    """The records of a file, one at a time; none if the file does not exist. Ignores an incomplete last line; raises
    RunFolderError that names a damaged line."""
    if not path.exists():
        return
    decoder = msgspec.json.Decoder(kind)
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield decoder.decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                if not line.endswith(b"\n"):
                    return
                raise RunFolderError(
                    f"{path}, line {number} is damaged ({error}); delete the line and run the same command again: its "
                    "work is repeated"
                ) from error


def replace_lines(path: Path, records: Iterable[object]) -> int:
    """Writes a file of records atomically; returns their number."""
    encoder = msgspec.json.Encoder()
    count = 0
    with replacing(path) as file:
        for record in records:
            file.write(_line(encoder, record))
            count += 1
    return count


class _Id(msgspec.Struct):
    id: str


def _line(encoder: msgspec.json.Encoder, record: object) -> bytes:
    try:
        return encoder.encode(record) + b"\n"
    except UnicodeEncodeError:  # a lone surrogate, which some providers send and UTF-8 cannot encode
        text = json.dumps(msgspec.to_builtins(record), separators=(",", ":"), ensure_ascii=False)
        return text.encode("utf-8", "replace") + b"\n"


def _line_spans(path: Path) -> Iterator[tuple[str, int, int]]:
    """Id, offset and length in bytes of every line."""
    decoder = msgspec.json.Decoder(_Id)
    start = 0
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            yield decoder.decode(line).id, start, len(line)
            start += len(line)
