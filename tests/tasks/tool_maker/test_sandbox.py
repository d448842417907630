"""Code that tries to leave the sandbox, and code that behaves."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rest_react.errors import OutsideFault
from rest_react.tasks.tool_maker.sandbox import Outcome, Sandbox, namespaces_problem
from rest_react.tasks.tool_maker.sandbox import program as inside

DOUBLE = "def double(x):\n    return 2 * x"
isolated = pytest.mark.skipif(bool(namespaces_problem()), reason=f"no namespaces here: {namespaces_problem()}")
KINDS = [pytest.param("namespaces", marks=isolated), "limits_only"]


def run(call: str, kind: str = "namespaces", function: str = DOUBLE, *, seconds: float = 20.0) -> Outcome:
    return asyncio.run(Sandbox(kind, seconds, memory_mb=256).run(function, call))


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_returns_its_answer_and_how_often_it_called_the_tool(kind: str) -> None:
    assert run("answer = double(4) + double(1)", kind) == Outcome("double", calls=2, answer="10")
    assert run("", kind) == Outcome("double")
    assert run("answer = double(['a', 'b'])", kind) == Outcome("double", calls=1, answer="a, b, a, b")


@isolated
@pytest.mark.parametrize(
    "call",
    [
        "answer = 8",
        "double(4)\nanswer = 8",
        "answer = 8 if double(4) else 0",
        "twice = double(['a'])\nprint(', '.join(twice))\nanswer = 'a, a'",
        "first = double([1])[0]\nanswer = 'B'",
        "answer = double([1])[0]\nanswer = 'B'",
    ],
)
def test_an_answer_that_does_not_depend_on_the_tool_is_constant(call: str) -> None:
    assert run(call).constant


@isolated
@pytest.mark.parametrize(
    "call",
    [
        "answer = double(4) + 1",
        "answer = {8: 'B'}[double(4)]",
        "found = []\nfor i in range(2):\n    found.append(double(i) + 1)\nanswer = sum(found)",
        "def use(x):\n    return double(x)[0]\nanswer = use(['a'])",
        "total = 0\nfor i in range(1):\n    value = double(3) + 1\n    total += value\nanswer = total",
        "if double(4) > 7:\n    answer = 'B'\nelse:\n    answer = 'C'",
        "answer = 0\nanswer += double(4)",
        "if (value := double(4)) + 1:\n    pass\nanswer = value + 1",
    ],
)
def test_an_answer_that_comes_from_the_tool_is_not_constant(call: str) -> None:
    outcome = run(call)
    assert (outcome.constant, outcome.problem) == (False, "")


@pytest.mark.parametrize("kind", KINDS)
def test_a_set_of_texts_has_one_order_in_all_processes(kind: str) -> None:
    function = "def unique(words):\n    return list(set(words))"
    call = f"answer = unique({[f'word{n}' for n in range(40)]})"
    assert len({run(call, kind, function).answer for _ in range(3)}) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_code_has_no_environment_and_imports_the_standard_library_alone(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "planted.py").write_text("")
    for name, value in (("PYTHONPATH", str(tmp_path)), ("PYTHONHASHSEED", "7"), ("PYTHONUSERBASE", str(tmp_path))):
        monkeypatch.setenv(name, value)
    assert run("import os\nanswer = double(len(set(os.environ) - {'LC_CTYPE'}))", kind).answer == "0"
    flags = "(sys.flags.no_user_site, sys.flags.safe_path, sys.flags.no_site)"
    assert run(f"import sys\nanswer = double({flags})", kind).answer == "1, True, 1, 1, True, 1"
    for module in ("planted", "dependence", "pytest", "rest_react"):
        assert run(f"import {module}\nanswer = double(1)", kind).problem.startswith("ModuleNotFoundError")


NEVER_ENDS = {
    "counts": "n = 1\nwhile double(n) != 8:\n    n += 1\nanswer = n",
    "sleeps": "import time\nn = 1\nwhile double(n) != 8:\n    n += 1\n    time.sleep(0.01)\nanswer = n",
    "catches": "n = 1\nwhile double(n) != 8:\n  try:\n    n += 1\n    while n > 8: pass\n  except: pass\nanswer = n",
    "kills": "import os\nif double(4) != 8:\n    os._exit(1)\nanswer = double(2)",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NEVER_ENDS)
def test_a_control_run_that_does_not_end_rejects_no_call_and_takes_a_small_share_of_the_time(
    kind: str, name: str
) -> None:
    started = time.monotonic()
    outcome = run(NEVER_ENDS[name], kind, seconds=4.0)
    assert (outcome.answer, outcome.constant, outcome.problem) == ("4", False, "")
    assert time.monotonic() - started < 8  # of 12 on the clock


@pytest.mark.parametrize("kind", KINDS)
def test_a_control_run_that_reaches_the_limit_of_the_whole_run_rejects_no_call(kind: str) -> None:
    ignored = "\n".join(f"    signal.signal(signal.{name}, signal.SIG_IGN)" for name in ("SIGALRM", "SIGPROF"))
    call = f"import signal, time\nanswer = double(2)\nif answer != 4:\n{ignored}\n    time.sleep(100)"
    assert run(call, kind, seconds=0.7).answer == "4"


@isolated
def test_a_tool_that_returns_nothing_is_told_to_return_a_text() -> None:
    problem = run("answer = f(5)", function="def f(n):\n    pass").problem
    assert problem == "ValueError: `answer` is None; the tool must return a text, such as none"
    assert run("if double(0):\n    answer = 1").problem == "the code assigned no `answer`"


@isolated
def test_recursion_of_the_tool_is_one_call() -> None:
    assert run("answer = f(5)", function="def f(n):\n    return n * f(n - 1) if n else 1").calls == 1


ESCAPES = {
    "import os\nfor _ in range(10000): os.fork()": "BlockingIOError",
    "import threading\nthreading.Thread(target=print).start()": "RuntimeError",
    "import subprocess\nsubprocess.run(['/bin/sh'])": "Error",
    "x = bytearray(10 ** 9)": "MemoryError",
    "import ctypes\nfor name in ('shmget', 'semget', 'msgget'):\n"
    "  assert getattr(ctypes.CDLL(None), name)(0, 1, 0o1600) < 0\nanswer = double(None)": "TypeError",
    "import ctypes\nctypes.CDLL(None).syscall(0x40000000 + 29, 0, 1, 0o1600)\nanswer = double(1)": "without a result",
    "for n in range(2000): open(str(n), 'w').close()": "No space left",
    "open('/etc/passwd').read()": "FileNotFoundError",
    f"open({__file__!r}).read()": "FileNotFoundError",
    "open('/proc/self/environ').read()": "FileNotFoundError",
    "import os\nopen(os.__file__, 'a')": "Error",
    "open('big', 'w').write('x' * 10 ** 7)": "File too large",
    "import socket\nsocket.create_connection(('1.1.1.1', 80), 2)": "Network is unreachable",
    "import socket\nsocket.create_connection(('127.0.0.1', 80), 2)": "Network is unreachable",
    "import os\nos.setuid(0)": "PermissionError",
    "import os\nos.chroot('/usr')": "PermissionError",
    "import ctypes\nassert ctypes.CDLL(None).unshare(0x10000000) == 0": "AssertionError",
    "import os\ntry: os.kill(1, 9)\nexcept OSError: pass\nanswer = double(1)\nos._exit(0)": "without a result",
    "import os\nos._exit(0)": "without a result",
    "import sys\nsys.exit(0)": "SystemExit",
    "import os\nos.kill(os.getpid(), 9)": "PermissionError",
    "import signal\nsignal.raise_signal(9)": "PermissionError",
    "import ctypes\nctypes.string_at(0)": "without a result",
    "import signal\nsignal.signal(14, signal.SIG_DFL)\nsignal.setitimer(0, 0.01)\nwhile True: pass": "without a result",
    "answer = double('x' * 10 ** 6)": "more than 2000",
    "import os\nfor n in range(3, 32):\n  try: os.write(n, b'{}' * 10 ** 6)\n  except OSError: pass": "wrote more than",
    # More than asyncio reads ahead, so that it stops to look at the pipe.
    "import fcntl, os\nfor n in range(3, 32):\n  try: fcntl.fcntl(n, 1031, 10 ** 6), os.write(n, b'{}' * 10 ** 6)\n"
    "  except OSError: pass": "wrote more than",
    "import os\nassert set(os.environ) > {'LC_CTYPE'}": "AssertionError",
}


@isolated
@pytest.mark.parametrize("call", ESCAPES)
def test_an_escape_fails_and_is_the_problem_of_the_code(call: str) -> None:
    outcome = run(call)
    assert outcome.answer == "" and ESCAPES[call] in outcome.problem


@isolated
def test_no_installed_package_is_there() -> None:
    places = "[os.path.dirname(os.__file__) + name for name in ('/site-packages', '/dist-packages')]"
    found = f"[name for place in {places} if os.path.isdir(place) for name in os.listdir(place)]"
    assert run(f"import os\nanswer = double(len({found}))").answer == "0"


@isolated
def test_a_megabyte_of_output_is_dropped() -> None:
    assert run("print('x' * 10 ** 6)\nanswer = double(1)").answer == "2"


@isolated
def test_code_that_ignores_its_limit_of_time_is_killed_and_that_is_its_own_problem() -> None:
    call = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass"
    assert run(call, seconds=1.0).problem in ("the process ended without a result", "ran longer than 1 seconds")


@pytest.mark.parametrize("call", ["import os\nos.kill(os.getpid(), 9)", "import ctypes\nctypes.string_at(0)"])
def test_without_namespaces_too_code_that_ends_itself_is_the_problem(call: str) -> None:
    assert run(call, "limits_only").problem == "the process ended without a result"


@isolated
@pytest.mark.parametrize("which", [0, 1, 2], ids=["first", "second", "third"])
def test_a_process_that_the_system_kills_is_not_the_problem_of_the_code(which: int) -> None:
    async def kill_one() -> Outcome:
        running = asyncio.create_task(Sandbox("namespaces", 20).run(DOUBLE, "import time\ntime.sleep(100)"))
        while len(processes := _line_of_children(os.getpid(), inside.__file__)) < 3:
            await asyncio.sleep(0.02)
        os.kill(processes[which], signal.SIGKILL)
        return await running

    with pytest.raises(OutsideFault, match="sandbox: its process ended with status"):
        asyncio.run(kill_one())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("which", [0, 1], ids=["first", "second"])
def test_a_system_that_starts_no_more_processes_is_not_the_problem_of_the_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, which: int
) -> None:
    program = tmp_path / "no_more.py"
    source = Path(inside.__file__).read_text().split("os.fork()")
    source[which] += "os.open('/none', 0)"  # an OSError, as of a fork that the system refuses
    source[1 - which] += "os.fork()"
    program.write_text("".join(source))
    monkeypatch.setattr("rest_react.tasks.tool_maker.sandbox._PROGRAM", [sys.executable, "-I", "-S", str(program)])
    with pytest.raises(OutsideFault, match=r"sandbox: .*No such file"):
        run("answer = double(1)", kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", ["while True: pass", "import time\ntime.sleep(100)"])
def test_a_call_that_does_not_end_is_killed(kind: str, call: str) -> None:
    assert run(call, kind, seconds=0.5).problem == "ran longer than 0.5 seconds"


@pytest.mark.parametrize(
    ("function", "call", "echoed"),
    [
        ("def f(x): return x", "answer = f('red')", ("x",)),
        ("def f(x): return x", "answer = f(x='red')", ("x",)),
        ("def f(x): return f'({x.upper()})'", "answer = f('red')", ("x",)),
        ("def f(*words): return ', '.join(words)", "answer = f('fig', 'pear')", ("words",)),
        ("def f(d): return d['x']", "answer = f({'x': 'red'})", ("d[x]", "d")),
        ("def f(**d): return d['x']", "answer = f(x='red')", ("d[x]", "d")),
        ("def f(d, who): return d[who]", "answer = f({'Ada': 'kite', 'Bo': 'drum'}, 'Bo')", ("d[bo]",)),
        ("def f(closes): return closes['(']", "answer = f({'(': ')'})", ()),
        ("def f(x, y): return x + y", "answer = f(1, 2)", ()),
        ("def f(opening): return ')'", "answer = f('(')", ()),
        ("def f(n): return n % 7", "answer = f(10 ** 5000)", ()),
        ("class A:\n    def __str__(self): raise KeyError\ndef f(x): return 'a'", "answer = f([object()])", ()),
    ],
)
def test_an_argument_that_comes_back_but_for_case_and_marks_is_named(
    function: str, call: str, echoed: tuple[str, ...]
) -> None:
    assert run(call, "limits_only", function=function).echoed == echoed


def test_processes_that_the_code_started_are_killed_with_it() -> None:
    child = "import os\nos.fork() or os.execvp('sleep', ['sleep', '4711.5'])\nanswer = double(1)"
    run(child, "limits_only")
    deadline = time.monotonic() + 5
    while (left := _running("4711.5")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


# It leaves its group, forbids the kernel to end it with its parent, and has the sandbox ended by too long a result.
SURVIVOR = """
import ctypes, os, time
def double(x):
    pass
ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
os.setsid()
for number in range(3, 32):
    try:
        for _ in range(30):
            os.write(number, b"x" * 4000)
    except OSError:
        pass
time.sleep(4711)
"""


@isolated
def test_code_that_leaves_its_group_ends_with_the_sandbox() -> None:
    before, started = _running(inside.__file__), time.monotonic()
    assert "wrote more than" in run("", function=SURVIVOR).problem
    assert time.monotonic() - started < 9  # nothing holds the pipe of the result open
    left = {*_running(inside.__file__)} - {*before}
    deadline = time.monotonic() + 30  # sandboxes of tests that run at the same time end before
    while left and time.monotonic() < deadline:
        left = {process for process in left & {*_running(inside.__file__)} if not _is_zombie(process)}
        time.sleep(0.05)
    assert left == set()


@pytest.mark.parametrize("kind", KINDS)
def test_a_limit_that_the_system_refuses_is_not_the_problem_of_the_code(kind: str, tmp_path: Path) -> None:
    request = {
        "function": DOUBLE, "call": "answer = double(4)", "folder": str(tmp_path), "isolated": kind == "namespaces",
        "seconds": 20, "memory_mb": 256,
    }  # fmt: skip
    below = ["bash", "-c", 'ulimit -n 20; exec "$@"', "bash"]
    command = [*below, sys.executable, "-I", "-S", inside.__file__]
    done = subprocess.run(command, input=json.dumps(request).encode(), capture_output=True, check=False)
    raised = done.returncode == inside.DONE and json.loads(done.stdout)["answer"] == "8"  # root may raise it
    assert raised or (done.returncode == inside.SETUP_FAILED and b"limit" in done.stderr)


def _is_zombie(process: str) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _line_of_children(process: int, argument: str) -> list[int]:
    """The child of a process with this argument, its child and so on."""
    line = [process]
    while found := [int(one) for one in _running(argument) if _parent(one) == line[-1]]:
        line.append(found[0])
    return line[1:]


def _parent(process: str) -> int:
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _running(argument: str) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            found += [process.name] if argument.encode() in (process / "cmdline").read_bytes().split(b"\0") else []
    return found


def test_a_sandbox_that_cannot_be_made_is_an_outside_fault(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    program = tmp_path / "refused.py"
    program.write_text(f"import sys\nprint('unshare: not permitted', file=sys.stderr)\nsys.exit({inside.SETUP_FAILED})")
    monkeypatch.setattr("rest_react.tasks.tool_maker.sandbox._PROGRAM", [sys.executable, str(program)])
    with pytest.raises(OutsideFault, match="sandbox: unshare: not permitted"):
        run("answer = double(1)")


@isolated
def test_a_system_that_refuses_the_filter_of_calls_cannot_isolate(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "refused.py"
    program.write_text(
        Path(inside.__file__).read_text().replace("_FILTER_CALLS = 1, 38, 22", "_FILTER_CALLS = 1, 38, 999")
    )
    monkeypatch.setattr("rest_react.tasks.tool_maker.sandbox._PROGRAM", [sys.executable, "-I", "-S", str(program)])
    assert "prctl: Invalid argument" in namespaces_problem.__wrapped__()
    with pytest.raises(OutsideFault, match="prctl: Invalid argument"):
        run("answer = double(1)")
    assert run("answer = double(1)", "limits_only").answer == "2"
