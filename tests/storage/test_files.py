import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.errors import DiskError, disk_errors
from rest_react.records import Passage
from rest_react.storage.files import (
    clear_drafts,
    cut_torn_line,
    draft_folder,
    make_folder,
    publish,
    refuse_unwritable,
    remove_leftover,
    replacing,
    write_file,
    write_json,
)
from rest_react.storage.run_folder import RunFolder
from tests.power_cut import recorded


def test_a_power_cut_at_any_moment_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    seen: list[str | None] = []

    def look() -> None:
        path = disk.after_power_cut(tmp_path / "left") / "deep/er/file"
        seen.append(path.read_text() if path.exists() else None)

    with recorded(tmp_path / "run") as disk:
        disk.watch = look
        write_file(tmp_path / "run/deep/er/file", "old")
        write_file(tmp_path / "run/deep/er/file", "new")
    assert set(seen) == {None, "old", "new"}
    assert seen[-1] == "new"


def test_a_failure_in_the_middle_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    write_file(tmp_path / "file", "old")
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "file") as file:
        file.write(b"new")
        raise KeyboardInterrupt
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"file": "old"}


def test_json_is_replaced_whole_and_with_sorted_keys(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "model.json"
    write_json(path, Passage("b", "ä", ""))
    write_json(path, Passage("a", "ö", ""))
    assert path.read_text(encoding="utf-8") == '{\n "id": "a",\n "text": "",\n "title": "ö"\n}\n'
    assert [file.name for file in path.parent.iterdir()] == ["model.json"]
    with pytest.raises(TypeError):
        write_json(path, object())
    assert json.loads(path.read_text(encoding="utf-8"))["id"] == "a"


def test_half_a_surrogate_pair_in_json_is_replaced(tmp_path: Path) -> None:
    write_json(tmp_path / "summary.json", {"fault": "\ud83d"})
    assert (tmp_path / "summary.json").read_text(encoding="utf-8") == '{\n "fault": "?"\n}\n'


@given(st.lists(st.sampled_from([b"a", b"\n", b"{}", b"\0"])).map(b"".join))
def test_only_whole_lines_are_left_of_a_torn_file(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lines"
        path.write_bytes(content)
        cut = cut_torn_line(path)
        whole = b"".join(line for line in content.splitlines(keepends=True) if line.endswith(b"\n"))
        assert path.read_bytes() == whole
        assert cut == len(content) - len(whole)


LIVE = """
import sys
from pathlib import Path
from rest_react.storage.files import draft_folder
with draft_folder(Path(sys.argv[1]), "draft-") as draft:
    print(draft, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def live(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that has a draft in the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", LIVE, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process
    process.kill()
    process.communicate()


def test_drafts_of_killed_processes_are_removed_and_those_of_live_ones_are_not(
    tmp_path: Path, live: "subprocess.Popen[str]"
) -> None:
    assert live.stdout is not None
    theirs = Path(live.stdout.readline().strip())
    clear_drafts(tmp_path, "draft-")
    assert theirs.is_dir()
    live.send_signal(signal.SIGKILL)
    live.wait()
    (tmp_path / "other").mkdir()
    with draft_folder(tmp_path, "draft-") as draft:
        assert not theirs.exists()
        (draft / "a").write_text("x")
        publish(draft, tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["other", "whole"]


def test_a_draft_that_comes_second_gives_way(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "a").write_text("first")
    with draft_folder(tmp_path, "draft-") as draft:
        (draft / "a").write_text("second")
        publish(draft, tmp_path / "whole")
    assert (tmp_path / "whole" / "a").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["whole"]


def test_an_unwritable_folder_is_an_error_before_any_work(tmp_path: Path) -> None:
    refuse_unwritable(tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(DiskError, match=r"file/run: cannot be written or read \(Not a directory\); move what is in"):
        refuse_unwritable(tmp_path / "file" / "run")
    with pytest.raises(DiskError, match="in the way"):
        make_folder(tmp_path / "file")
    with pytest.raises(DiskError, match=r"^/proc/run: cannot be made \(No such file or directory\); choose another"):
        refuse_unwritable(Path("/proc/run"))


def test_a_full_device_is_told_with_its_name() -> None:
    with (
        pytest.raises(DiskError, match=r"^/dev/full: cannot be written or read \(No space left on device\); free some"),
        disk_errors("/dev/full"),
        Path("/dev/full").open("w") as file,
    ):
        file.write("x")


def test_errors_that_are_not_about_the_disk_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(ConnectionRefusedError), disk_errors(tmp_path):
        raise ConnectionRefusedError(111, "Connection refused")
    with pytest.raises(FileNotFoundError), disk_errors(tmp_path):
        (tmp_path / "missing").read_text()


SLOW_WRITER = """
import sys
from pathlib import Path
from rest_react.storage.files import replacing
with replacing(Path(sys.argv[1])) as file:
    file.write(b"theirs")
    print("open", flush=True)
    sys.stdin.read()
"""


@contextmanager
def slow_writer(path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that has the file half written; the end of its standard input lets it finish."""
    command = [sys.executable, "-c", SLOW_WRITER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        yield other
        other.communicate("")


def test_processes_that_write_one_file_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    path = tmp_path / "speed.json"
    with slow_writer(path):
        write_file(path, "ours")
        assert path.read_text() == "ours"
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("speed.json", "theirs")]


def test_writers_with_the_same_process_id_as_in_two_containers_do_not_disturb_each_other(tmp_path: Path) -> None:
    path = tmp_path / "speed.json"
    with replacing(path) as theirs:
        theirs.write(b"theirs")
        write_file(path, "ours")
        assert path.read_text() == "ours"
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("speed.json", "theirs")]


def test_a_run_that_starts_keeps_the_draft_of_a_report_that_another_process_writes(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with slow_writer(folder.root / "comparison.html"), folder.locked():
        pass
    assert sorted(path.name for path in folder.root.iterdir()) == [".lock", "comparison.html"]
    assert (folder.root / "comparison.html").read_text() == "theirs"


def test_the_draft_of_a_killed_process_is_a_leftover(tmp_path: Path) -> None:
    with slow_writer(tmp_path / "page.html") as other:
        (draft,) = tmp_path.iterdir()
        remove_leftover(draft)
        assert draft.exists()
        other.kill()
        other.wait()
        remove_leftover(draft)
        assert not draft.exists()
