"""Records that a complete stage of another run lost to external errors, because that run tolerated it.

    lost_records(source.stage(1, "grow"))      # (3, 60): of 60 trajectories 3 have an `outside` fault
    stages_to_reopen(source, folder, ["iter_0/evaluate", "iter_1/grow"], {"grow": 0.0, "evaluate": 0.1})

Not here: the tolerance of a stage's own records, and making lost ones again when it resumes (stages.executor).
"""

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path

from rest_react.errors import UsageError
from rest_react.stages.evaluate import RESULTS
from rest_react.stages.improve.improve import RANKINGS
from rest_react.stages.improve.judge_trajectories import VERDICTS
from rest_react.stages.rollouts import TRAJECTORIES
from rest_react.storage.integrity import SUMMARY
from rest_react.storage.jsonl import read_lines
from rest_react.storage.owed_records import OwedRecord
from rest_react.storage.run_folder import RunFolder
from rest_react.terminal.console import say

_FILES = (TRAJECTORIES, RANKINGS, VERDICTS, RESULTS)
# The stages that make records, and the settings' group with their `tolerate_outside_faults`.
_TOLERANCE_OF = {
    "grow": "grow", "improve": "improve", "evaluate": "evaluate", "choose": "evaluate", "outcome_judge": "evaluate",
}  # fmt: skip


def lost_records(stage: Path) -> tuple[int, int]:
    """The records that external errors cost, and all records, of the stage's file with the largest share of them."""
    files = ([record.is_owed for record in read_lines(stage / name, OwedRecord)] for name in _FILES)
    return max(
        ((sum(lost), len(lost)) for lost in files if lost), key=lambda counts: counts[0] / counts[1], default=(0, 0)
    )


def stages_to_reopen(
    source: RunFolder, folder: RunFolder, stages: Sequence[str], tolerated: Mapping[str, float]
) -> set[Path]:
    """The evaluations, and the first Grow, of which the other run lost more than this run tolerates: to be completed
    here. Raises UsageError for any other stage, because copied stages depend on what it has."""
    found = set()
    for stage in stages:
        name = stage.partition("/")[2]
        last = name == "evaluate" or (name == "grow" and stage.replace("grow", "improve") not in stages)
        for summary in (source.root / stage).rglob(SUMMARY) if name in _TOLERANCE_OF else ():
            place, allowed = summary.parent, tolerated.get(_TOLERANCE_OF[name], 0.0)
            lost, total = lost_records(place)
            if lost <= allowed * total or (folder.root / place.relative_to(source.root)).exists():
                continue
            if not last:
                setting = f"{_TOLERANCE_OF[name]}.tolerate_outside_faults"
                raise UsageError(
                    f"grow.reuse: of the {total} records of {place}, {lost} failed because of external errors, which "
                    f"that run tolerated, and other stages that are reused depend on the rest; set {setting}="
                    f"{ceil(1000 * lost / total) / 1000} to tolerate it too, or reuse another run"
                )
            say(f"note: grow.reuse: {lost} of the {total} records of {place} are made here: they failed from outside")
            found.add(place)
    return found
