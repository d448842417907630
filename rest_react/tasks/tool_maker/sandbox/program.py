"""The program that runs model-written code in a sandbox. It is started by path and imports nothing of this package.

    PYTHONHASHSEED=0 python -s -P -S program.py < request.json      # {"function": ..., "call": "answer = f(3)", ...}
    {"tool": "f", "calls": 1, "answer": "9", "constant": false, "error": "", "echoed": []}

It writes one line, and a second one in its place if the control run finds the answer constant.

The first process makes namespaces and an empty root folder, and starts a second process in them. The second process
limits itself and its system calls, starts a third one, and kills it when its time is over. The third gives up its
rights and runs the code: the call, then a control run of it. The second is process 1 of its namespace: the code cannot
kill it, and when it ends for any reason, the kernel kills all other processes of the namespace. The exit status says
how the code ended (`SETUP_FAILED`, ...). `LOST`: something outside killed the second or third process, such as the
kernel for want of memory. In namespaces that is known, because the code cannot send signals; without them it counts as
the code's own end (`KILLED`).
Not here: what the sandbox protects against, and the reader of the result (tasks.tool_maker.sandbox).
"""

import contextlib
import ctypes
import errno
import inspect
import json
import os
import resource
import signal
import struct
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

CLOCK = 3  # seconds on the clock for each second of CPU time: the machine may be busy
_CONTROL = 0.2  # the share of the time that the control run may take
DONE, LOST, SETUP_FAILED, OUT_OF_TIME, KILLED = 0, 96, 97, 98, 99  # exit statuses
NOBODY = 65534
_NEW_MOUNTS, _NEW_NAMES, _NEW_IPC, _NEW_USER, _NEW_PIDS, _NEW_NETWORK = (
    0x00020000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
_READ_ONLY, _NO_SETUID, _NO_DEVICES, _REMOUNT, _BIND, _RECURSIVE, _PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
_DIE_WITH_PARENT, _NO_NEW_RIGHTS, _FILTER_CALLS = 1, 38, 22  # of prctl
_FILE_BYTES, _ROOT_BYTES, _ROOT_FILES = 1_000_000, 8_000_000, 2_000
# System calls of x86_64 and aarch64: shmget, semget, msgget; and all that send a signal (kill, tkill, tgkill,
# rt_sigqueueinfo, rt_tgsigqueueinfo, pidfd_send_signal).
_SHARING = {0xC000003E: (29, 64, 68), 0xC00000B7: (194, 190, 186)}
_SIGNALLING = {0xC000003E: (62, 200, 234, 129, 297, 424), 0xC00000B7: (129, 130, 131, 138, 240, 424)}
_LONGEST = 2000  # characters of an answer or an error
_MOST_ECHOED = 100  # names of arguments in a result


def main() -> int:
    """Reads the request from standard input, runs it, and returns the exit status."""
    request = json.load(sys.stdin)
    os.environ.pop("PYTHONHASHSEED", None)  # of this process alone: the code sees no environment variables
    try:
        _prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        if request["isolated"]:
            _isolate(request["folder"])
        child = os.fork()
    except OSError as error:
        print(f"{error.strerror or error}", file=sys.stderr)
        return SETUP_FAILED
    if child == 0:
        os._exit(_supervise(request))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status < 0 and request["isolated"]:  # the code cannot kill process 1 of its namespace
        return LOST
    return status if status in (DONE, LOST, SETUP_FAILED, OUT_OF_TIME) else KILLED


def _supervise(request: Mapping[str, Any]) -> int:
    """The second process: enters its folder, limits itself, and waits for the process that runs the code."""
    try:
        nothing = os.open(os.devnull, os.O_RDWR)  # behind chroot there is none
        _prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        _limit(request)
        _prctl(_NO_NEW_RIGHTS, 1)
        if request["isolated"]:
            # No System V shared memory, queues and semaphores, which no limit of memory counts.
            _refuse_calls(_SHARING)
        child = os.fork()
    except (OSError, ValueError) as error:
        os.write(2, f"{error}\n".encode())
        return SETUP_FAILED
    if child == 0:
        _run(request, nothing)
    return _wait(child, request["seconds"], isolated=request["isolated"])


def _wait(child: int, seconds: float, *, isolated: bool) -> int:
    """Kills the process of the code when its time on the clock is over; returns how it ended."""
    late = False

    def end(*_: object) -> None:
        nonlocal late
        late = True
        os.kill(child, signal.SIGKILL)

    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, CLOCK * seconds)
    _, ended, used = os.wait4(child, 0)
    status = os.waitstatus_to_exitcode(ended)
    if late or status == -signal.SIGXCPU:
        return OUT_OF_TIME
    if status in (-signal.SIGPROF, -signal.SIGALRM):
        return DONE  # the end of its control run, whose time was over
    # A process that ignored the first signal is killed by its limit of CPU time.
    over_limit = used.ru_utime + used.ru_stime >= _cpu_limit(seconds)
    if status == -signal.SIGKILL and isolated and not over_limit:
        return LOST
    return DONE if status == 0 else KILLED


# ── isolation ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _isolate(folder: str) -> None:
    """New namespaces for the next child, and a root with the standard library and an empty folder. Raises OSError where
    the system does not allow it. Root keeps its user namespace and becomes `nobody` there: root has no limits."""
    user, group = os.getuid(), os.getgid()
    kinds = _NEW_MOUNTS | _NEW_NAMES | _NEW_IPC | _NEW_PIDS | _NEW_NETWORK
    _call("unshare", kinds if user == 0 else kinds | _NEW_USER)
    if user != 0:
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{NOBODY} {user} 1"),
            ("gid_map", f"{NOBODY} {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    _mount(None, "/", None, _RECURSIVE | _PRIVATE)
    _mount("tmpfs", folder, "tmpfs", _NO_SETUID | _NO_DEVICES, f"size={_ROOT_BYTES},nr_inodes={_ROOT_FILES},mode=755")
    libraries = [path for path in ("/lib", "/lib64", "/usr/lib", "/usr/lib64") if os.path.isdir(path)]
    python = os.path.dirname(os.__file__)
    for source in [*libraries, python]:
        target = folder + source
        os.makedirs(target, exist_ok=True)
        _mount(source, target, None, _BIND)
        _mount(None, target, None, _BIND | _REMOUNT | _READ_ONLY | _flags_of(source))
    for packages in ("site-packages", "dist-packages"):  # not the standard library: this package may be among them
        if os.path.isdir(f"{folder}{python}/{packages}"):
            _mount("tmpfs", f"{folder}{python}/{packages}", "tmpfs", _READ_ONLY | _NO_SETUID | _NO_DEVICES, "mode=755")
    os.mkdir(f"{folder}/empty")
    os.chmod(f"{folder}/empty", 0o777)


def _flags_of(path: str) -> int:
    """The flags that a mount inside a user namespace must keep."""
    return os.statvfs(path).f_flag & (_NO_SETUID | _NO_DEVICES | os.ST_NOEXEC) | _NO_SETUID | _NO_DEVICES


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str = "") -> None:
    texts = [text and text.encode() for text in (source, target, kind)]
    _call("mount", *texts, ctypes.c_ulong(flags), data.encode() or None)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        _call("prctl", option, ctypes.c_ulong(value), 0, 0, 0)


def _call(name: str, *arguments: object) -> None:
    """A call of the C library; raises OSError if it fails."""
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _limit(request: Mapping[str, Any]) -> None:
    """The folder as root, and limits of memory, CPU time and files, which the next process inherits."""
    if request["isolated"]:
        os.chroot(request["folder"])
        os.chdir("/empty")
    else:
        os.chdir(request["folder"])
    cpu = _cpu_limit(request["seconds"])
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))  # first a signal that tells why, then the end
    for what, most in (
        (resource.RLIMIT_AS, request["memory_mb"] << 20),
        (resource.RLIMIT_FSIZE, _FILE_BYTES),
        (resource.RLIMIT_NOFILE, 32),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def _cpu_limit(seconds: float) -> int:
    return max(1, round(seconds))


def _give_up_rights(*, isolated: bool) -> None:
    """No rights, no other processes, and no signals."""
    if isolated and os.getuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    elif isolated:
        _drop_capabilities()
    _prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
    if isolated:
        _refuse_calls(_SIGNALLING)


def _refuse_calls(numbers: Mapping[int, Sequence[int]]) -> None:
    """Refuses these system calls, given for each architecture, to this process and the next ones: a filter (seccomp).
    It ends a process that calls in the way of another architecture."""
    load, equal, at_least, end = 0x20, 0x15, 0x35, 0x06  # operations: (code, jump if true, jump if false, value)
    allow, deny, kill = (end, 0, 0, 0x7FFF0000), (end, 0, 0, 0x00050000 | errno.EPERM), (end, 0, 0, 0x80000000)
    steps = [(load, 0, 0, 4)]  # the architecture
    for architecture, calls in numbers.items():
        count = len(calls)
        other_numbers = (at_least, count + 2, 0, 0x40000000)  # the x32 calls of x86_64, to `kill`
        denied = [(equal, count - place, 0, call) for place, call in enumerate(calls)]
        steps += [(equal, 0, count + 5, architecture), (load, 0, 0, 0), other_numbers, *denied, allow, deny, kill]
    steps.append(kill)
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    _call("prctl", _FILTER_CALLS, ctypes.c_ulong(2), struct.pack("HP", len(steps), ctypes.addressof(code)), 0, 0)


def _drop_capabilities() -> None:
    """Gives up all rights in the user namespace (version 3 of the header: two words of 32 rights)."""
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    _call("capset", header, none)


# ── the code ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _run(request: Mapping[str, Any], nothing: int) -> NoReturn:
    """Runs the code in this process, writes the result to standard output and ends the process. The result is written
    before the control run, so that one that never ends (`while check(f(n)): n += 1`) rejects no call."""
    result = os.dup(1)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    try:
        _give_up_rights(isolated=request["isolated"])
        found = _results(request["function"], request["call"])
    except BaseException as error:  # SystemExit and MemoryError too: whatever the code raises is its result
        found = {"error": f"{type(error).__name__}: {error}"[:_LONGEST]}
    _write(result, found)
    if found.get("answer") is not None:
        # A call that cannot work with another return value is not constant; whether its answer can, its code tells.
        with contextlib.suppress(BaseException):
            if _control(request["call"], str(found["tool"]), request["seconds"]) == found["answer"]:
                _write(result, found | {"constant": True})
    os._exit(0)


def _write(result: int, found: Mapping[str, object]) -> None:
    os.write(result, f"{json.dumps(found)}\n".encode())


def _control(call: str, tool: str, seconds: float) -> str | None:
    """The answer of the call with a tool that returns an unknown object. A call that comes to the same answer does not
    use the tool (`constant`); one that fails may still have an answer written by hand (sandbox.dependence). When its
    small share of the time is over, the kernel ends this process."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGPROF, signal.SIGALRM))
    for timer, number, most in (
        (signal.ITIMER_PROF, signal.SIGPROF, seconds),
        (signal.ITIMER_REAL, signal.SIGALRM, CLOCK * seconds),
    ):
        signal.signal(number, signal.SIG_DFL)
        signal.setitimer(timer, _CONTROL * most)
    return _answer(call, tool, lambda *_, **__: object())


def _results(function: str, call: str) -> dict[str, object]:
    """Runs the function's code, then the call with a tool that counts its calls."""
    defined: dict[str, Any] = {"__name__": "tool"}
    exec(compile(function, "function.py", "exec"), defined)
    own = [name for name, value in defined.items() if isinstance(value, types.FunctionType)]
    own = [name for name in own if defined[name].__module__ == "tool"]
    if not own:
        return {"error": "the code defines no function"}
    tool = own[-1]
    if not call:
        return {"tool": tool, "error": ""}
    calls, echoed = 0, list[str]()

    def counted(*args: object, **kwargs: object) -> object:
        nonlocal calls, echoed
        calls += 1
        given = list(_texts(_named(defined[tool], args, kwargs)))
        returned = defined[tool](*args, **kwargs)
        echoed = [name for name, text in given if text and text == _bare(returned)][:_MOST_ECHOED]
        return returned

    answer = _answer(call, tool, counted)
    return {"tool": tool, "calls": calls, "answer": answer, "constant": False, "error": "", "echoed": echoed}


def _answer(call: str, tool: str, function: Callable[..., object]) -> str | None:
    """The text of the variable `answer` after the call; None if there is none."""
    scope: dict[str, Any] = {"__name__": "call", tool: function}
    exec(compile(call, "call.py", "exec"), scope)
    return _text(scope["answer"]) if "answer" in scope else None


def _text(value: object) -> str:
    if value is None:
        raise ValueError("`answer` is None; the tool must return a text, such as none")
    if isinstance(value, (list, tuple)):
        return _shortened(", ".join(map(str, value)))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return _shortened(str(value))


def _named(tool: Callable[..., object], args: Sequence[object], kwargs: Mapping[str, object]) -> dict[str, object]:
    """The arguments by the names of the parameters; by their places where they do not fit."""
    try:
        return dict(inspect.signature(tool).bind(*args, **kwargs).arguments)
    except TypeError:
        return {str(place): value for place, value in enumerate(args)} | dict(kwargs)


def _texts(given: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Each argument as its name and its text; of a dictionary each value by its key, an only one by the name too."""
    for name, value in given.items():
        if type(value) is not dict:
            yield name, _bare(value)
            continue
        for key, held in value.items():
            yield f"{name}[{_bare(key)[:100]}]", _bare(held)
        if len(value) == 1:
            yield name, _bare(next(iter(value.values())))


def _bare(value: object) -> str:
    """The text of a value without case, spaces and marks: a tool that changes only these computes nothing. Empty if the
    value is no text, number, or list of these, or too long."""
    parts = value if isinstance(value, (list, tuple)) else [value]
    if any(type(part) not in (str, int, float) for part in parts):
        return ""
    try:
        return "".join(filter(str.isalnum, _text(value).casefold()))
    except ValueError:
        return ""


def _shortened(text: str) -> str:
    if len(text) > _LONGEST:
        raise ValueError(f"the answer has {len(text)} characters, more than {_LONGEST}")
    return text


if __name__ == "__main__":
    sys.exit(main())
