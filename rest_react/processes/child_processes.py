"""Starts child processes that end when this process ends, together with everything they started.

    process = start(["vllm", "serve", "..."], output=log)
    stop(process, timeout_s=30)

Each command runs under a small supervisor (this file, run as a script), which leads its own process group. The
supervisor's standard input is the read end of a pipe. The pipe closes on `stop`, and when this process ends for any
reason, SIGKILL included. The group then gets SIGTERM, and SIGKILL ten seconds later. The command inherits the pipe, so
a process that has left the group (torchrun starts such processes) can watch the pipe too: `when_parent_ends`. Ctrl-C on
a terminal does not reach the children; the process that started them ends them.
Not here: which commands are started, and how their exit codes are interpreted (llm.vllm.vllm_process,
training.process.launch).
"""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

GRACE_S = 10.0  # between SIGTERM and SIGKILL if the parent has ended and cannot call `stop`
_REAP_S = 5.0
_THREADS = 14  # proc(5): num_threads, counted from the field behind the process group


def start(
    command: Sequence[str], *, output: BinaryIO, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Starts a command. The supervisor returns the command's exit code as a shell would, or 127 if the command cannot
    be started. Standard output and standard error go to `output`."""
    return subprocess.Popen(
        [sys.executable, "-P", __file__, *command],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    )


def stop(process: subprocess.Popen[bytes], timeout_s: float) -> None:
    """Sends SIGTERM to the group, after `timeout_s` SIGKILL to the remaining processes, and waits until all ended."""
    if process.stdin is not None:
        process.stdin.close()
    _signal_group(process.pid, signal.SIGTERM)
    exit_code(process, timeout_s)
    deadline = time.monotonic() + _REAP_S
    while _signal_group(process.pid, signal.SIGKILL) and time.monotonic() < deadline:
        process.poll()
        if _has_ended(process.pid):
            break
        time.sleep(0.02)
    process.wait()


def exit_code(process: subprocess.Popen[bytes], timeout_s: float) -> int | None:
    """Waits up to `timeout_s` for the process to end; returns its exit code, or None if it still runs."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout_s)
    return process.returncode


def when_parent_ends(act: Callable[[], object]) -> None:
    """Calls `act` in a thread when the pipe on standard input closes, which means that the process that called `start`
    has ended. Does nothing if standard input is not a pipe, as in a command typed by hand."""
    if not stat.S_ISFIFO(os.fstat(0).st_mode):
        return

    def wait() -> None:
        while os.read(0, 1024):
            pass
        act()

    threading.Thread(target=wait, daemon=True).start()


def _signal_group(group: int, number: int) -> bool:
    """Sends a signal to a process group. Returns False if the group has no process left."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def _has_ended(group: int) -> bool:
    """Whether all processes of a group have ended and only wait to be reaped: in a container without an init process
    nobody reaps orphans, so the group never becomes empty. A process whose first thread has ended has not ended as long
    as others run, for instance in the driver of a GPU. False where there is no /proc."""
    states = set[tuple[str, str]]()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _parent, its_group, *others = path.read_text(errors="replace").rpartition(")")[2].split()
            if its_group == str(group):
                states.add((state, others[_THREADS]))
    return states == {("Z", "1")}


def _run(command: Sequence[str]) -> int:
    """The supervisor: runs the command and ends the group when the pipe closes."""
    # A handler that does nothing, not SIG_IGN: the child would inherit that, and never stop.
    signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        child = subprocess.Popen(command)
    except OSError as error:
        print(f"cannot start {command[0]}: {error.strerror}", file=sys.stderr, flush=True)
        return 127
    when_parent_ends(_end_group)
    code = child.wait()
    return code if code >= 0 else 128 - code


def _end_group() -> None:
    os.killpg(0, signal.SIGTERM)
    time.sleep(GRACE_S)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(_run(sys.argv[1:]))
