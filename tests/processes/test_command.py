import ast
import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rest_react.processes import command as processes_command
from rest_react.processes.command import _imported
from tests.test_run import wait_for

ROOT = Path(__file__).parents[2]
# Two training stages of some seconds, and little else.
TRAINED = (
    "experiment=smoke", "iteration=0", "world.evaluation=2", "demonstrations.epochs=400", "finetune.save_every=5",
)  # fmt: skip


def command(output: Path, *overrides: str) -> list[str]:
    return [sys.executable, "-m", "rest_react.run", f"output={output}", *overrides]


def processes_that_name(folder: Path) -> list[str]:
    """The command lines of live processes that name something in the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if f"{folder}/" in words:
            found.append(words)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
@pytest.mark.parametrize(("number", "training"), [(signal.SIGTERM, False), (signal.SIGHUP, True)])
def test_a_signal_during_fine_tuning_ends_the_trainer_first(tmp_path: Path, number: int, training: bool) -> None:
    losses = tmp_path / "smoke/iter_0/finetune/loss.jsonl"
    with subprocess.Popen(command(tmp_path, *TRAINED), stderr=subprocess.PIPE, text=True) as process:
        wait_for(losses, seconds=120)
        deadline = time.monotonic() + 120
        # While the trainer is still importing, or once it trains.
        while not (losses.read_bytes() if training else processes_that_name(tmp_path / "smoke")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        sent = time.monotonic()
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
    assert time.monotonic() - sent < 30
    assert processes_that_name(tmp_path / "smoke") == []
    assert process.returncode == 128 + number
    assert stderr.splitlines()[-1] == "Interrupted. Progress is saved; run the same command again to resume."
    assert "Traceback" not in stderr


IGNORING_SERVER = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)\n"


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_a_server_that_ignores_the_signal_ends_too(tmp_path: Path) -> None:
    (tmp_path / "vllm").mkdir()
    (tmp_path / "vllm" / "serve.py").write_text(IGNORING_SERVER)
    served = ("start=prompted", "iteration=0", "policy=vllm", "policy.model=m", "finetune=lora", "policy.extra_args=[]")
    words = command(tmp_path, *served, f"policy.command=[{sys.executable},{tmp_path}/vllm/serve.py]", "tracking=none")
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        wait_for(tmp_path / "default" / "vllm.log", seconds=60)
        time.sleep(0.5)  # until the server ignores the signal
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=20)
    assert process.returncode == 143
    assert stderr.splitlines()[-1] == "Interrupted. Progress is saved; run the same command again to resume."
    deadline = time.monotonic() + 15
    while processes_that_name(tmp_path / "vllm"):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_command_under_nohup_ignores_sighup(tmp_path: Path) -> None:
    words = command(tmp_path, "experiment=smoke", "start=prompted", "iteration=0", "world.evaluation=2")
    with subprocess.Popen(["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *words], stderr=subprocess.DEVNULL) as process:
        wait_for(tmp_path / "smoke" / "settings.yaml")
        process.send_signal(signal.SIGHUP)
        assert process.wait(60) == 0
    assert (tmp_path / "smoke" / "results.json").exists()


SLOW = "import sys, time\nprint('importing', flush=True)\ntime.sleep(60)\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_imports_prints_no_traceback(tmp_path: Path, number: int) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    code = "import sys; sys.path.insert(0, sys.argv[1]); from rest_react.processes.command import start; start('slow')"
    words = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(number)
        _, stderr = process.communicate(timeout=10)
    assert (process.returncode, stderr) == (128 + number, "Interrupted.\n")


DEAF = """
import asyncio, signal, sys, time
from rest_react.processes import command

command._GRACE_S = 0.5

async def wait():
    print("waiting", flush=True)
    await asyncio.to_thread(time.sleep, 60)

def main():
    command.run_async(wait())
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_does_not_wait_for_a_blocked_thread(tmp_path: Path, number: int) -> None:
    (tmp_path / "deaf.py").write_text(DEAF)
    code = "import sys; sys.path.insert(0, sys.argv[1]); from rest_react.processes.command import start; start('deaf')"
    words = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(number)
        _, stderr = process.communicate(timeout=10)
    assert (process.returncode, stderr) == (128 + number, "Interrupted.\n")


@pytest.mark.parametrize("name", ["run", "ask", "agreement", "report"])
def test_every_command_starts_before_its_imports(name: str) -> None:
    _docstring, first, guard, *_ = ast.parse((ROOT / f"rest_react/{name}.py").read_text(encoding="utf-8")).body
    assert ast.unparse(first) == "from rest_react.processes.command import start"
    assert ast.unparse(guard) == f"if __name__ == '__main__':\n    start('rest_react.{name}')"


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}


def test_output_into_a_pipe_that_is_closed_early_gives_no_traceback() -> None:
    help_ = subprocess.Popen(
        [sys.executable, "-m", "rest_react.run", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    )
    assert help_.stdout is not None and help_.stderr is not None
    help_.stdout.close()
    assert (help_.stderr.read(), help_.wait(30)) == (b"", 128 + signal.SIGPIPE)


def test_commands_work_in_an_ascii_locale(tmp_path: Path) -> None:
    settings = ["experiment=smoke", "start=prompted", "iteration=0", "run=größer", f"output={tmp_path}"]
    environment = {name: value for name, value in os.environ.items() if name != "LANG"} | ASCII
    for words in (["rest_react.run", *settings], ["rest_react.ask", "Wer gründete 日本?", *settings]):
        done = subprocess.run(
            [sys.executable, "-m", *words], env=environment, capture_output=True, check=False, timeout=100
        )
        assert b"Traceback" not in done.stderr
        assert done.returncode == (0 if words[0].endswith("run") else 1), done.stderr  # it has no answer
        assert done.stdout.isascii()
        assert done.stderr.isascii()
    assert (tmp_path / "größer" / "results.json").exists()


def test_a_package_that_is_not_installed_is_named_with_the_way_to_install_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "some_command.py").write_text("import no_such_package.part")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SystemExit) as ended:
        _imported("some_command")
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"{sys.executable} has no package no_such_package; run `make install` ")


class SlowStream(io.StringIO):
    """A stream on which each write takes a while."""

    def write(self, text: str) -> int:
        time.sleep(0.05)
        return super().write(text)


def test_who_ends_the_process_waits_until_another_thread_has_printed_the_whole_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = SlowStream()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(processes_command, "_last_messages", ["Interrupted."])
    first = threading.Thread(target=processes_command._print_last_message)
    first.start()
    while processes_command._last_messages:
        time.sleep(0.001)
    processes_command._print_last_message()
    assert stream.getvalue() == "Interrupted.\n"
    first.join()
