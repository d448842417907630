"""One process of a training by the packaged configuration `fsdp2`, on a CPU, and of a second one that resumes from the
first one's checkpoint after two steps:

    python -m tests.training.worker.saving.sharded_job <folder>/job.json <folder of the second>

accelerate shards on GPUs alone and falls back without a word. Here it is told that gloo's processes are such; the rest
is as in a run. A model that is not sharded in spite of that ends the process with an error.
"""

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelerate.state import DistributedType, PartialState
from torch import distributed
from transformers import TrainerCallback

from rest_react.training.process.job import Job, LocalTraining, read_job
from rest_react.training.worker.run_job import run
from rest_react.training.worker.saving.shards import is_sharded
from rest_react.training.worker.supervised import supervised_trainer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, Trainer

CHECKPOINT = "checkpoint-2"


class KeepCheckpoint(TrainerCallback):
    """Copies the checkpoint before publishing removes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_end(self, args: Any, state: Any, control: Any, model: Any = None, **rest: Any) -> None:
        assert is_sharded(model)
        kept = self.folder / CHECKPOINT
        if state.is_world_process_zero and not kept.exists():
            shutil.copytree(Path(args.output_dir) / CHECKPOINT, kept)
        distributed.barrier()


def main(path: Path, second: Path) -> None:
    """Both trainings."""
    made = PartialState.__init__

    def with_gloo_as_gpus(self: PartialState, *arguments: Any, **named: Any) -> None:
        made(self, *arguments, **named)
        if self.distributed_type == DistributedType.MULTI_CPU:
            self.distributed_type = DistributedType.MULTI_GPU

    def build(job: Job[LocalTraining]) -> "tuple[Trainer, PreTrainedTokenizerBase]":
        trainer, tokenizer = supervised_trainer(job)
        trainer.add_callback(KeepCheckpoint(second))
        return trainer, tokenizer

    PartialState.__init__ = with_gloo_as_gpus
    job = read_job(path, LocalTraining)
    run(job, build)
    distributed.barrier()
    run(replace(job, folder=str(second), checkpoint=str(second / CHECKPOINT)), build)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
