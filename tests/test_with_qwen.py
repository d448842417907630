"""scripts/with_qwen.sh with a make that serves nothing but a port, as long as its input lasts."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from tests.loopback import Reply, serve

SCRIPT = Path(__file__).parents[1] / "scripts" / "with_qwen.sh"
MAKE = """#!/usr/bin/env bash
[ "$1" = qwen ] && [ -z "${BROKEN:-}" ] || { echo 'no weights'; exit 2; }
exec "$INTERPRETER" -c '
import os, socket, sys
with socket.create_server(("127.0.0.1", int(os.environ["QWEN_PORT"]))):
    sys.stdin.read()
print("ended with its input")
'
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def with_qwen(folder: Path, port: int, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    make = folder / "make"
    make.write_text(MAKE)
    make.chmod(0o755)
    given = {"MAKE": str(make), "INTERPRETER": sys.executable, "QWEN_PORT": str(port), **environment}
    given["QWEN_LOG"] = str(folder / "logs" / "qwen.log")
    words = ["bash", str(SCRIPT), sys.executable, "-c", command]
    return subprocess.run(words, env={**os.environ, **given}, capture_output=True, text=True, timeout=60, check=False)


def test_the_model_is_served_while_the_command_runs_and_the_status_is_the_commands(tmp_path: Path) -> None:
    port = free_port()
    command = f"import socket, sys; socket.create_connection(('127.0.0.1', {port})); sys.exit(3)"
    done = with_qwen(tmp_path, port, command)
    assert (done.returncode, done.stderr) == (3, "")
    assert (tmp_path / "logs" / "qwen.log").read_text() == "ended with its input\n"
    assert not listens(port)


def test_a_model_that_is_served_already_is_used_and_left_as_it_is(tmp_path: Path) -> None:
    with serve(lambda _: Reply(200, {})) as server:
        port = int(server.url.rpartition(":")[2])
        done = with_qwen(tmp_path, port, "print('done')", BROKEN="yes")
        assert (done.returncode, done.stdout) == (0, "done\n")
        assert listens(port)


def test_a_model_that_cannot_be_served_ends_it_before_the_command(tmp_path: Path) -> None:
    done = with_qwen(tmp_path, free_port(), "print('never')", BROKEN="yes")
    assert (done.returncode, "never" in done.stdout) == (1, False)
    assert f"the model could not be served; {tmp_path}/logs/qwen.log has the cause" in done.stderr
    assert (tmp_path / "logs" / "qwen.log").read_text() == "no weights\n"
