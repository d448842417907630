"""Finetune: examples and starting weights in, the next model of the same size out (paper section 3.4).

    model = await finetune(trainer, examples, base, folder.stage(1, "finetune"), seed=7)

leaves model.json and summary.json in the stage's folder, and whatever the trainer keeps (weights, loss curve, a
hosted job's id). A complete stage gives its model back at once. Trained on preferences, `base` is the reference model.
Not here: how training is done (training.local, training.hosted).
"""

import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from rest_react.errors import RunFolderError, UsageError
from rest_react.protocols import Trainer
from rest_react.records import Example, ModelRef, Preference
from rest_react.storage.files import make_folder, write_json
from rest_react.storage.summaries import read_summary, write_summary

MODEL = "model.json"


async def finetune(
    trainer: Trainer, examples: Iterable[Example], base: ModelRef, stage: Path, *, seed: int
) -> ModelRef:
    """Tunes `base` on `examples`. Raises UsageError when there is nothing to learn from."""
    if read_summary(stage) is not None:
        return read_model(stage)
    started = time.monotonic()
    rows = list(examples)
    if not rows:
        raise UsageError(
            f"{stage}: no examples survived Improve, so there is nothing to fine-tune on. Look at the summary.json of "
            "grow and improve: are trajectories failing, or filters too strict? A small model may need more "
            "demonstrations (world.demonstrations) or epochs (finetune.epochs). Preferences (finetune=dpo) need steps "
            "whose samples differ: raise grow.samples or grow.temperature."
        )
    make_folder(stage)
    model = await trainer.train(rows, base, stage, seed)
    write_json(stage / MODEL, model)
    told = {
        "examples": len(rows),
        "learns_from": "preferences" if isinstance(rows[0], Preference) else "examples",
        "base": base.name,
        "model": model.name,
        "seconds": round(time.monotonic() - started, 1),
    }
    write_summary(stage, told)
    return model


def read_model(stage: Path) -> ModelRef:
    """The model a complete stage left."""
    path = stage / MODEL
    try:
        return msgspec.json.decode(path.read_bytes(), type=ModelRef)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RunFolderError(
            f"{path} cannot be read ({error}). Delete it and {stage / 'summary.json'}, then run the same command: "
            "the file is made again from the weights, or from the hosted job, that the stage left."
        ) from error
