"""Training over several GPUs and machines: the configuration of accelerate, and what cannot go together.

    accelerate_configuration("fsdp2")            # {"distributed_type": "FSDP", "fsdp_config": {...}}
    list(machine_problems(settings, "finetune"))

A configuration is a packaged file (fsdp2, zero3) or one of your own, as `accelerate config` writes it. It is laid over
the generated one; the numbers of processes and machines always come from the settings.
Not here: the command (launch).
"""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import yaml

PACKAGED = Path(__file__).parent / "accelerate"
_ONE_PROCESS: Mapping[str, Any] = {"distributed_type": "NO"}
_FROM_SETTINGS = ("num_processes", "num_machines", "machine_rank", "main_process_ip", "main_process_port")


class MachineSettings(Protocol):
    """The settings that are checked."""

    @property
    def accelerate(self) -> str | None: ...
    @property
    def num_processes(self) -> int: ...
    @property
    def num_machines(self) -> int: ...
    @property
    def main_process_ip(self) -> str | None: ...


def accelerate_configuration(name: str | None) -> dict[str, Any]:
    """The configuration for `accelerate launch`. Raises ValueError if the file is not one."""
    if name is None:
        return dict(_ONE_PROCESS)
    path = _file(name)
    try:
        given = yaml.safe_load(path.read_bytes())
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read ({error})") from error
    if not isinstance(given, dict) or not isinstance(given.get("distributed_type"), str):
        raise ValueError(f"{path} has no distributed_type, so it is not a configuration of accelerate")
    return {**_ONE_PROCESS, **{key: value for key, value in given.items() if key not in _FROM_SETTINGS}}


def machine_problems(settings: MachineSettings, path: str) -> Iterator[str]:
    """Settings that cannot go together."""
    if settings.accelerate is not None:
        try:
            accelerate_configuration(settings.accelerate)
        except ValueError as error:
            packaged = ", ".join(sorted(file.stem for file in PACKAGED.glob("*.yaml")))
            yield f"{path}.accelerate: {error}; give one of {packaged}, or a file that `accelerate config` wrote"
    if settings.num_processes % settings.num_machines:
        near = settings.num_machines * max(1, settings.num_processes // settings.num_machines)
        yield (
            f"{path}.num_processes: {settings.num_processes} processes are not the same number on each of "
            f"{settings.num_machines} machines ({path}.num_machines); set it to {near}"
        )
    if settings.num_machines > 1 and not settings.main_process_ip:
        yield f"{path}.main_process_ip: needed with {path}.num_machines; set it to the address of this machine"


def machine_lacks(settings: MachineSettings, path: str) -> Iterator[str]:
    """What this machine lacks."""
    if settings.accelerate is None:
        return
    kind = accelerate_configuration(settings.accelerate)["distributed_type"]
    if not _has_cuda():
        yield f"{path}.accelerate: sharding needs CUDA GPUs, and PyTorch finds none here; set {path}.accelerate=null"
    if kind == "DEEPSPEED" and find_spec("deepspeed") is None:
        yield f"{path}.accelerate: needs the package deepspeed; pip install deepspeed, or set {path}.accelerate=fsdp2"


def _file(name: str) -> Path:
    packaged = PACKAGED / f"{name}.yaml"
    return packaged if "/" not in name and packaged.is_file() else Path(name).expanduser()


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()
