"""Direct preference optimisation (DPO) on this machine, in its own process.

    trainer = DpoTrainer(DpoTraining(local=training, beta=0.1), run_folder)
    model = await trainer.train(preferences, policy, run_folder / "iter_2" / "finetune", seed=7)

The policy learns to prefer each row's completion to the rejected one, and stays near the reference model, which is the
model that training starts from (arXiv 2305.18290, equation 7). Calling `train` again resumes from the last checkpoint.
Not here: which candidates make a row (stages.improve.preferences), and the training itself (worker.dpo), which is
launched and never imported.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge

from rest_react.errors import UsageError
from rest_react.metrics.prices import NO_PRICE, Price
from rest_react.records import Example, ModelRef, Preference
from rest_react.setting_types import Count, NotNegative, Positive, Share
from rest_react.terminal.progress import steps_progress
from rest_react.training.gpu_settings import gpu_lacks, gpu_problems
from rest_react.training.local import LocalTrainer, batch_problems, local_training, steps_in
from rest_react.training.machines import machine_lacks, machine_problems
from rest_react.training.process.job import LocalTraining
from rest_react.training.process.launch import OnStep, train_in_process
from rest_react.training.process.snapshots import earlier_models
from rest_react.training.trainer_settings import Schedule, TrainerSettings, TrainingContext
from rest_react.weights.number_type import NumberType

PREFERENCES = "preferences.jsonl"
_REFERENCE_PASS = 1 / 3  # a pass without gradients takes about a third of one with them
_PROCESS = "rest_react.training.worker.dpo"


@dataclass(frozen=True, slots=True)
class DpoFinetune(TrainerSettings):
    """DPO with TRL on this machine, in a process of its own; iteration 0 learns demonstrations by supervised
    fine-tuning."""

    tunes: ClassVar[Literal["here", "provider", "nothing"]] = "here"
    learns_from: ClassVar[Literal["examples", "preferences"]] = "preferences"

    kind: Literal["dpo"]
    start_from: Literal["previous"]  # DPO starts from the tuned policy, its reference model
    mix_demonstrations: Literal[False]  # demonstrations have no rejected completion
    method: Literal["full", "lora"]  # full: all weights; lora: low-rank adapters, merged afterwards
    beta: Positive  # the larger, the nearer to the reference model
    epochs: Positive  # passes over the rows
    max_steps: Count | None  # at most so many optimiser steps; null: as many as the epochs take
    # optimiser steps of iterations 1, 2, ..., in place of epochs and max_steps, for a control; the last counts for all
    # later ones
    steps: tuple[Count, ...] | None
    batch_size: Count  # rows of an optimiser step, over all processes, each a pair of completions
    micro_batch_size: Count  # rows of a forward pass
    holdout: Share  # the share of the questions whose demonstrations never train in iteration 0
    learning_rate: Positive  # at its highest
    supervised_learning_rate: Positive  # the same for the demonstrations in iteration 0
    warmup_ratio: Share  # the share of the steps in which the learning rate rises
    weight_decay: Annotated[float, Ge(0)]  # of the optimiser
    max_length: Count  # tokens of a row; a longer row is an error, never cut
    save_every: Count  # steps between checkpoints
    snapshots: Count  # models that are kept, after equal parts of the steps; evaluate.choose_by chooses among them
    lora_r: Count  # rank of the adapters
    lora_alpha: Count  # scale of the adapters
    lora_dropout: Share  # of the adapters
    optimizer: Literal["adamw", "adafactor"]  # adafactor takes half the memory
    dtype: NumberType  # of the products; weights and optimiser are float32. auto: bfloat16 where that is faster
    load_in_4bit: bool  # the frozen weights in 4 bits (QLoRA): method=lora on a CUDA GPU, with bitsandbytes
    liger_kernel: bool  # Liger's fused kernels: a CUDA GPU, with liger-kernel
    num_processes: Count  # data-parallel processes, over all machines; each has the whole model unless it is sharded
    # fsdp2, zero3 or a file of `accelerate config`: how the model is sharded over GPUs; null: not at all
    accelerate: str | None
    num_machines: Count  # this one, and others on which join.sh of the training's folder is started
    main_process_ip: str | None  # the address of this machine for the others; null: there are none
    main_process_port: Count  # the port for the others
    threads: NotNegative  # of each process; 0: all cores shared among them

    def open(self, context: TrainingContext, schedule: Schedule) -> "LocalTrainer | DpoTrainer":
        progress = steps_progress(context.title)
        if context.iteration == 0:
            rate = schedule.learning_rate or self.supervised_learning_rate
            supervised = local_training(self, context, replace(schedule, learning_rate=rate))
            return LocalTrainer(supervised, context.run_folder, progress)
        training = DpoTraining(local_training(self, context, schedule), self.beta)
        return DpoTrainer(training, context.run_folder, progress)

    def problems(self, path: str) -> Iterator[str]:
        yield from batch_problems(self, path)
        yield from gpu_problems(self, path)
        yield from machine_problems(self, path)

    def lacks(self, path: str) -> Iterator[str]:
        yield from gpu_lacks(self, path)
        yield from machine_lacks(self, path)

    def passes(self, epochs: float | None, *, demonstrations: bool) -> float:
        once = epochs or self.epochs
        return once if demonstrations else 2 * once * (1 + _REFERENCE_PASS)

    def rows_read(self, iteration: int) -> int | None:
        if self.steps is None:
            return None
        return round(steps_in(self.steps, iteration) * self.batch_size * 2 * (1 + _REFERENCE_PASS))

    def training_price(self) -> Price:
        return NO_PRICE

    def models_kept(self) -> int:
        return self.snapshots

    def earlier_models(self, folder: Path, last: ModelRef) -> dict[int, ModelRef]:
        return earlier_models(folder, last)


@dataclass(frozen=True, slots=True)
class DpoTraining:
    """Settings of DPO. The sizes in `local` count rows, each a pair of completions. A larger `beta` keeps the policy
    nearer to the reference model."""

    local: LocalTraining
    beta: float


class DpoTrainer:
    """A `protocols.Trainer` on this machine. `on_step(step, total_steps, loss)` is called after each step."""

    def __init__(
        self, training: DpoTraining, run_folder: Path, on_step: OnStep = lambda step, total, loss: None
    ) -> None:
        self.training = training
        self._run_folder = run_folder
        self._on_step = on_step

    async def train(self, examples: Sequence[Example], base: ModelRef, folder: Path, seed: int) -> ModelRef:
        """Tunes `base`, the reference model, on preferences. Raises UsageError if a row has no rejected completion."""
        if plain := [example.id for example in examples if not isinstance(example, Preference)]:
            raise UsageError(f"fine-tuning by DPO: {len(plain)} rows ({plain[0]}, ...) have no rejected completion")
        return await train_in_process(
            _PROCESS, {PREFERENCES: examples}, base, folder, seed,
            training=self.training, sizes=self.training.local, run_folder=self._run_folder, on_step=self._on_step,
        )  # fmt: skip
