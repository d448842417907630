import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rest_react.processes import child_processes

# A command with a child of its own; both are deaf to SIGTERM. A second child has left the group and watches the pipe.
DEAF = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sleep = [sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"]
watch = [sys.executable, "-c", "import os; os.read(0, 1)"]
children = [subprocess.Popen(sleep), subprocess.Popen(watch, start_new_session=True)]
print(*(child.pid for child in children), os.getpid(), flush=True)
time.sleep(600)
"""
PARENT = """
import sys, time
from pathlib import Path
from rest_react.processes import child_processes
child_processes.GRACE_S = 0.2
child_processes.start([sys.executable, "-c", sys.argv[1]], output=Path(sys.argv[2]).open("wb"))
time.sleep(600)
"""


def numbers(log: Path) -> list[int]:
    deadline = time.monotonic() + 20
    while len(words := (log.read_text().split() if log.exists() else [])) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return [int(word) for word in words]


def gone(pids: list[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while alive := [pid for pid in pids if Path(f"/proc/{pid}/stat").exists() and not zombie(pid)]:
        if time.monotonic() > deadline:
            print(alive)
            return False
        time.sleep(0.02)
    return True


def zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_stop_ends_the_command_and_all_it_started(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        process = child_processes.start([sys.executable, "-c", DEAF], output=log)
    pids = numbers(tmp_path / "log")
    child_processes.stop(process, timeout_s=0.3)
    assert gone([*pids, process.pid], 1)


# Gets the orphans of its children, and reaps none, as in a container without an init process.
NOBODY_REAPS = """
import ctypes, os, sys, time
from pathlib import Path
from rest_react.processes import child_processes
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
with Path(sys.argv[1]).open("wb") as log:
    process = child_processes.start(["sh", "-c", "sleep 600 & echo $!; exec sleep 600"], output=log)
while not Path(sys.argv[1]).read_text():
    time.sleep(0.01)
started = time.monotonic()
child_processes.stop(process, timeout_s=5)
left = os.waitpid(int(Path(sys.argv[1]).read_text()), os.WNOHANG)[0]
print(time.monotonic() - started < child_processes._REAP_S / 2, left != 0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_CHILD_SUBREAPER")
def test_stop_does_not_wait_for_orphans_that_nobody_reaps(tmp_path: Path) -> None:
    words = [sys.executable, "-c", NOBODY_REAPS, str(tmp_path / "log")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == ("True True\n", "")


# Its first thread ends at once, another one goes on.
HEADLESS = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
ctypes.CDLL(None).pthread_exit(None)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_a_process_of_which_a_thread_still_runs_has_not_ended() -> None:
    process = subprocess.Popen([sys.executable, "-c", HEADLESS], start_new_session=True)
    for _ in range(1000):
        if zombie(process.pid):
            break
        time.sleep(0.01)
    running = child_processes._has_ended(process.pid)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert (running, child_processes._has_ended(process.pid)) == (False, True)
    process.wait()


def test_they_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    words = [sys.executable, "-c", PARENT, DEAF.replace("SIG_IGN", "SIG_DFL"), str(tmp_path / "log")]
    parent = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])})
    pids = numbers(tmp_path / "log")
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert gone(pids, 5)


def test_the_exit_code_is_the_command_s_own(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        ends = [
            child_processes.start(words, output=log)
            for words in (["sh", "-c", "exit 3"], ["sh", "-c", "kill -9 $$"], ["/no/such/command"])
        ]
    assert [child_processes.exit_code(process, 20) for process in ends] == [3, 137, 127]
    assert (tmp_path / "log").read_text() == "cannot start /no/such/command: No such file or directory\n"
    for process in ends:
        child_processes.stop(process, 1)
