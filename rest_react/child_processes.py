"""Processes that end when this one ends, with everything they started.

    process = start(["vllm", "serve", "..."], output=log)
    stop(process, timeout_s=30)

Each runs under a small supervisor (this file, run as a script) that leads a process group of its own. The supervisor's
standard input is the read end of a pipe. When the pipe closes, because of `stop` or because this process was killed,
SIGKILL included, the group gets SIGTERM, then SIGKILL. The command inherits the pipe, so a process that has left the
group (torchrun starts such) can watch it too: `when_parent_ends`. Ctrl-C on a terminal does not reach any of them;
whoever started them ends them.
Not here: what is started, and what its end means.
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
from typing import BinaryIO

GRACE_S = 10.0  # between SIGTERM and SIGKILL where nobody is left to call `stop`
_REAP_S = 5.0


def start(
    command: Sequence[str], *, output: BinaryIO, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Starts a command; its exit code is the supervisor's, as a shell would give it, and 127 if it cannot be started.
    All it prints goes to `output`."""
    return subprocess.Popen(
        [sys.executable, "-P", __file__, *command],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    )


def stop(process: subprocess.Popen[bytes], timeout_s: float) -> None:
    """SIGTERM to the group, SIGKILL to what is left of it, then waits for the group to be empty."""
    if process.stdin is not None:
        process.stdin.close()
    _signal_group(process.pid, signal.SIGTERM)
    exit_code(process, timeout_s)
    # Killed at once, but in a container without an init nobody reaps them, and the group never gets empty.
    deadline = time.monotonic() + _REAP_S
    while _signal_group(process.pid, signal.SIGKILL) and time.monotonic() < deadline:
        process.poll()
        time.sleep(0.02)
    process.wait()


def exit_code(process: subprocess.Popen[bytes], timeout_s: float) -> int | None:
    """Waits for the end; None while it runs."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout_s)
    return process.returncode


def when_parent_ends(act: Callable[[], object]) -> None:
    """Calls `act`, in a thread, once the pipe on standard input closes: whoever called `start` has ended. Does nothing
    where standard input is no pipe, as in a command given by hand."""
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
