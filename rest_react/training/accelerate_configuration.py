"""The configuration of accelerate: how a training is spread over GPUs and machines.

    accelerate_configuration("fsdp2")            # {"distributed_type": "FSDP", "fsdp_config": {...}}

A configuration is a packaged file (fsdp2, zero3) or one of your own, as `accelerate config` writes it. It is laid over
the generated one; the numbers of processes and machines always come from the settings.
Not here: the command (launch), and what cannot go together (local_settings).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

PACKAGED = Path(__file__).parent / "accelerate"
_ONE_PROCESS: Mapping[str, Any] = {"distributed_type": "NO"}
_FROM_SETTINGS = ("num_processes", "num_machines", "machine_rank", "main_process_ip", "main_process_port")


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


def _file(name: str) -> Path:
    packaged = PACKAGED / f"{name}.yaml"
    return packaged if "/" not in name and packaged.is_file() else Path(name).expanduser()
