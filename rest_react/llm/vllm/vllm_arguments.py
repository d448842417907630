"""The arguments of `vllm serve` for a model, and what the user's own arguments say.

    >>> arguments("Qwen/Qwen3-4B", "iteration-1", 8000, 4096, ["--enforce-eager"])[-3:]
    ['--max-model-len', '4096', '--enforce-eager']

Not here: the command before them, and its process (vllm_server).
"""

import json
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from rest_react.llm.vllm.vllm_process import HOST

_LENGTH_FLAG = "--max-model-len"
_DATA_PARALLEL = ("--data-parallel-size", "-dp")
_BACKENDS = ("--data-parallel-backend", "-dpb", "--distributed-executor-backend")
_SHARDED = (("--tensor-parallel-size", "-tp"), ("--pipeline-parallel-size", "-pp"))


def arguments(model: str, served_name: str, port: int, length: int | None, extra_args: Sequence[str]) -> list[str]:
    """The arguments that serve `model` on this machine; `length` is the context in tokens, None for the model's own."""
    place = ["--host", HOST, "--port", str(port), "--served-model-name", served_name]
    # Else what a request leaves out comes from the model's own generation config: top_p, a repetition penalty.
    plain = ("--generation-config", "vllm")
    own = any(flag.partition("=")[0].replace("_", "-") == _LENGTH_FLAG for flag in extra_args)
    context = [] if own or length is None else [_LENGTH_FLAG, str(length)]
    return [model, *place, *plain, *context, *extra_args]


def engines(extra_args: Sequence[str]) -> int:
    """How many engines the server runs.

    >>> engines(["--enforce-eager", "--data-parallel-size", "2"]), engines(["-dp=4"]), engines([])
    (2, 4, 1)
    """
    return _size(extra_args, _DATA_PARALLEL)


def gpus(extra_args: Sequence[str]) -> int:
    """How many GPUs the server uses.

    >>> gpus(["--tensor-parallel-size", "2", "-dp=4"]), gpus([])
    (8, 1)
    """
    return math.prod(_size(extra_args, flags) for flags in (_DATA_PARALLEL, *_SHARDED))


def by_ray(extra_args: Sequence[str]) -> bool:
    """Whether Ray starts the server's engines, on whatever machines it has.

    >>> by_ray(["--data-parallel-backend", "ray"]), by_ray(["--data-parallel-backend=mp"]), by_ray([])
    (True, False, False)
    """
    return any(flag.replace("_", "-") in _BACKENDS and value == "ray" for flag, value in pairwise(_words(extra_args)))


def _size(extra_args: Sequence[str], flags: Sequence[str]) -> int:
    for flag, value in pairwise(_words(extra_args)):
        if flag.replace("_", "-") in flags and value.isdecimal():
            return int(value)
    return 1


def _words(extra_args: Sequence[str]) -> list[str]:
    return [word for argument in extra_args for word in argument.split("=", 1)]


def own_context(folder: Path) -> int | None:
    """The context length that the weights in a folder were made for; None where they do not say, or stretch it."""
    config = folder / "config.json"
    if not config.is_file():
        return None
    told: dict[str, Any] = json.loads(config.read_text(encoding="utf-8"))
    told = told.get("text_config") or told
    length = told.get("max_position_embeddings")
    stretched = (told.get("rope_scaling") or told.get("rope_parameters") or {}).get("factor")
    return length if isinstance(length, int) and not stretched else None
