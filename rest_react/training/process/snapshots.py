"""Snapshots of a local training: its model after equal parts of the steps, among which `evaluate.choose_by` chooses.

    snapshot_steps(220, models=4)                    # (55, 110, 165); the fourth model is the one after the last step
    earlier_models(stage, ModelRef("iter_1/finetune/model", "local", tuned=True))
    # {55: ModelRef("iter_1/finetune/snapshots/55/model", "local", tuned=True), ...}

Not here: saving them (worker.saving.snapshot_saver), and the choice (stages.choose_model).
"""

from pathlib import Path, PurePosixPath

from rest_react.records import ModelRef

SNAPSHOTS = "snapshots"  # in the folder of a training, each in a folder with the number of its steps


def snapshot_steps(steps: int, models: int) -> tuple[int, ...]:
    """The steps after which the model is kept, without the last.

    >>> snapshot_steps(220, 4), snapshot_steps(220, 1), snapshot_steps(2, 4)
    ((55, 110, 165), (), (1,))
    """
    return tuple(sorted({steps * part // models for part in range(1, models)} - {0}))


def earlier_models(folder: Path, last: ModelRef) -> dict[int, ModelRef]:
    """The models of a finished training in `folder` after fewer steps than `last`, by the number of steps."""
    beside = PurePosixPath(last.name).parent
    found = sorted(int(path.parent.name) for path in folder.glob(f"{SNAPSHOTS}/*/model"))
    return {steps: ModelRef(f"{beside}/{SNAPSHOTS}/{steps}/model", "local", tuned=True) for steps in found}
