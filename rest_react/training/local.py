"""Supervised fine-tuning on this machine, in a process of its own, so that its memory comes back when it ends.

    trainer = LocalTrainer(training, run_folder)
    model = await trainer.train(examples, base, run_folder / "iter_1" / "finetune", seed=7)

Calling `train` again resumes from the last checkpoint.
Not here: the process and its files (launch, job), and the training itself (worker.supervised), which is launched and
never imported.
"""

from collections.abc import Sequence
from pathlib import Path

from rest_react.records import Example, ModelRef
from rest_react.training.job import EXAMPLES, LocalTraining
from rest_react.training.launch import OnStep, train_in_process

__all__ = ["LocalTrainer", "LocalTraining"]
_PROCESS = "rest_react.training.worker.supervised"


class LocalTrainer:
    """`protocols.Trainer` on this machine. `on_step(step, total_steps, loss)` is called as training goes on."""

    def __init__(
        self, training: LocalTraining, run_folder: Path, on_step: OnStep = lambda step, total, loss: None
    ) -> None:
        self.training = training
        self._run_folder = run_folder
        self._on_step = on_step

    async def train(self, examples: Sequence[Example], base: ModelRef, folder: Path, seed: int) -> ModelRef:
        """Tunes `base`, or resumes an earlier call that was interrupted; returns at once if it had finished."""
        how = self.training
        return await train_in_process(
            _PROCESS, {EXAMPLES: examples}, base, folder, seed,
            training=how, sizes=how, run_folder=self._run_folder, on_step=self._on_step,
        )  # fmt: skip
