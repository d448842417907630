import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rest_react.errors import RunFolderError
from rest_react.records import Ranking
from rest_react.storage.jsonl import JsonLines, read_lines, replace_lines
from tests.power_cut import recorded


@dataclass(frozen=True, slots=True)
class Note:
    id: str
    text: str
    owed: bool = False


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
NOTES = st.lists(st.builds(Note, TEXTS, TEXTS), unique_by=lambda note: note.id, max_size=8)


@contextmanager
def a_file() -> Iterator[Path]:
    """A path for one example of hypothesis, which shares tmp_path between all of them."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "notes.jsonl"


def written(path: Path, *notes: Note) -> JsonLines[Note]:
    log = JsonLines(path, Note)
    log.resume()
    for note in notes:
        log.append(note)
    return log


@given(NOTES, st.data())
def test_a_kill_after_any_byte_of_the_last_line_costs_that_line_alone(notes: list[Note], data: st.DataObject) -> None:
    with a_file() as path:
        written(path, *notes)
        whole = path.read_bytes()
        last = len(whole.splitlines(keepends=True)[-1]) if notes else 0
        left = data.draw(st.integers(0, last))
        path.write_bytes(whole[: len(whole) - last + left])

        log = JsonLines(path, Note)
        done = log.resume()
        assert done == {note.id for note in (notes if left == last else notes[:-1])}
        for note in notes:
            if note.id not in done:
                log.append(note)
        log.finish([note.id for note in notes])
        assert path.read_bytes() == whole
        assert list(read_lines(path, Note)) == notes


@given(NOTES, st.randoms(use_true_random=False))
def test_finish_brings_any_order_of_arrival_into_the_one_asked_for(notes: list[Note], random: Random) -> None:
    arrived = random.sample(notes, len(notes))
    with a_file() as path:
        written(path, *arrived).finish([note.id for note in notes])
        assert list(read_lines(path, Note)) == notes
        assert [file.name for file in path.parent.iterdir()] == [path.name]


@settings(max_examples=20)
@given(st.integers(60_000, 140_000), st.booleans())
def test_a_torn_last_line_is_repaired_however_long_it_is(length: int, alone: bool) -> None:
    first = [] if alone else [Note("a", "kept")]
    with a_file() as path:
        written(path, *first, Note("b", "x" * length))
        path.write_bytes(path.read_bytes()[:-1])
        assert JsonLines(path, Note).resume() == {note.id for note in first}
        assert list(read_lines(path, Note)) == first


def test_resume_removes_records_that_must_be_repeated(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    written(path, Note("a", "1"), Note("b", "2", owed=True), Note("c", "3"))
    log = JsonLines(path, Note)
    assert log.resume(keep=lambda note: not note.owed) == {"a", "c"}
    log.append(Note("b", "2"))
    log.finish(["a", "b", "c"])
    assert list(read_lines(path, Note)) == [Note("a", "1"), Note("b", "2"), Note("c", "3")]


def test_resume_does_not_rewrite_a_file_without_records_to_repeat(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    written(path, Note("a", "1"))
    before = path.stat()
    JsonLines(path, Note).resume(keep=lambda note: not note.owed)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_of_a_file_that_is_in_order_finish_keeps_nothing_in_memory(tmp_path: Path) -> None:
    order = [f"w{i}.0" for i in range(10_000)]
    path = tmp_path / "notes.jsonl"
    replace_lines(path, (Note(id_, "") for id_ in order if id_ != "w7.0"))
    tracemalloc.start()
    try:
        JsonLines(path, Note).finish(order)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 500_000  # the places of all lines take 3 MB


def test_records_of_a_finished_file_survive_a_power_cut(tmp_path: Path) -> None:
    with recorded(tmp_path / "stage") as disk:
        log = written(disk.root / "notes.jsonl", Note("a", "first"), Note("b", "second"))
        log.finish(["a", "b"])
        left = disk.after_power_cut(tmp_path / "left")
    assert [note.id for note in read_lines(left / "notes.jsonl", Note)] == ["a", "b"]


def test_finish_skips_ids_that_are_not_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    written(path, Note("c", "3"), Note("a", "1")).finish(["a", "b", "c"])
    assert [note.id for note in read_lines(path, Note)] == ["a", "c"]


def test_finish_refuses_a_record_that_is_not_in_the_order_and_keeps_the_file(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    log = written(path, Note("b", "2"), Note("stray", "?"), Note("a", "1"))
    before = path.read_bytes()
    with pytest.raises(RunFolderError, match=r"has 1 records that do not belong to this stage, e\.g\. 'stray'"):
        log.finish(["a", "b"])
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "line",
    [b"{", b"", b"nonsense", b'{"id":"b"}', b'{"id":"b","text":7}', b'{"id":"b","text":"\xff"}', b"\0\0\0"],
)
def test_a_damaged_line_in_the_middle_is_an_error_that_names_file_and_line(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "notes.jsonl"
    written(path, Note("a", "1"), Note("c", "3"))
    first, last = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + line + b"\n" + last)
    with pytest.raises(RunFolderError, match=r"notes\.jsonl, line 2 is damaged .*; delete the line"):
        JsonLines(path, Note).resume()


def test_a_missing_file_holds_no_records(tmp_path: Path) -> None:
    assert list(read_lines(tmp_path / "notes.jsonl", Note)) == []


def test_append_needs_resume_first(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="append before resume"):
        JsonLines(tmp_path / "notes.jsonl", Note).append(Note("a", "1"))


def test_half_a_surrogate_pair_is_replaced_and_not_the_end_of_the_run(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    written(path, Note("a", "half \ud83d of it"))
    assert list(read_lines(path, Note)) == [Note("a", "half ? of it")]


FULL_DISK = """
import resource, sys
from pathlib import Path
from random import Random
from rest_react.errors import DiskError
from rest_react.records import Ranking
from rest_react.storage.jsonl import JsonLines
resource.setrlimit(resource.RLIMIT_FSIZE, (400, 400))
log = JsonLines(Path(sys.argv[1]), Ranking)
log.resume()
for i in range(10):
    try:
        log.append(Ranking(str(i), "decide", "random", "ranked", 0))
    except DiskError as error:
        print(error)
"""


def test_a_full_disk_is_told_and_leaves_whole_lines_alone(tmp_path: Path) -> None:
    path = tmp_path / "rankings.jsonl"
    tried = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    kept = list(read_lines(path, Ranking))
    assert 0 < len(kept) < 10
    assert path.read_bytes().endswith(b"}\n")
    told = tried.stdout.splitlines()
    assert len(told) == 10 - len(kept)
    assert all(line.endswith("free some space and run the same command again") for line in told)


def test_replacing_a_file_is_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    assert replace_lines(path, [Note("a", "1"), Note("b", "2")]) == 2

    def broken() -> Iterator[Note]:
        yield Note("c", "3")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_lines(path, broken())
    assert list(read_lines(path, Note)) == [Note("a", "1"), Note("b", "2")]


def test_a_stored_record_comes_back_as_it_was(tmp_path: Path) -> None:
    ranking = Ranking("q.0.1", "decide", "reward_model", "ranked", 2, order=(2, 0, 1), reply="why", good=None)
    replace_lines(tmp_path / "r.jsonl", [ranking, replace(ranking, id="q.0.2")])
    assert list(read_lines(tmp_path / "r.jsonl", Ranking)) == [ranking, replace(ranking, id="q.0.2")]
