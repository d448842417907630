"""Programs that run in the foreground of this process until a block ends, and what they need: ports, and waiting."""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

START_S = 60.0
STOP_S = 20.0
_SBIN = "/usr/sbin:/sbin"  # not in the path of every user


@contextmanager
def daemon(log: Path, environment: Mapping[str, str], *command: str) -> Iterator[None]:
    """Runs the command until the block ends; its output is appended to `log`."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=output, stderr=output)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(holds: Callable[[], bool], seconds: float, told: Callable[[], str]) -> None:
    """Fails with what `told` says if the condition does not hold in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, told()
        time.sleep(0.5)


def tail(log: Path) -> str:
    """The end of a log."""
    return log.read_text(encoding="utf-8", errors="replace")[-3000:]


def search_path() -> str:
    """The folders of programs, with those of the administrator."""
    return f"{os.environ['PATH']}:{_SBIN}"


def free_ports(count: int) -> list[int]:
    """So many ports of this machine that nobody uses now."""
    with ExitStack() as sockets:
        opened = [sockets.enter_context(socket.socket()) for _ in range(count)]
        for one in opened:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in opened]
