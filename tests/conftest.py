"""One smoke run for the whole session, whatever number of workers; and cheap garbage collections.

Tests copy the run before they change it.
"""

import fcntl
import gc
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

FROZEN = [0]  # how many modules were imported at the last freeze
SMALL = ("experiment=smoke", "world.evaluation=6", "finetune.max_steps=3")


def pytest_configure() -> None:
    """A shell's background job ignores Ctrl-C, and so would every command that a test starts and interrupts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection() -> None:
    gc.disable()


def pytest_collection_finish() -> None:
    freeze()
    gc.enable()


def pytest_runtest_logfinish() -> None:
    """A test may have imported as much again, such as transformers; each engine that closes collects garbage."""
    if len(sys.modules) > FROZEN[0] + 100:
        gc.collect()
        freeze()


def freeze() -> None:
    """What is imported by now stays, so no garbage collection looks at it again."""
    gc.freeze()
    FROZEN[0] = len(sys.modules)


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished smoke run of two iterations, made by the command line. Copy it to change it."""
    base = tmp_path_factory.getbasetemp()
    output = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "smoke_run"
    output.mkdir(exist_ok=True)
    with (output / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a worker that comes second waits for the first
        if not (output / "done").exists():
            words = [sys.executable, "-m", "rest_react.run", f"output={output}", *SMALL, "iteration=2"]
            done = subprocess.run(words, capture_output=True, text=True, timeout=280, check=False)
            assert done.returncode == 0, done.stderr[-3000:]
            (output / "done").touch()
    return output / "smoke"
