"""Checks that the files of a complete stage are unchanged: their rows, sizes and digests.

    files = flushed_files(stage)      # {"trajectories.jsonl": FileState(81233, "9f2c...", 40)}, after flushing them
    refuse_damaged(stage, files)      # RunFolderError that names each damaged file, its damage and what to do
    refuse_damaged_weights(folder)    # the same for weights, before they are loaded

Rows and sizes are compared whenever a stage is used, digests once per process, and digests of weights only before they
are loaded (0.5 s for 270 MB). Loss curves and events contain times, so only their rows are compared. Cards are ignored.
Not here: damaged lines (jsonl) and summaries (summaries), and checkpoints (training.process.checkpoints).
"""

import hashlib
import shlex
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from rest_react.errors import RunFolderError, disk_errors
from rest_react.storage.files import flush
from rest_react.storage.run_folder import BASELINES

SUMMARY = "summary.json"
WEIGHTS = "model"
_CLOCKED = ("loss.jsonl", "events.jsonl", "checkpoints.jsonl")
_MADE_AGAIN = ("results.jsonl", "examples.jsonl", "model.json", *_CLOCKED)  # from the other files of their stage
_JUDGES = ("judge", "outcome_judge")
_STAGES = ("synthetic", "grow", "improve", "finetune", "choose", *_JUDGES)
_CARD = "README.md"
_SETTLED_NS = 100_000_000  # a file that is younger may change again within the resolution of its time


class FileState(msgspec.Struct, frozen=True, omit_defaults=True):
    """The state of a file: `rows` if it is a JSONL file, and its size in bytes and digest unless it contains times."""

    bytes: int | None = None
    digest: str | None = None
    rows: int | None = None


_measured: dict[Path, tuple[tuple[int, ...], FileState]] = {}


def measure(path: Path) -> FileState:
    """Size, digest and rows of a file. An unchanged file is read once per process."""
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
    """The files of a stage that are checked: not its summary, logs, card and job files."""
    yield from sorted(stage.glob("*.jsonl"))
    yield from sorted(stage.glob("model.json"))
    for path in sorted([*(stage / WEIGHTS).rglob("*"), *stage.glob(f"snapshots/*/{WEIGHTS}/**/*")]):
        if path.is_file() and path.name != _CARD and path.suffix != ".tmp":
            yield path


def flushed_files(stage: Path) -> dict[str, FileState]:
    """Flushes a stage's files and their folders to disk; returns the state of each file."""
    paths = list(record_files(stage))
    for path in [*paths, *{path.parent for path in paths}]:
        flush(path)
    states = {}
    for path in paths:
        state = measure(path)
        states[path.relative_to(stage).as_posix()] = FileState(rows=state.rows) if path.name in _CLOCKED else state
    return states


def refuse_damaged(stage: Path, files: Mapping[str, FileState]) -> None:
    """Raises RunFolderError if a file has changed. Of weights only the size is compared."""
    weights = {name for name in files if f"{WEIGHTS}/" in name}
    if any(damage(stage / name, state, whole=name not in weights) for name, state in files.items()):
        _refuse(stage, files)


def refuse_damaged_weights(folder: Path) -> None:
    """Raises RunFolderError if `folder` has the weights of a complete stage, and a file of the stage has changed."""
    stages = [folder.parent, *folder.parents[2:3]]  # a snapshot lies two folders deeper
    stage = next((one for one in stages if folder.name == WEIGHTS and (one / SUMMARY).is_file()), None)
    if stage is not None:
        files = stored_files((stage / SUMMARY).read_bytes())
        if any(damage(stage / name, state) for name, state in files.items()):
            _refuse(stage, files)


class _Files(msgspec.Struct):
    files: dict[str, FileState]


def stored_files(summary: bytes) -> dict[str, FileState]:
    """The states of a stage's files in its summary. Raises msgspec.MsgspecError if the summary is invalid."""
    return msgspec.json.decode(summary, type=_Files).files


def damage(path: Path, state: FileState, *, whole: bool = True) -> str:
    """The damage of a file in words; empty if there is none. Without `whole`, the file's content is not read."""
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
    """The paths to delete so that the same command makes the damaged files, and all that depends on them, again."""
    iteration = next((folder for folder in stage.parents if _number(folder) >= 0), None)
    tracking = [] if iteration is None else [iteration / "tracking"]
    first = stage if iteration is None else iteration / stage.relative_to(iteration).parts[0]
    outer = first if first.name in _JUDGES else stage  # a judge of answers contains stages, and is complete with them
    if all(name in _MADE_AGAIN for name in damaged):
        own = [*dict.fromkeys((outer / SUMMARY, stage / SUMMARY)), *(stage / name for name in damaged)]
        return [path for path in (*own, *tracking) if path.exists()]
    if iteration is None or stage.parent.name in ("evaluate", "choose"):
        return [path for path in (stage, *tracking) if path.exists()]
    stage = outer
    after = _STAGES[_STAGES.index(stage.name) + 1 :] if stage.name in _STAGES else ()
    evaluated = () if stage.name in _JUDGES else ("evaluate",)
    rest = [iteration / name for name in (*after, *evaluated, "tracking")]
    rest += [iteration.parent / BASELINES] if stage.name == "synthetic" else []  # they learn from its rows
    later = (one for one in iteration.parent.glob("iter_*") if _number(one) > _number(iteration))
    return [stage, *(path for path in rest if path.exists()), *sorted(later, key=_number)]


def _number(iteration: Path) -> int:
    """The number of an iteration's folder; -1 for any other folder."""
    digits = iteration.name.removeprefix("iter_")
    return int(digits) if iteration.name.startswith("iter_") and digits.isdecimal() else -1
