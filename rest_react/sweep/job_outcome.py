"""How the jobs of a sweep ended, in words, and the settings that tell them apart.

    outcome(3), own_settings(jobs)       # "incomplete", ["run=mine_0 seed=0", "run=mine_1 seed=1"]

Not here: the records of the jobs and their table (jobs), the results of those that are done (report).
"""

from collections.abc import Mapping, Sequence
from typing import Any

RUNNING = -1
_OUTCOMES = {
    RUNNING: "no outcome",
    0: "done",
    2: "refused",
    3: "incomplete",
    4: "budget reached",
    129: "interrupted",
    130: "interrupted",
    140: "interrupted",
    143: "interrupted",
}


def outcome(status: int) -> str:
    """What an exit status says of a job."""
    return _OUTCOMES.get(status, "failed")


def own_settings(jobs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The overrides of each job without those that all jobs have."""
    shared = set.intersection(*(set(job["overrides"]) for job in jobs)) if len(jobs) > 1 else set()
    return [" ".join(override for override in job["overrides"] if override not in shared) for job in jobs]
