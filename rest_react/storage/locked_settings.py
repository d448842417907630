"""Selects the locked settings: those that can change a result. A run folder stores them and refuses other values.

    locked_settings(settings)      # the locked settings, flat: {"agent.max_searches": 5, ...}

Every setting is locked unless UNLOCKED names it. Settings may be a dataclass or a nested mapping.
Not here: the comparison with a folder's settings (settings_file).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from itertools import dropwhile

# Settings that cannot change a result, so they may differ between commands. `*` stands for one block: that of a model
# (policy, ...) or of the search engine, or the stages. A name that means something else in another block has its path.
UNLOCKED = (
    "run", "iteration", "students", "dry_run", "output", "cache", "replay", "budget", "tracking", "speed",
    "*.in_flight", "*.device", "*.threads", "*.timeout_s", "*.start_timeout_s", "*.tries", "*.requests_per_minute",
    "*.tokens_per_minute", "*.price", "*.port", "*.tolerate_outside_faults", "*.cache_tokens", "*.batch_requests",
    "*.batch_tokens", "*.token_limit", "*.api_key_env", "*.replicas", "*.data_parallel", "*.load_weights",
    "*.load_timeout_s", "finetune.poll_s", "finetune.cancel", "finetune.save_every", "finetune.max_length",
    "finetune.micro_batch_size", "finetune.num_processes", "finetune.accelerate", "finetune.num_machines",
    "finetune.main_process_ip", "finetune.main_process_port",
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
    """The locked settings, flat, as in settings.yaml. `settings` may be one block, whose name is then `path`: it names
    cached replies and folders of tools, which earlier versions named without `command`, so an empty one is left out."""
    locked = {place: _locked_value(place, value) for place, value in flatten(settings, path) if is_locked(place)}
    return {place: value for place, value in locked.items() if value or not path or not place.endswith(".command")}


def _locked_value(place: str, value: object) -> object:
    """The part of a setting that can change a result."""
    if isinstance(value, list) and place.endswith("extra_args"):
        return _locked_arguments(value)
    if isinstance(value, list) and place.endswith(".command"):
        return _arguments_in(value)
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


def _arguments_in(command: Sequence[str]) -> list[str]:
    """The same of those in the command that starts the server: behind `serve`, or behind the program and a script.

    >>> _arguments_in(["/opt/vllm/bin/vllm", "serve", "--quantization", "fp8"]), _arguments_in(["vllm", "serve"])
    (['--quantization', 'fp8'], [])
    """
    behind = command[command.index("serve") + 1 if "serve" in command else 1 :]
    return _locked_arguments(list(dropwhile(lambda word: not word.startswith("-"), behind)))


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
    block, name = parts[0], "".join(parts[1:2])
    return not {block, f"*.{name}", f"{block}.{name}"}.intersection(UNLOCKED)
