"""Saves the model in the middle of a training, to be published like the last one.

    callbacks=[..., snapshot_saver(folder, snapshot_steps(220, models=4))]      # writes snapshots/55/trained, ...
    saved_snapshots(folder)                                                      # [snapshots/55/trained, ...]

Not here: checkpoints, from which a training resumes (callbacks.checkpoint_seal), and publishing (publish).
"""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rest_react.storage.files import flush, flush_tree, make_folder, remove
from rest_react.training.process.snapshots import SNAPSHOTS

if TYPE_CHECKING:
    from transformers import TrainerCallback


def snapshot_saver(folder: Path, steps: Collection[int]) -> "TrainerCallback":
    """The callback of the Trainer that saves the model, or its adapter, after these steps. A training that resumes
    from an earlier step saves it again."""
    from transformers import TrainerCallback

    class SnapshotSaver(TrainerCallback):
        """Each snapshot gets its name when it is whole."""

        def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **rest: Any) -> None:
            if state.global_step not in steps or not state.is_world_process_zero:
                return
            snapshot = folder / SNAPSHOTS / str(state.global_step)
            draft = snapshot.with_suffix(".tmp")
            remove(draft)
            make_folder(draft)
            model.save_pretrained(str(draft / "trained"))
            flush_tree(draft)
            remove(snapshot)
            draft.rename(snapshot)
            flush(snapshot.parent)

    return SnapshotSaver()


def saved_snapshots(folder: Path) -> list[Path]:
    """The saved models that are not published yet, whatever a kill left of publishing them."""
    found = []
    for snapshot in sorted(folder.glob(f"{SNAPSHOTS}/[0-9]*"), key=lambda path: int(path.name)):
        trained, adapter = snapshot / "trained", snapshot / "adapter"
        if (snapshot / "model").is_dir():
            remove(trained)
            continue
        if adapter.is_dir() and not trained.is_dir():  # it has its last name before the model has
            adapter.rename(trained)
        found.append(trained)
    return found
