"""Supervised fine-tuning on this machine, in its own process, so that all memory is freed when it ends.

    trainer = LocalTrainer(training, run_folder)
    model = await trainer.train(examples, base, run_folder / "iter_1" / "finetune", seed=7)

Calling `train` again resumes from the last checkpoint.
Not here: the settings that DPO has too (local_settings), the process and its files (launch, job), and the training
itself (worker.supervised), which is launched and never imported.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rest_react.records import Example, ModelRef
from rest_react.terminal.progress import steps_progress
from rest_react.training.local_settings import LocalSettings
from rest_react.training.process.job import JOB_EXAMPLES, LocalTraining
from rest_react.training.process.launch import OnStep, train_in_process
from rest_react.training.rows.holdout import HELD_OUT, split_rows
from rest_react.training.trainer_settings import Schedule, TrainingContext

__all__ = ["LocalFinetune", "LocalTrainer", "LocalTraining"]
_PROCESS = "rest_react.training.worker.supervised"


@dataclass(frozen=True, slots=True)
class LocalFinetune(LocalSettings):
    """TRL on this machine, in a process of its own."""

    kind: Literal["local"]

    def open(self, context: TrainingContext, schedule: Schedule) -> "LocalTrainer":
        training = self.training(LocalTraining, context, schedule)
        return LocalTrainer(training, context.run_folder, steps_progress(context.title))

    def passes(self, epochs: float | None, *, demonstrations: bool) -> float:
        return epochs or self.epochs

    def rows_read(self, iteration: int) -> int | None:
        steps = self.steps_in(iteration)
        return None if steps is None else steps * self.batch_size


class LocalTrainer:
    """A `protocols.Trainer` on this machine. `on_step(step, total_steps, loss)` is called after each step."""

    def __init__(
        self, training: LocalTraining, run_folder: Path, on_step: OnStep = lambda step, total, loss: None
    ) -> None:
        self.training = training
        self.run_folder = run_folder
        self.on_step = on_step

    async def train(self, examples: Sequence[Example], base: ModelRef, folder: Path, seed: int) -> ModelRef:
        """Tunes `base`, or resumes an interrupted call; returns at once if the training has finished."""
        how = self.training
        trained, held_out = split_rows(examples, how.holdout)
        rows = {JOB_EXAMPLES: trained, **({HELD_OUT: held_out} if held_out else {})}
        return await train_in_process(
            _PROCESS, rows, base, folder, seed,
            training=how, run_folder=self.run_folder, on_step=self.on_step,
        )  # fmt: skip
