"""A disk that is full, read-only or in the way: a message with a way out, and no traceback."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SMALL = ("experiment=smoke", "world.evaluation=4", "finetune.max_steps=2", "iteration=0")


def run(output: Path, *more: str, limited: Callable[[], None] | None = None) -> tuple[int, str]:
    """Exit status and what was told, its line breaks removed."""
    done = subprocess.run(
        [sys.executable, "-m", "rest_react.run", f"output={output}", *SMALL, *more],
        capture_output=True, text=True, timeout=200, check=False, preexec_fn=limited,
    )  # fmt: skip
    return done.returncode, (done.stdout + done.stderr).replace("\n", "")


@pytest.mark.parametrize(
    "largest, where",
    [(10_000, "smoke/hydra"), (500_000, "finetune")],
    ids=["its own configuration", "weights"],
)
def test_a_file_that_cannot_grow_is_reported_with_what_to_do(tmp_path: Path, largest: int, where: str) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    status, told = run(tmp_path, limited=limited)
    assert status in (2, 3)
    assert where in told and "Traceback" not in told
    assert "free some space" in told or "File too large" in told


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this machine mounts no small disk for tests")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_during_fine_tuning_is_reported_and_the_command_resumes_later(
    small_disk: Path,
) -> None:
    status, told = run(small_disk)
    assert status in (2, 3)
    assert "free some space" in told and "train.log" in told and "Traceback" not in told
    subprocess.run(["mount", "-o", "remount,size=50m", str(small_disk)], check=True)
    assert run(small_disk)[0] == 0
    assert not any((small_disk / "smoke").rglob("*.tmp"))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    status, told = run(small_disk)
    assert status == 2
    assert "Read-only file system" in told and "make it writable" in told and "Traceback" not in told


@pytest.mark.parametrize("place", ["output", "output/deeper"])
def test_a_file_in_place_of_the_run_folder_is_reported(tmp_path: Path, place: str) -> None:
    (tmp_path / "output").touch()
    status, told = run(tmp_path / place)
    assert status == 2
    assert "move what is in the way, or choose another folder (output=" in told and "Traceback" not in told


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_permission_is_reported(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    status, told = run(tmp_path / "output")
    assert status == 2
    assert "make it writable, or choose another folder" in told and "Traceback" not in told
