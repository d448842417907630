"""The GPUs of this machine, divided among several servers.

    >>> shares(["0", "1", "2", "3"], 2)
    [['0', '1'], ['2', '3']]

Not here: how many of its GPUs a server uses (`--tensor-parallel-size` and others in `policy.extra_args`).
"""

import os
from collections.abc import Sequence

VISIBLE = "CUDA_VISIBLE_DEVICES"


def visible_gpus() -> list[str]:
    """What CUDA_VISIBLE_DEVICES names, else the numbers of all GPUs; empty on a machine without one."""
    named = os.environ.get(VISIBLE)
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]


def shares(gpus: Sequence[str], count: int) -> list[list[str]]:
    """The GPUs of each of `count` servers: neighbours, and the same number for each. Some are left over if they cannot
    be divided evenly."""
    each = len(gpus) // count
    return [list(gpus[i * each : (i + 1) * each]) for i in range(count)]
