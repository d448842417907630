"""The environments of scripts/install_servers.sh, and processes that run in them."""

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest

from rest_react.weights.cache_folder import cache_folder

START_S = 300.0


def environment(name: str) -> Path:
    """The folder of an environment. The test fails if it is not there: to leave it out would look like success."""
    folder = cache_folder() / "servers" / name
    if not (folder / "installed").is_file():
        pytest.fail(f"{name} is not installed in {folder}; run scripts/install_servers.sh {name}")
    return folder


@contextmanager
def running(command: Sequence[str], url: str, log: Path, more: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A server that answers at `url`, until the block ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=dict(more), stdin=subprocess.PIPE, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + START_S
        while not _answers(url):
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.5)
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except HTTPError:
        return False
    except (URLError, OSError):
        return False
