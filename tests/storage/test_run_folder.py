import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rest_react.errors import RunFolderError
from rest_react.records import Fault, Ranking, Trajectory
from rest_react.storage.run_folder import (
    JsonLines,
    RunFolder,
    in_order,
    read_lines,
    read_summary,
    replace_lines,
    write_json,
    write_summary,
)
from tests.runs import trajectory, write_lines


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
        written(path, *arrived).finish(note.id for note in notes)
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


def test_what_is_owed_is_taken_out_on_resume(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    written(path, Note("a", "1"), Note("b", "2", owed=True), Note("c", "3"))
    log = JsonLines(path, Note)
    assert log.resume(keep=lambda note: not note.owed) == {"a", "c"}
    log.append(Note("b", "2"))
    log.finish(["a", "b", "c"])
    assert list(read_lines(path, Note)) == [Note("a", "1"), Note("b", "2"), Note("c", "3")]


def test_a_file_without_owed_records_is_not_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    written(path, Note("a", "1"))
    before = path.stat()
    JsonLines(path, Note).resume(keep=lambda note: not note.owed)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_finish_passes_over_what_is_not_there_yet(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    written(path, Note("c", "3"), Note("a", "1")).finish(["a", "b", "c"])
    assert [note.id for note in read_lines(path, Note)] == ["a", "c"]


def test_finish_refuses_a_record_that_nobody_asked_for_and_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    log = written(path, Note("b", "2"), Note("stray", "?"), Note("a", "1"))
    before = path.read_bytes()
    with pytest.raises(RunFolderError, match=r"holds 1 records that this stage does not know, e\.g\. 'stray'"):
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
    with pytest.raises(RunFolderError, match=r"notes\.jsonl, line 2 is damaged .*; take the line out"):
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
    write_json(tmp_path / "summary.json", {"fault": "\ud83d"})
    assert read_summary(tmp_path) == {"fault": "?"}


FULL_DISK = """
import resource, sys
from pathlib import Path
from random import Random
from rest_react.errors import DiskError
from rest_react.records import Ranking
from rest_react.storage.run_folder import JsonLines
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


def test_json_is_replaced_whole_and_with_sorted_keys(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "model.json"
    write_json(path, Note("b", "ä"))
    write_json(path, Note("a", "ö"))
    assert path.read_text(encoding="utf-8") == '{\n "id": "a",\n "owed": false,\n "text": "ö"\n}\n'
    assert [file.name for file in path.parent.iterdir()] == ["model.json"]
    with pytest.raises(TypeError):
        write_json(path, object())
    assert json.loads(path.read_text(encoding="utf-8"))["id"] == "a"


def test_a_summary_marks_a_stage_complete(tmp_path: Path) -> None:
    assert read_summary(tmp_path) is None
    write_summary(tmp_path, {"examples": 3})
    assert read_summary(tmp_path) == {"schema": 1, "examples": 3}


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff"])
def test_a_damaged_summary_says_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "summary.json").write_text(text, encoding="latin-1")
    with pytest.raises(RunFolderError, match=r"summary\.json is damaged .*; delete it"):
        read_summary(tmp_path)


LIVE = """
import sys, time
from pathlib import Path
from random import Random
from rest_react.storage.run_folder import RunFolder
with RunFolder(Path(sys.argv[1])).locked():
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_second_live_process_is_refused_until_the_first_is_dead(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    first = subprocess.Popen([sys.executable, "-c", LIVE, str(folder.root)], stdout=subprocess.PIPE, text=True)
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == "locked\n"
        with pytest.raises(RunFolderError, match="is in use by another live process"), folder.locked():
            pass
    finally:
        first.kill()
        first.communicate()
    with folder.locked():
        pass
    with folder.locked():
        pass


def test_what_killed_commands_left_half_written_is_removed_by_the_next_one(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    stage = folder.stage(1, "finetune")
    (stage / "model.tmp").mkdir(parents=True)
    (folder.root / ".taken").mkdir()
    for path in (folder.root / "results.json.tmp", stage / "model.json.tmp", stage / "model.tmp/config.json"):
        path.touch()
    write_json(stage / "model.json", {})
    with folder.locked():
        left = sorted(path.relative_to(folder.root).as_posix() for path in folder.root.rglob("*") if path.is_file())
    assert left == [".lock", "iter_1/finetune/model.json"]


SEALED: dict[str, object] = {"seed": 0, "agent.select": "perplexity", "policy.command": ["a", "b"], "data": None}
HERE = {"python": "3.11.7", "prompts": "abcd"}


def test_the_seal_refuses_other_settings_by_name_and_changes_nothing(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.seal(SEALED, HERE) == []
    assert folder.seal(SEALED, HERE) == []
    write_lines(folder.stage(0, "grow") / "trajectories.jsonl", [lost("a"), trajectory("b")])
    before = (tmp_path / "settings.yaml").read_bytes()
    other = {**SEALED, "seed": 1, "agent.extra": True}
    del other["data"]
    with pytest.raises(RunFolderError) as refused:
        folder.seal(other, {"python": "3.13.0"})
    assert str(refused.value).splitlines() == [
        f"{tmp_path} was made with other settings:",
        "  agent.extra: (absent) in the folder, True now",
        "  data: None in the folder, (absent) now",
        "  seed: 0 in the folder, 1 now",
        "Give these settings a name of their own (run=<name>), or go back to the folder's.",
    ]
    assert (tmp_path / "settings.yaml").read_bytes() == before


def lost(question: str) -> Trajectory:
    return replace(trajectory(question), outcome="failed", fault=Fault("outside", "m at http://nowhere: no reply"))


@pytest.mark.parametrize("stage", ["", "iter_0/evaluate/world"])
@pytest.mark.parametrize("done", [[], [trajectory("a")]], ids=["complete", "begun"])
def test_nothing_finished_is_lost_to_other_settings(tmp_path: Path, stage: str, done: list[Trajectory]) -> None:
    folder = RunFolder(tmp_path)
    folder.seal(SEALED, HERE)
    if done:
        write_lines(tmp_path / stage / "trajectories.jsonl", [lost("b"), *done])
    else:
        write_summary(tmp_path / stage, {})
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RunFolderError, match="seed: 0 in the folder, 1 now"):
        folder.seal({**SEALED, "seed": 1}, HERE)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("begun", [[], [lost("a"), lost("b")]], ids=["nothing", "outside faults"])
def test_a_folder_where_nothing_was_finished_takes_other_settings(tmp_path: Path, begun: list[Trajectory]) -> None:
    folder, other = RunFolder(tmp_path), {**SEALED, "seed": 1}
    folder.seal(SEALED, HERE)
    write_lines(folder.stage(0, "evaluate", "world") / "trajectories.jsonl", begun)
    assert folder.seal(other, HERE) == ["settings were changed, with which nothing had been finished"]
    assert folder.settings() == other
    assert sorted(path.name for path in tmp_path.iterdir()) == ["settings.yaml"]
    write_summary(folder.stage(0, "evaluate", "world"), {})
    with pytest.raises(RunFolderError, match="seed: 1 in the folder, 0 now"):
        folder.seal(SEALED, HERE)


GRADED = {"id": "q.0", "verdict": {"verdict": "correct"}}
OWED = {"id": "q.0", "verdict": {"verdict": "unscored", "owed": True}}


@pytest.mark.parametrize(
    ("group", "file", "none", "some"),
    [
        ("grader", "iter_0/evaluate/world/results.jsonl", OWED, GRADED),
        ("reward_model", "iter_1/improve/rankings.jsonl", {"id": "q.0.0", "status": "errored"}, {"id": "q.0.0"}),
        ("improve", "iter_1/improve/rankings.jsonl", {"id": "q.0.0", "status": "errored"}, {"id": "q.0.0"}),
        ("finetune", "iter_1/finetune/events.jsonl", {"id": "event"}, None),
        ("finetune", "iter_1/finetune/model.json", None, {}),
    ],
)
def test_the_settings_of_a_role_may_change_until_it_has_done_work(tmp_path, group, file, none, some) -> None:
    folder = RunFolder(tmp_path)
    before, after = {**SEALED, f"{group}.model": "a"}, {**SEALED, f"{group}.model": "b"}
    folder.seal(before, HERE)
    write_summary(folder.stage(0, "grow"), {})
    for work, chosen in ((none, after), (some, {**SEALED, f"{group}.model": "c"})):
        if work is not None:
            write_lines(tmp_path / file, [work])
        if work is some and work is not None:
            with pytest.raises(RunFolderError, match=f"{group}.model: '.' in the folder, '.' now"):
                folder.seal(chosen, HERE)
        elif work is not None:
            assert folder.seal(chosen, HERE) == [f"{group}.model changed; no finished work depends on it"]
            assert folder.settings() == chosen


def test_a_setting_that_was_sealed_once_and_is_not_any_more_is_not_compared(tmp_path) -> None:
    folder = RunFolder(tmp_path)
    folder.seal({**SEALED, "grader.token_limit": "max_tokens"}, HERE)
    write_summary(folder.stage(0, "grow"), {})
    assert folder.seal(SEALED, HERE) == []


def test_a_changed_environment_is_returned_once_and_recorded(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.seal(SEALED, HERE)
    now = {"python": "3.13.0", "torch": "2.13"}
    assert folder.seal(SEALED, now) == [
        "prompts: abcd before, (absent) now",
        "python: 3.11.7 before, 3.13.0 now",
        "torch: (absent) before, 2.13 now",
    ]
    assert folder.seal(SEALED, now) == []
    text = (tmp_path / "settings.yaml").read_text(encoding="utf-8")
    assert text.startswith("schema: 1\nsettings:\n  seed: 0\n")
    assert text.endswith("environments:\n- python: 3.11.7\n  prompts: abcd\n- python: 3.13.0\n  torch: '2.13'\n")


@given(
    st.dictionaries(
        TEXTS, st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS | st.lists(TEXTS)
    )
)
def test_any_settings_are_equal_to_themselves_after_a_trip_to_disk(sealed: dict[str, object]) -> None:
    with a_file() as path:
        folder = RunFolder(path.parent)
        folder.seal(sealed, HERE)
        assert folder.seal(sealed, HERE) == []


@pytest.mark.parametrize("text", ["", "{", "schema: 1\nsettings: {}\nenvironments: []\n", "- 1\n"])
def test_a_damaged_settings_file_says_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "settings.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"settings\.yaml is damaged"):
        RunFolder(tmp_path).seal(SEALED, HERE)


def test_stages_have_their_places() -> None:
    folder = RunFolder(Path("out/mine"))
    assert folder.stage(3, "evaluate", "world") == Path("out/mine/iter_3/evaluate/world")
    assert list(in_order(["q1", "q2"], 2)) == ["q1.0", "q1.1", "q2.0", "q2.1"]


def test_a_stored_record_comes_back_as_it_was(tmp_path: Path) -> None:
    ranking = Ranking("q.0.1", "decide", "reward_model", "ranked", 2, order=(2, 0, 1), reply="why", good=None)
    replace_lines(tmp_path / "r.jsonl", [ranking, replace(ranking, id="q.0.2")])
    assert list(read_lines(tmp_path / "r.jsonl", Ranking)) == [ranking, replace(ranking, id="q.0.2")]
