import subprocess
import sys
from pathlib import Path

import pytest

from rest_react.errors import RunFolderError
from rest_react.storage.files import write_json
from rest_react.storage.run_folder import RunFolder

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
        with pytest.raises(RunFolderError, match="is in use by another running process"), folder.locked():
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


def test_stages_have_their_places() -> None:
    folder = RunFolder(Path("out/mine"))
    assert folder.stage(3, "evaluate", "world") == Path("out/mine/iter_3/evaluate/world")
