"""Selects the locked settings: those that can change a result. A run folder stores them and refuses other values.

    locked_settings(settings)      # the locked settings, flat: {"agent.max_searches": 5, ...}

Every setting is locked unless UNLOCKED names it. Settings may be a dataclass or a nested mapping.
Not here: the comparison with a folder's settings (settings_file).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass

# Settings that cannot change a result, so they may differ between commands. `*` stands for one block (policy, ...).
UNLOCKED = (
    "run", "iteration", "students", "dry_run", "output", "cache", "replay", "budget", "tracking", "speed",
    "*.in_flight", "*.device", "*.threads", "*.timeout_s", "*.start_timeout_s", "*.tries", "*.requests_per_minute",
    "*.tokens_per_minute", "*.price", "*.port", "*.poll_s", "*.cancel",
    "*.tolerate_outside_faults", "*.command", "*.cache_tokens", "*.batch_requests", "*.batch_tokens", "*.save_every",
    "*.max_length", "*.micro_batch_size", "*.num_processes", "*.accelerate", "*.num_machines", "*.main_process_ip",
    "*.main_process_port", "*.token_limit", "*.api_key_env",
    "*.replicas", "*.data_parallel", "*.load_weights", "*.load_timeout_s",
)  # fmt: skip
# Arguments of `vllm serve` that cannot change a result: how many copies serve, memory, speed, logs.
_SERVED_ALIKE = (
    "--data-parallel", "--api-server-count", "--gpu-memory-utilization", "--kv-cache-memory-bytes", "--swap-space",
    "--cpu-offload-gb", "--enforce-eager", "--enable-prefix-caching", "--no-enable-prefix-caching",
    "--enable-chunked-prefill", "--no-enable-chunked-prefill", "--max-num-seqs", "--max-num-batched-tokens",
    "--disable-log", "--no-enable-log", "--enable-log", "--uvicorn-log-level", "--download-dir",
    "--compilation-config", "-O", "--max-parallel-loading-workers",
)  # fmt: skip


def locked_settings(settings: object, path: str = "") -> dict[str, object]:
    """The locked settings, flat, as in settings.yaml. `settings` may be one block, whose name is then `path`."""
    return {place: _locked_value(place, value) for place, value in flatten(settings, path) if is_locked(place)}


def _locked_value(place: str, value: object) -> object:
    """The part of a setting that can change a result."""
    if isinstance(value, list) and place.endswith("extra_args"):
        return _locked_arguments(value)
    if isinstance(value, list) and place.endswith("base_url"):
        return value[0] if value else None  # the others are replicas of the first
    return value


def _locked_arguments(arguments: Sequence[str]) -> list[str]:
    """The arguments of `vllm serve` that can change a result, each with its value.

    >>> _locked_arguments(["--enforce-eager", "--data-parallel-size", "2", "--quantization", "fp8"])
    ['--quantization', 'fp8']
    """
    kept: list[str] = []
    dropping = False
    for argument in arguments:
        if argument.startswith("-"):
            dropping = argument.partition("=")[0].replace("_", "-").startswith(_SERVED_ALIKE)
        if not dropping:
            kept.append(argument)
    return kept


def flatten(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Dotted paths and plain leaf values."""
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from flatten(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, list(value) if isinstance(value, tuple) else value


def is_locked(path: str) -> bool:
    """Whether a setting can change a result."""
    parts = path.split(".")
    if parts[0] == "task" and len(parts) > 2:  # a model of the task: task.maker.price is as maker.price
        parts = parts[1:]
    return parts[0] not in UNLOCKED and f"*.{''.join(parts[1:2])}" not in UNLOCKED
