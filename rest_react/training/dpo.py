"""Direct preference optimisation (DPO) on this machine, in a process of its own.

    trainer = DpoTrainer(DpoTraining(local=training, beta=0.1), run_folder)
    model = await trainer.train(preferences, policy, run_folder / "iter_2" / "finetune", seed=7)

The policy learns to prefer each row's completion to the rejected one, and is held near the reference model, the weights
that it starts from (arXiv 2305.18290, equation 7). Calling `train` again resumes from the last checkpoint.
Not here: which candidates make a row (selection.preferences), and the training itself (worker.dpo), which is launched
and never imported.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rest_react.errors import UsageError
from rest_react.records import Example, ModelRef, Preference
from rest_react.training.job import LocalTraining
from rest_react.training.launch import OnStep, train_in_process

PREFERENCES = "preferences.jsonl"
_PROCESS = "rest_react.training.worker.dpo"


@dataclass(frozen=True, slots=True)
class DpoTraining:
    """How to train: as `local` says, its sizes counted in rows, each a pair of completions. The larger `beta`, the
    nearer to the reference model."""

    local: LocalTraining
    beta: float


class DpoTrainer:
    """`protocols.Trainer` on this machine. `on_step(step, total_steps, loss)` is called as training goes on."""

    def __init__(
        self, training: DpoTraining, run_folder: Path, on_step: OnStep = lambda step, total, loss: None
    ) -> None:
        self.training = training
        self._run_folder = run_folder
        self._on_step = on_step

    async def train(self, examples: Sequence[Example], base: ModelRef, folder: Path, seed: int) -> ModelRef:
        """Tunes `base`, the reference model, on preferences. Raises UsageError where an example is none."""
        if plain := [example.id for example in examples if not isinstance(example, Preference)]:
            raise UsageError(f"fine-tuning by DPO: {len(plain)} rows ({plain[0]}, ...) have no rejected completion")
        return await train_in_process(
            _PROCESS, {PREFERENCES: examples}, base, folder, seed,
            training=self.training, sizes=self.training.local, run_folder=self._run_folder, on_step=self._on_step,
        )  # fmt: skip
