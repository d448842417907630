"""Whether a complete stage still holds what it held when it was completed: rows, bytes and a digest of each file.

    files = flushed_files(stage)      # {"trajectories.jsonl": FileState(81233, "9f2c...", 40)}, all of it on the disk
    refuse_damaged(stage, files)      # RunFolderError: each damaged file, what is wrong with it, and the way out
    refuse_damaged_weights(folder)    # the same for the weights that are about to be loaded

Rows and sizes are compared whenever a stage is used, digests once per process; those of weights only where they are
loaded (0.5 s for 270 MB). A curve or an event holds clock readings, so only its rows count, and a card is no record.
Not here: damaged lines and summaries, which the store refuses, and checkpoints (training.local).
"""

import hashlib
import shlex
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from rest_react.errors import RunFolderError, disk_errors
from rest_react.storage.files import flush

SUMMARY = "summary.json"
WEIGHTS = "model"
_CLOCKED = ("loss.jsonl", "events.jsonl", "checkpoints.jsonl")
_MADE_AGAIN = ("results.jsonl", "examples.jsonl", "model.json", *_CLOCKED)  # from the other files of their stage
_STAGES = ("grow", "improve", "finetune")
_CARD = "README.md"
_SETTLED_NS = 100_000_000  # a file younger than that may change once more without another time


class FileState(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a file holds: `rows` of a JSONL file, and unless it holds clock readings its size and digest."""

    bytes: int | None = None
    digest: str | None = None
    rows: int | None = None


_measured: dict[Path, tuple[tuple[int, ...], FileState]] = {}


def measure(path: Path) -> FileState:
    """Size, digest and rows of a file. A file that did not change is read once per process."""
    stat = path.stat()
    stamp = (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    known = _measured.get(path)
    if known is not None and known[0] == stamp:
        return known[1]
    digest, rows = hashlib.blake2b(digest_size=16), 0
    with disk_errors(path), path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            rows += block.count(b"\n")
    state = FileState(stat.st_size, digest.hexdigest(), rows if path.suffix == ".jsonl" else None)
    if time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) > _SETTLED_NS:
        _measured[path] = stamp, state
    return state


def record_files(stage: Path) -> Iterator[Path]:
    """The files that a stage consists of; not its summary, its logs, its card and how a training was started."""
    yield from sorted(stage.glob("*.jsonl"))
    yield from sorted(stage.glob("model.json"))
    for path in sorted((stage / WEIGHTS).rglob("*")):
        if path.is_file() and path.name != _CARD and path.suffix != ".tmp":
            yield path


def flushed_files(stage: Path) -> dict[str, FileState]:
    """The state of a stage's files, after they were put on the disk with their folders."""
    paths = list(record_files(stage))
    for path in [*paths, *{path.parent for path in paths}]:
        flush(path)
    states = {}
    for path in paths:
        state = measure(path)
        states[path.relative_to(stage).as_posix()] = FileState(rows=state.rows) if path.name in _CLOCKED else state
    return states


def refuse_damaged(stage: Path, files: Mapping[str, FileState]) -> None:
    """Raises RunFolderError where a file is not what it was. Weights are looked at by their size alone."""
    weights = {name for name in files if name.startswith(f"{WEIGHTS}/")}
    if any(damage(stage / name, state, whole=name not in weights) for name, state in files.items()):
        _refuse(stage, files)


def refuse_damaged_weights(folder: Path) -> None:
    """Raises RunFolderError where the weights in `folder` are those of a complete stage, and not what they were."""
    if folder.name == WEIGHTS and (folder.parent / SUMMARY).is_file():
        files = stored_files((folder.parent / SUMMARY).read_bytes()) or {}
        if any(damage(folder.parent / name, state) for name, state in files.items()):
            _refuse(folder.parent, files)


class _Files(msgspec.Struct):
    files: dict[str, FileState] | None = None


def stored_files(summary: bytes) -> dict[str, FileState] | None:
    """What a summary says of its stage's files; None of one that was written before summaries did. Raises
    msgspec.MsgspecError where it says it in another form."""
    return msgspec.json.decode(summary, type=_Files).files


def counted_files(summary: Mapping[str, Any]) -> dict[str, FileState]:
    """What an earlier version's summary tells of the rows of its stage's files."""
    match summary:
        case {"trajectories": int(rows)}:
            return {"trajectories.jsonl": FileState(rows=rows)}
        case {"examples": int(rows), "ranked": int(ranked), "fallback": int(fallback), "errored": int(errored)}:
            counted = {"examples.jsonl": rows, "rankings.jsonl": ranked + fallback + errored}
            return {name: FileState(rows=count) for name, count in counted.items()}
        case {"grader": _, "questions": int(questions), "repeats": int(repeats)}:
            return {"results.jsonl": FileState(rows=questions * repeats)}
        case _:
            return {}


def damage(path: Path, state: FileState, *, whole: bool = True) -> str:
    """What is wrong with a file; empty where nothing is. Without `whole` its content is not read."""
    if not path.is_file():
        return "is missing"
    size = path.stat().st_size
    if size == 0 and (state.bytes or state.rows):
        return "is empty"
    if not whole:
        return "" if state.bytes in (None, size) else f"holds {size:,} of {state.bytes:,} bytes"
    now = measure(path)
    if state.rows is not None and now.rows != state.rows:
        return f"holds {now.rows} rows instead of {state.rows}"
    if state.bytes is not None and size != state.bytes:
        return f"holds {size:,} bytes instead of {state.bytes:,}"
    return "" if state.digest in (None, now.digest) else "has different content"


def _refuse(stage: Path, files: Mapping[str, FileState]) -> None:
    found = {name: damage(stage / name, state) for name, state in files.items()}
    damaged = {name: wrong for name, wrong in found.items() if wrong}
    told = "".join(f"{stage / name} {wrong}\n" for name, wrong in damaged.items())
    again = _to_delete(stage, damaged)
    raise RunFolderError(
        f"{told}The stage was complete, but this was cut, deleted or changed afterwards. Restore it from a copy, or "
        "repeat the work: delete the paths below, then run the same command again.\n"
        f"  rm -r {shlex.join(map(str, again))}"
    )


def _to_delete(stage: Path, damaged: Iterable[str]) -> list[Path]:
    """What to delete so that the same command makes the damaged files again, and all that came of them."""
    iteration = next((folder for folder in stage.parents if _number(folder) >= 0), None)
    tracking = [] if iteration is None else [iteration / "tracking"]
    if all(name in _MADE_AGAIN for name in damaged):
        own = [stage / SUMMARY, *(stage / name for name in damaged)]
        return [path for path in (*own, *tracking) if path.exists()]
    if iteration is None or stage.parent.name == "evaluate":
        return [path for path in (stage, *tracking) if path.exists()]
    after = _STAGES[_STAGES.index(stage.name) + 1 :] if stage.name in _STAGES else ()
    rest = (iteration / name for name in (*after, "evaluate", "tracking"))
    later = (one for one in iteration.parent.glob("iter_*") if _number(one) > _number(iteration))
    return [stage, *(path for path in rest if path.exists()), *sorted(later, key=_number)]


def _number(iteration: Path) -> int:
    """The number of an iteration's folder; -1 of any other folder."""
    digits = iteration.name.removeprefix("iter_")
    return int(digits) if iteration.name.startswith("iter_") and digits.isdecimal() else -1
