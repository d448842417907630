"""One process of `vllm serve`: finds a free port, waits until the server is healthy, and detects its death.

    process = child_processes.start(["vllm", "serve", ..., "--port", str(free_port(0))], output=log_file)
    await wait_until_healthy(process, "http://127.0.0.1:8000/health", log, since=0, timeout_s=900)
    await watch_for_death(process, engine_processes(process.pid), dead, log, since=0)      # sets `dead` to the reason

Not here: starting it with the right weights, and starting it again (vllm_server); why it died (vllm_log).
"""

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rest_react.errors import OutsideFault, UsageError
from rest_react.llm.vllm.vllm_log import can_never_start, cause
from rest_react.remote.failures.setting_names import SettingNames
from rest_react.remote.http_client import answers

HOST = "127.0.0.1"
WATCH_S = 1.0
OF_POLICY = SettingNames("policy")


async def wait_until_healthy(
    process: subprocess.Popen[bytes],
    url: str,
    log: Path,
    since: int,
    *,
    command: str,
    timeout_s: float,
    names: SettingNames = OF_POLICY,
) -> None:
    """Returns once `url` is answered. Raises UsageError where no start with these settings can succeed, OutsideFault
    where the process died for another reason or took too long; the cause is read from the log behind byte `since`."""
    deadline = time.monotonic() + timeout_s
    pause_s = 0.05
    while (code := process.poll()) is not None or not await answers(url):  # what answers may not be our server
        if code is None and time.monotonic() < deadline:
            await asyncio.sleep(pause_s)
            pause_s = min(1.0, pause_s * 1.5)
            continue
        why = await asyncio.to_thread(cause, log, since, started=False)
        if code == 127:
            raise UsageError(f"{why}; install vLLM, or set {names.setting('command')} to its path")
        if code is None:
            raise OutsideFault(
                f"{command} was not ready within {timeout_s:g} s: {why} (log: {log}). "
                f"Raise {names.setting('start_timeout_s')} if it was still loading"
            )
        died = f"{command} failed to start (exit code {code}): {why} (log: {log})"
        if can_never_start(why):
            model, length, more = map(names.setting, ("model", "max_model_len", "extra_args"))
            raise UsageError(f"{died}. Correct {model}, {length} or {more}")
        raise OutsideFault(died)


async def watch_for_death(
    process: subprocess.Popen[bytes],
    engine: Sequence[int],
    dead: "asyncio.Future[str]",
    log: Path,
    since: int,
    *,
    command: str,
) -> None:
    """Sets `dead` to the reason as soon as the server or one of its engine processes has ended."""
    while not dead.done():
        code = process.poll()
        lost = [pid for pid in engine if not _is_alive(pid)]
        if code is not None or lost:
            how = f"ended with exit code {code}" if code is not None else "lost an engine process"
            await asyncio.sleep(WATCH_S)  # its other processes still write why
            why = await asyncio.to_thread(cause, log, since, started=True)
            dead.set_result(f"{command} {how}: {why} (log: {log}).")
        await asyncio.sleep(WATCH_S)


def engine_processes(group: int) -> list[int]:
    """The processes of the group that do the server's work, where /proc tells: vLLM's own, or spawned by Python."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            command = (place / "cmdline").read_bytes()
            if os.getpgid(int(place.name)) == group and (b"VLLM::" in command or b"spawn_main(" in command):
                found.append(int(place.name))
    return found


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def free_port(wanted: int, setting: str = "port") -> int:
    """`wanted`, or any free port for 0; `setting` names it in the message. Raises UsageError if the port is in use,
    because another server could answer health checks in place of ours."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError as error:
            raise UsageError(
                f"port {wanted} is in use ({error.strerror}); stop the program that uses it, or set {setting}=0"
            ) from error
        return int(probe.getsockname()[1])
