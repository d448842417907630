"""Runs a training job and publishes the model; errors are written to `folder/error.json`.

    sys.exit(main(Path(sys.argv[1]), LocalTraining, supervised_trainer))

Not here: the training methods (supervised, dpo), and the format of the published model (saving.publish).
"""

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from rest_react.errors import RestReactError, UsageError, disk_errors, outside
from rest_react.processes import child_processes
from rest_react.storage.files import remove, write_file
from rest_react.training.process.job import Job, LocalTraining, read_job
from rest_react.training.worker.saving.publish import publish
from rest_react.training.worker.saving.shards import is_sharded, save_whole
from rest_react.training.worker.saving.snapshot_saver import saved_snapshots

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, Trainer

How = TypeVar("How", bound=LocalTraining)
Build: TypeAlias = "Callable[[Job[How]], tuple[Trainer, PreTrainedTokenizerBase]]"


def main(path: Path, how: type[How], build: "Build[How]") -> int:
    """Runs the job with the trainer that `build` makes; an error goes to `error.json`, its traceback to the log."""
    child_processes.when_parent_ends(lambda: os._exit(1))
    # TRL imports wandb where it is installed, for a line of a card that we do not write: a twelfth of the start.
    sys.modules["wandb"] = None  # type: ignore[assignment]
    job = read_job(path, how)
    try:
        with outside("fine-tuning"), disk_errors(job.folder):
            run(job, build)
    except RestReactError as error:
        traceback.print_exception(error)
        fault = "usage" if isinstance(error, UsageError) else "outside"
        folder = Path(job.folder)  # on a full disk, free room for error.json
        for draft in (folder / "model.tmp", folder / "trained", *folder.glob("snapshots/*/model.tmp")):
            remove(draft)
        told = json.dumps({"fault": fault, "message": str(error)})
        write_file(folder / "error.json", told)
        return 1
    return 0


def run(job: Job[How], build: "Build[How]") -> None:
    """Trains, then publishes `model/` (and `adapter/`), after those of the snapshots."""
    trainer, tokenizer = build(job)
    trainer.train(resume_from_checkpoint=job.checkpoint)
    trained = Path(job.folder) / "trained"
    model: Any = trainer.model
    if is_sharded(model):
        save_whole(model, trained)
    else:
        trainer.save_model(str(trained))
    if trainer.is_world_process_zero():
        del trainer, model
        for saved in [*saved_snapshots(Path(job.folder)), trained]:  # the last one completes the training
            publish(job.base, saved, tokenizer, Path(job.folder) / "loss.jsonl")
