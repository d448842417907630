import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from rest_react.errors import RunFolderError
from rest_react.stages.reuse.copy_stages import copy_stage
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.summaries import write_summary
from tests.runs import trajectory, write_lines

TRAJECTORIES = "iter_1/grow/trajectories.jsonl"


@pytest.fixture
def source(tmp_path: Path) -> RunFolder:
    """A run with a complete Grow and Improve."""
    folder = RunFolder(tmp_path / "smoke")
    write_lines(folder.root / TRAJECTORIES, [trajectory("q")])
    for name in ("grow", "improve"):
        write_summary(folder.stage(1, name), {})
    return folder


def test_a_copied_stage_shares_its_files_and_replaces_none(source: RunFolder, tmp_path: Path) -> None:
    mine = RunFolder(tmp_path / "mine")
    copy_stage(source, mine, "iter_1/grow")
    assert (mine.root / TRAJECTORIES).samefile(source.root / TRAJECTORIES)
    own = mine.stage(1, "improve")
    write_summary(own, {"examples": 7})
    before = (own / "summary.json").read_bytes()
    copy_stage(source, mine, "iter_1/improve")
    assert (own / "summary.json").read_bytes() == before


def test_a_damaged_stage_is_not_copied(source: RunFolder, tmp_path: Path) -> None:
    (source.root / TRAJECTORIES).write_text("")
    with pytest.raises(RunFolderError, match=r"trajectories\.jsonl is empty"):
        copy_stage(source, mine := RunFolder(tmp_path / "mine"), "iter_1/grow")
    assert not mine.stage(1, "grow").exists()


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a second disk")
def test_a_full_disk_is_told_with_the_way_out(source: RunFolder) -> None:
    script = """
import resource, sys
from pathlib import Path
from rest_react.errors import DiskError
from rest_react.stages.reuse.copy_stages import copy_stage
from rest_react.storage.run_folder import RunFolder
resource.setrlimit(resource.RLIMIT_FSIZE, (8, 8))
try:
    copy_stage(RunFolder(Path(sys.argv[1])), RunFolder(Path(sys.argv[2])), "iter_1/grow")
except DiskError as error:
    print(error)
"""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        done = subprocess.run(
            [sys.executable, "-c", script, str(source.root), other], capture_output=True, text=True, check=True
        )
    assert "cannot be written or read (File too large); free some space" in done.stdout
