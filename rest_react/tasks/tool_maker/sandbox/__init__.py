"""The sandbox: runs model-written Python in a process of its own, with limits, and returns its result.

    outcome = await Sandbox("namespaces").run("def double(x):\\n    return 2 * x", "answer = double(4)")
    outcome.answer, outcome.calls, outcome.problem          # "8", 1, ""

With `namespaces` (Linux) the code cannot

- reach a network: its network namespace has no interface;
- read or write files: its root holds only the standard library and the system's libraries, read-only, and an empty
  folder in memory (8 MB, 2,000 files) that is deleted afterwards; no environment variables, no /proc, no home folder;
- start processes or threads, see other processes, send signals, or outlive its time: when time is over, the kernel
  kills all processes of its namespace;
- use more than the given memory and CPU time; shared memory (System V), which these limits do not count, is refused;
- return more than 50,000 bytes: an answer has at most 2,000 characters, but a result that the code writes to the pipe
  itself is bounded by what the caller reads of it; what it prints is dropped;
- gain rights: it runs as `nobody` without capabilities.

With `limits_only` it has the limits of memory, time and output, an empty folder as working directory and no environment
variables, but the network, the files and the shared memory of the user who runs the command; a process that it starts
in a session of its own outlives the time limit, and root has no limit of processes. Only for code that you trust, or
inside a container or virtual machine made for it.

Equal code has equal results: hashes of texts have a fixed seed, so a set of words has one order in all processes.

It does not protect against errors of the kernel (use a virtual machine for code of an adversary), against timing and
load of the machine, or against an answer that the code makes up: what the result says comes from the same process. So
the gold answers never enter it, and the caller compares.
Not here: the program inside the sandbox (tasks.tool_maker.sandbox.program).
"""

import asyncio
import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import msgspec

from rest_react.errors import OutsideFault
from rest_react.tasks.tool_maker.sandbox import program
from rest_react.tasks.tool_maker.sandbox.dependence import depends_on

Isolation: TypeAlias = Literal["namespaces", "limits_only"]
# Protects as -I does (which is -E -s -P): nothing is imported from the user's packages or the program's folder, and no
# environment variable is read but this one, which -E would ignore; the process has no other.
_PROGRAM = [sys.executable, "-s", "-P", "-S", "-B", program.__file__]
_ENVIRONMENT = {"PYTHONHASHSEED": "0"}
_LONGEST_RESULT = 50_000  # bytes, of JSON
_ENDS_OF_CODE = (program.DONE, program.OUT_OF_TIME, program.KILLED)  # others are not the work of the code
_GRACE_S = 10.0  # for the start of a process on a loaded machine


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of the code. `tool` is the name of its last function, `calls` how often the call called it.
    `constant`: the answer stays the same if the tool returns something else, or is written by hand. `problem` says why
    there is no answer. `echoed`: the arguments (places and names), and the values of a dictionary (`d[key]`), whose
    text the tool returned in its last call."""

    tool: str = ""
    calls: int = 0
    answer: str = ""
    constant: bool = False
    problem: str = ""
    echoed: tuple[str, ...] = ()


class _Result(msgspec.Struct):
    error: str = ""
    tool: str = ""
    calls: int = 0
    answer: str | None = None
    constant: bool = False
    echoed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Runs code with at most `seconds` of CPU time, three times that on the clock, and `memory_mb` of memory; as many
    at once as there are CPUs."""

    isolation: Isolation
    seconds: float = 5.0
    memory_mb: int = 512
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(os.cpu_count() or 1), repr=False)

    async def run(self, function: str, call: str = "") -> Outcome:
        """Runs the code of the function, then the call, which assigns `answer`; without a call, only the function is
        defined. Raises OutsideFault if the sandbox cannot be made, or if something outside killed it."""
        async with self._slots:
            with tempfile.TemporaryDirectory(prefix="sandbox-") as folder:
                request = {
                    "function": function, "call": call, "folder": folder, "isolated": self.isolation == "namespaces",
                    "seconds": self.seconds, "memory_mb": self.memory_mb,
                }  # fmt: skip
                status, said, errors = await _process(
                    json.dumps(request).encode(), program.CLOCK * self.seconds + _GRACE_S
                )
        if status == program.SETUP_FAILED:
            raise OutsideFault(f"sandbox: {errors or 'cannot be made'}")
        if self.isolation == "namespaces" and len(said) <= _LONGEST_RESULT and status not in _ENDS_OF_CODE:
            raise OutsideFault(
                f"sandbox: its process ended with status {status}; did the system kill it for want of memory? {errors}"
            )
        outcome = _outcome(status, said, self.seconds, called=bool(call))
        if call and not outcome.problem and not outcome.constant:
            return replace(outcome, constant=not depends_on(call, outcome.tool))
        return outcome


async def _process(request: bytes, timeout_s: float) -> tuple[int, bytes, str]:
    """The exit status, the result and the error message of the program."""
    process = await asyncio.create_subprocess_exec(
        *_PROGRAM,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=_ENVIRONMENT,
        cwd="/",
        start_new_session=True,
    )
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    said = b""
    try:
        async with asyncio.timeout(timeout_s):
            process.stdin.write(request)
            process.stdin.close()
            while (part := await process.stdout.read(_LONGEST_RESULT)) and len(said) <= _LONGEST_RESULT:
                said += part
            if len(said) <= _LONGEST_RESULT:
                await process.wait()
    except TimeoutError:
        return program.OUT_OF_TIME, b"", ""
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await _drain(process)
        await process.wait()
    errors = (await process.stderr.read(1000)).decode("utf-8", "replace").strip()
    return process.returncode or 0, said, errors


async def _drain(process: asyncio.subprocess.Process) -> None:
    """Drops the rest of the result: `wait` ends when the pipes have ended too, and asyncio does not see the end of one
    that nobody reads. A process that left the group may hold them open; then they are closed."""
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_GRACE_S):
            while await process.stdout.read(_LONGEST_RESULT):
                pass
    except TimeoutError:
        process._transport.close()  # type: ignore[attr-defined]


def _outcome(status: int, said: bytes, seconds: float, *, called: bool) -> Outcome:
    """Reads the last line that the program wrote, which is there although the control run was out of time. The code may
    have written it, so nothing in it is trusted but its form."""
    too_long = len(said) > _LONGEST_RESULT
    said = said.rstrip(b"\n").rpartition(b"\n")[2]
    if status == program.OUT_OF_TIME and not said:
        return Outcome(problem=f"ran longer than {seconds:g} seconds")
    if too_long:
        return Outcome(problem=f"wrote more than {_LONGEST_RESULT} bytes")
    try:
        result = msgspec.json.decode(said, type=_Result)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Outcome(problem="the process ended without a result")
    if result.error or not called:
        return Outcome(result.tool, problem=result.error)
    if not (result.answer or "").strip():
        return Outcome(result.tool, result.calls, problem="the code assigned no `answer`")
    answer = (result.answer or "").strip()
    return Outcome(result.tool, result.calls, answer, result.constant, echoed=result.echoed)


@functools.cache
def namespaces_problem() -> str:
    """Why this system cannot make the namespaces of the sandbox; empty if it can. Tries once, in about 0.1 seconds."""
    if sys.platform != "linux":
        return f"{sys.platform} has no Linux namespaces"
    with tempfile.TemporaryDirectory(prefix="sandbox-") as folder:
        request = {
            "function": "def f():\n    pass", "call": "", "folder": folder, "isolated": True, "seconds": 10,
            "memory_mb": 512,
        }  # fmt: skip
        tried = subprocess.run(
            _PROGRAM, input=json.dumps(request).encode(), capture_output=True, env=_ENVIRONMENT, cwd="/", check=False
        )
    if tried.returncode == program.DONE and b'"tool": "f"' in tried.stdout:
        return ""
    return tried.stderr.decode("utf-8", "replace").strip()[:200] or f"exit status {tried.returncode}"
