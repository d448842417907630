"""Direct preference optimisation (DPO) on this machine, in its own process.

    trainer = DpoTrainer(training, run_folder)          # a DpoTraining
    model = await trainer.train(preferences, policy, run_folder / "iter_2" / "finetune", seed=7)

The policy learns to prefer each row's completion to the rejected one, and stays near the reference model, which is the
model that training starts from (arXiv 2305.18290, equation 7). Calling `train` again resumes from the last checkpoint.
Not here: which candidates make a row (stages.improve.preferences), and the training itself (worker.dpo), which is
launched and never imported.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal

from rest_react.errors import UsageError
from rest_react.records import Example, ModelRef, Preference
from rest_react.setting_types import Count, Positive, Share
from rest_react.terminal.progress import steps_progress
from rest_react.training.local import LocalTrainer
from rest_react.training.local_settings import LocalSettings
from rest_react.training.process.job import LocalTraining
from rest_react.training.process.launch import train_in_process
from rest_react.training.trainer_settings import Schedule, TrainingContext

PREFERENCES = "preferences.jsonl"
_REFERENCE_PASS = 1 / 3  # a pass without gradients takes about a third of one with them
_PROCESS = "rest_react.training.worker.dpo"


@dataclass(frozen=True, slots=True)
class DpoFinetune(LocalSettings):
    """DPO with TRL on this machine, in a process of its own; iteration 0 learns demonstrations by supervised
    fine-tuning."""

    learns_from: ClassVar[Literal["examples", "preferences"]] = "preferences"

    kind: Literal["dpo"]
    start_from: Literal["previous"]  # DPO starts from the tuned policy, its reference model
    mix_demonstrations: Literal[False]  # demonstrations have no rejected completion
    batch_size: Count  # rows of an optimiser step, over all processes, each a pair of completions
    holdout: Share  # the share of the questions whose demonstrations never train in iteration 0
    beta: Positive  # the larger, the nearer to the reference model
    supervised_learning_rate: Positive  # in place of learning_rate, for the demonstrations in iteration 0

    def open(self, context: TrainingContext, schedule: Schedule) -> LocalTrainer:
        progress = steps_progress(context.title)
        if context.iteration == 0:
            rate = schedule.learning_rate or self.supervised_learning_rate
            supervised = self.training(LocalTraining, context, replace(schedule, learning_rate=rate))
            return LocalTrainer(supervised, context.run_folder, progress)
        return DpoTrainer(self.training(DpoTraining, context, schedule), context.run_folder, progress)

    def passes(self, epochs: float | None, *, demonstrations: bool) -> float:
        once = epochs or self.epochs
        return once if demonstrations else 2 * once * (1 + _REFERENCE_PASS)

    def most_rows_read(self, batch_size: int | None, *, demonstrations: bool) -> float:
        rows = LocalSettings.most_rows_read(self, batch_size, demonstrations=demonstrations)
        return rows if demonstrations else 2 * rows * (1 + _REFERENCE_PASS)

    def rows_read(self, iteration: int) -> int | None:
        steps = self.steps_in(iteration)
        return None if steps is None else round(steps * self.batch_size * 2 * (1 + _REFERENCE_PASS))


@dataclass(frozen=True, slots=True)
class DpoTraining(LocalTraining):
    """Settings of DPO. The sizes count rows, each a pair of completions. A larger `beta` keeps the policy nearer to the
    reference model."""

    beta: float = field(kw_only=True)


class DpoTrainer(LocalTrainer):
    """The same with a `DpoTraining`, on preferences."""

    async def train(self, examples: Sequence[Example], base: ModelRef, folder: Path, seed: int) -> ModelRef:
        """Tunes `base`, the reference model, on preferences. Raises UsageError if a row has no rejected completion."""
        if plain := [example.id for example in examples if not isinstance(example, Preference)]:
            raise UsageError(f"fine-tuning by DPO: {len(plain)} rows ({plain[0]}, ...) have no rejected completion")
        rows = {PREFERENCES: examples}
        return await train_in_process(
            _PROCESS, rows, base, folder, seed,
            training=self.training, run_folder=self.run_folder, on_step=self.on_step,
        )  # fmt: skip
