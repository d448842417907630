"""How many cores this process may use.

    >>> usable_cores() >= 1
    True

A container or a job of SLURM often has fewer than the machine. Not here: how they are divided among processes.
"""

import os


def usable_cores() -> int:
    """The cores that the system lets this process use; where it does not tell, those of the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
