"""The run folder: where everything goes, how it survives a kill, and what may not change in between.

    folder = RunFolder(Path("outputs/default"))
    with folder.locked():                                        # a second live process is refused
        folder.seal(sealed_view(settings), environment)          # other settings are refused, by name
        log = JsonLines(folder.stage(1, "grow") / "trajectories.jsonl", Trajectory)
        done = log.resume(keep=lambda t: t.fault is None)        # repairs a torn last line, drops what is owed again
        log.append(trajectory)                                   # one write per record: on disk or not at all
        log.finish(order=["w1.0", "w1.1"])                       # the file in its canonical order
        write_summary(folder.stage(1, "grow"), {...})            # written last: its presence means complete

Files only ever grow by whole lines or are replaced whole, so a kill at any moment costs the line in flight. A summary
is written after all files of its stage are on the disk, so a power cut costs lines of an incomplete stage at most; and
it says what they hold, so a complete stage with a damaged file is refused by whoever reads its summary.
Not here: what the records mean, which stage comes next, and how damage is found (integrity).
"""

import errno
import fcntl
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Generic, Protocol, TypeVar

import msgspec
import yaml

from rest_react.console import say
from rest_react.errors import RunFolderError, disk_errors
from rest_react.records import Fault
from rest_react.storage.files import cut_torn_line, flush, flush_tree, make_folder, remove, replacing, write_file
from rest_react.storage.integrity import SUMMARY, counted_files, flushed_files, refuse_damaged, stored_files
from rest_react.storage.locked_settings import is_unsealed

SCHEMA: Final = 1
ABSENT = "(absent)"
_TAKEN = ".taken"  # a stage of another run, half copied: where nobody looks for a stage


class Record(Protocol):
    """Whatever has an id can be stored."""

    @property
    def id(self) -> str: ...


R = TypeVar("R", bound=Record)


class _Id(msgspec.Struct):
    id: str


class _OwedVerdict(msgspec.Struct):
    owed: bool = False


class _Owed(_Id):
    """What of a record tells whether its work is owed again."""

    fault: Fault | None = None
    verdict: _OwedVerdict | None = None
    verdict_before_checks: _OwedVerdict | None = None
    status: str = ""

    @property
    def is_owed(self) -> bool:
        verdicts = (self.verdict, self.verdict_before_checks)
        outside = self.fault is not None and self.fault.whose == "outside"
        return outside or self.status == "errored" or any(one is not None and one.owed for one in verdicts)


# Where the work lies that these settings go into; as long as there is none, they may change.
_WORK_OF = {
    "grader.": "iter_*/evaluate/*/results.jsonl",
    "reward_model.": "iter_*/improve/*",
    "improve.": "iter_*/improve/*",
    "finetune.": "iter_*/finetune/*",
}
# They bound what a judge writes. A reply within two bounds is the same under both, so these may change at any time;
# what one of them cut off or made a server refuse is asked again.
LIMITS_OF_JUDGES = ("evaluate.grader_max_tokens", "improve.max_tokens")
_OF_A_HOSTED_JOB = ("job.json", "events.jsonl")  # training.hosted compares the settings of a job that was begun


class JsonLines(Generic[R]):
    """An append-only file of records, one JSON object a line, each id once. Memory holds ids, never records."""

    def __init__(self, path: Path, kind: type[R]) -> None:
        self.path = path
        self._kind = kind
        self._encoder = msgspec.json.Encoder()
        self._file: int | None = None

    def resume(self, keep: Callable[[R], bool] = lambda _: True) -> set[str]:
        """Opens the file for appending and returns the ids that are already in it. A torn last line is cut off;
        records that `keep` refuses are taken out, since they are owed again."""
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
        """Writes one whole line in one call."""
        if self._file is None:
            raise RuntimeError("append before resume")
        line = _line(self._encoder, record)
        whole = os.fstat(self._file).st_size
        with disk_errors(self.path):
            if os.write(self._file, line) != len(line):
                # A worker that is not stopped yet must not write on behind half a line.
                os.ftruncate(self._file, whole)
                raise OSError(errno.ENOSPC, "only part of a line was written")

    def finish(self, order: Iterable[str]) -> None:
        """Closes the file and brings its lines into `order`; ids that are missing from the file are passed over."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        where = {id_: (start, length) for id_, start, length in _line_spans(self.path)}
        spans = [where.pop(id_) for id_ in order if id_ in where]
        if where:
            raise RunFolderError(
                f"{self.path} holds {len(where)} records that this stage does not know, e.g. {next(iter(where))!r}; "
                "did the questions change? Move the file away, or give the run another name (run=<name>)"
            )
        if spans == sorted(spans):
            return
        with self.path.open("rb") as source, replacing(self.path) as target:
            for start, length in spans:
                source.seek(start)
                target.write(source.read(length))


def read_lines(path: Path, kind: type[R]) -> Iterator[R]:
    """The records of a file, one at a time; none if there is no file. A damaged line is an error that names it."""
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
                    f"{path}, line {number} is damaged ({error}); take the line out and its work is done again"
                ) from error


def replace_lines(path: Path, records: Iterable[object]) -> int:
    """Writes a whole file of records, atomically; returns how many."""
    encoder = msgspec.json.Encoder()
    count = 0
    with replacing(path) as file:
        for record in records:
            file.write(_line(encoder, record))
            count += 1
    return count


def write_json(path: Path, value: object) -> None:
    """Writes a whole JSON file, atomically, with sorted keys."""
    text = json.dumps(msgspec.to_builtins(value), indent=1, sort_keys=True, ensure_ascii=False)
    write_file(path, text + "\n")


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
            f"{path} is damaged ({error}); delete it and run the same command again: the stage is completed again"
        ) from error
    if files is None:
        _note_unchecked(stage)
        files = {name: state for name, state in counted_files(summary).items() if (stage / name).exists()}
    refuse_damaged(stage, files)
    summary.pop("files", None)
    return summary


_unchecked: set[Path] = set()


def _note_unchecked(stage: Path) -> None:
    """Tells once that a run's files are hardly checked; its summaries were written before they said what files hold."""
    run = next((folder.parent for folder in stage.parents if folder.name.startswith("iter_")), stage)
    if run not in _unchecked:
        _unchecked.add(run)
        say(f"note: {run} was made by an earlier version: of its files only the rows are checked for damage")


def _line(encoder: msgspec.json.Encoder, record: object) -> bytes:
    try:
        return encoder.encode(record) + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair, as some providers send it; no file can hold one
        text = json.dumps(msgspec.to_builtins(record), separators=(",", ":"), ensure_ascii=False)
        return text.encode("utf-8", "replace") + b"\n"


def _line_spans(path: Path) -> Iterator[tuple[str, int, int]]:
    """Id, offset and length of every line."""
    decoder = msgspec.json.Decoder(_Id)
    start = 0
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            yield decoder.decode(line).id, start, len(line)
            start += len(line)


class _Sealed(msgspec.Struct, frozen=True):
    """What settings.yaml holds."""

    schema: int
    settings: dict[str, Any]
    environments: Annotated[list[dict[str, str]], msgspec.Meta(min_length=1)]


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
                    f"{self.root} is in use by another live process; wait for it, stop it, or choose another run=<name>"
                ) from error
            self._clear_leftovers()
            yield

    def _clear_leftovers(self) -> None:
        """Removes what killed commands left half written; whoever holds the lock is the only one that writes."""
        for path in [*self.root.glob("*.tmp"), *self.root.glob("iter_*/**/*.tmp"), self.root / _TAKEN]:
            remove(path)

    def seal(self, sealed: Mapping[str, object], environment: Mapping[str, str]) -> list[str]:
        """Writes settings.yaml on the first run; afterwards refuses other settings, naming the keys that differ. Where
        nothing was finished yet, the first settings may have been unable to work: such a folder takes others.

        `sealed` is flat (dotted key to value). `environment` (package versions, the prompts' hash) may change: each
        change is recorded, and returned as a warning.
        """
        path = self.root / "settings.yaml"
        kept = self._kept()
        if kept is None:
            _write_yaml(path, _Sealed(SCHEMA, dict(sealed), [dict(environment)]))
            return []
        differing = self.differing(sealed)
        if differing and self._nothing_finished():
            for begun in self.root.glob("iter_*"):
                shutil.rmtree(begun)
            _write_yaml(path, _Sealed(SCHEMA, dict(sealed), [dict(environment)]))
            return ["settings were changed, with which nothing had been finished"]
        if differing and all(self._is_unused(key) for key in differing):
            _write_yaml(path, _Sealed(SCHEMA, dict(sealed), kept.environments))
            return [f"{', '.join(differing)} changed; no finished work depends on it"]
        if differing:
            raise RunFolderError(
                f"{self.root} was made with other settings:\n"
                + "".join(f"  {key}: {difference}\n" for key, difference in differing.items())
                + "Give these settings a name of their own (run=<name>), or go back to the folder's."
            )
        last = kept.environments[-1]
        changes = [
            f"{name}: {last.get(name, ABSENT)} before, {environment.get(name, ABSENT)} now"
            for name in sorted({*last, *environment})
            if last.get(name) != environment.get(name)
        ]
        if changes:
            _write_yaml(path, _Sealed(kept.schema, kept.settings, [*kept.environments, dict(environment)]))
        return changes

    def differing(self, sealed: Mapping[str, object]) -> dict[str, str]:
        """What is said of each setting that is not as the folder holds it; nothing of a folder that holds none yet."""
        kept = self._kept()
        if kept is None:
            return {}
        # A key that was sealed once and is not any more is not compared.
        before = {key: value for key, value in kept.settings.items() if key in sealed or not is_unsealed(key)}
        return {
            key: f"{_shown(before, key)} in the folder, {_shown(sealed, key)} now"
            for key in sorted({*before, *sealed})
            if key not in before or key not in sealed or before[key] != sealed[key]
        }

    def take_over(self, source: "RunFolder", stage: str) -> None:
        """Has a complete stage of another run as this one's own, with all that is complete below it. The two share
        the files, which a complete stage never changes. What is there already stays."""
        for summary in sorted((source.root / stage).rglob(SUMMARY)):
            taken = self.root / summary.parent.relative_to(source.root)
            if not taken.exists():
                read_summary(summary.parent)  # refuses damaged files
                unfinished = self.root / _TAKEN
                remove(unfinished)
                make_folder(taken.parent)
                with disk_errors(taken):
                    shutil.copytree(summary.parent, unfinished, copy_function=_linked)
                    flush_tree(unfinished)
                    unfinished.replace(taken)
                flush(taken.parent)

    def check(self) -> None:
        """Raises RunFolderError where a complete stage is damaged; before work, or money, goes into what follows it."""
        for summary in sorted(self.root.glob(f"iter_*/**/{SUMMARY}")):
            read_summary(summary.parent)

    def settings(self) -> dict[str, Any]:
        """The sealed settings, flat; empty while there are none."""
        kept = self._kept()
        return {} if kept is None else kept.settings

    def _nothing_finished(self) -> bool:
        """Whether no stage is complete and every record, if there is any, is an outside fault, owed again."""
        if any(self.root.rglob(SUMMARY)):
            return False
        records = (record for path in self.root.rglob("*.jsonl") for record in read_lines(path, _Owed))
        return all(record.is_owed for record in records)

    def _is_unused(self, key: str) -> bool:
        """Whether no work in this folder depends on the setting yet."""
        if key in LIMITS_OF_JUDGES:
            return True
        patterns = [pattern for group, pattern in _WORK_OF.items() if key.startswith(group)]
        if not patterns:
            return False
        found = [path for path in self.root.glob(patterns[0]) if path.name not in _OF_A_HOSTED_JOB]
        lines = (line for path in found if path.suffix == ".jsonl" for line in read_lines(path, _Owed))
        return all(path.suffix == ".jsonl" for path in found) and all(line.is_owed for line in lines)

    def _kept(self) -> _Sealed | None:
        path = self.root / "settings.yaml"
        if not path.exists():
            return None
        try:
            return msgspec.convert(yaml.safe_load(path.read_bytes()), type=_Sealed)
        except (yaml.YAMLError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise RunFolderError(f"{path} is damaged ({error}); restore it, or choose another run=<name>") from error


def _linked(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one that knows no links
        return shutil.copy2(source, target)
    return target


def _shown(settings: Mapping[str, object], key: str) -> str:
    return repr(settings[key]) if key in settings else ABSENT


def _write_yaml(path: Path, value: _Sealed) -> None:
    text = yaml.safe_dump(msgspec.to_builtins(value), sort_keys=False)
    write_file(path, text)


def iterations(root: Path) -> list[int]:
    """The iterations that a run's folder holds anything of, in order."""
    found = (re.fullmatch(r"iter_(\d+)", path.name) for path in root.glob("iter_*"))
    return sorted(int(match[1]) for match in found if match)


def in_order(questions: Sequence[str], repeats: int) -> Iterator[str]:
    """Trajectory ids in their canonical order: by question, then by repeat."""
    for question in questions:
        for repeat in range(repeats):
            yield f"{question}.{repeat}"
