"""Supervised fine-tuning on this machine, in its own process, so that all memory is freed when it ends.

    trainer = LocalTrainer(training, run_folder)
    model = await trainer.train(examples, base, run_folder / "iter_1" / "finetune", seed=7)

Calling `train` again resumes from the last checkpoint.
Not here: the process and its files (launch, job), and the training itself (worker.supervised), which is launched and
never imported.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Protocol

from annotated_types import Ge

from rest_react.metrics.prices import NO_PRICE, Price
from rest_react.records import Example, ModelRef
from rest_react.setting_types import Count, NotNegative, Positive, Share
from rest_react.terminal.progress import steps_progress
from rest_react.training.gpu_settings import gpu_lacks, gpu_problems
from rest_react.training.machines import machine_lacks, machine_problems
from rest_react.training.process.job import JOB_EXAMPLES, LocalTraining
from rest_react.training.process.launch import OnStep, train_in_process
from rest_react.training.process.snapshots import earlier_models
from rest_react.training.rows.holdout import HELD_OUT, split_rows
from rest_react.training.trainer_settings import Schedule, TrainerSettings, TrainingContext
from rest_react.weights.number_type import NumberType

__all__ = ["LocalTrainer", "LocalTraining"]
_PROCESS = "rest_react.training.worker.supervised"


class _Local(Protocol):
    @property
    def steps(self) -> Sequence[int] | None: ...
    @property
    def batch_size(self) -> int: ...


class _Batches(Protocol):
    @property
    def batch_size(self) -> int: ...
    @property
    def micro_batch_size(self) -> int: ...
    @property
    def num_processes(self) -> int: ...


@dataclass(frozen=True, slots=True)
class LocalFinetune(TrainerSettings):
    """TRL on this machine, in a process of its own."""

    tunes: ClassVar[Literal["here", "provider", "nothing"]] = "here"

    kind: Literal["local"]
    # base: each iteration starts over (the paper); previous: continues from the last one
    start_from: Literal["base", "previous"]
    mix_demonstrations: bool  # the demonstrations, if any, stay in the training data
    method: Literal["full", "lora"]  # full: all weights; lora: low-rank adapters, merged afterwards
    epochs: Positive  # passes over the rows
    max_steps: Count | None  # at most so many optimiser steps; null: as many as the epochs take
    # optimiser steps of iterations 1, 2, ..., in place of epochs and max_steps, for a control; the last counts for all
    # later ones
    steps: tuple[Count, ...] | None
    batch_size: Count  # rows of an optimiser step, over all processes
    micro_batch_size: Count  # rows of a forward pass
    holdout: Share  # the share of the questions whose rows never train; their loss is in loss.jsonl, about ten times
    learning_rate: Positive  # at its highest
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

    def open(self, context: TrainingContext, schedule: Schedule) -> "LocalTrainer":
        training = local_training(self, context, schedule)
        return LocalTrainer(training, run_folder=context.run_folder, on_step=steps_progress(context.title))

    def problems(self, path: str) -> Iterator[str]:
        yield from batch_problems(self, path)
        yield from gpu_problems(self, path)
        yield from machine_problems(self, path)

    def lacks(self, path: str) -> Iterator[str]:
        yield from gpu_lacks(self, path)
        yield from machine_lacks(self, path)

    def passes(self, epochs: float | None, *, demonstrations: bool) -> float:
        return epochs or self.epochs

    def rows_read(self, iteration: int) -> int | None:
        return None if self.steps is None else steps_in(self.steps, iteration) * self.batch_size

    def training_price(self) -> Price:
        return NO_PRICE

    def models_kept(self) -> int:
        return self.snapshots

    def earlier_models(self, folder: Path, last: ModelRef) -> dict[int, ModelRef]:
        return earlier_models(folder, last)


def steps_in(steps: Sequence[int], iteration: int) -> int:
    """The number of an iteration after 0 in the setting `steps`, whose last number counts for all later ones."""
    return steps[min(iteration, len(steps)) - 1]


def local_training(settings: "_Local", context: TrainingContext, schedule: Schedule) -> LocalTraining:
    """The training settings from `settings`, some of them replaced by `schedule`, in the policy's mode and template."""
    other: dict[str, Any] = {name: value for name, value in asdict(schedule).items() if value is not None}
    if context.iteration and settings.steps is not None:
        steps = steps_in(settings.steps, context.iteration)
        other |= {"max_steps": steps, "epochs": steps * settings.batch_size}  # enough epochs, however few the rows
    if not context.holds_out:
        other |= {"holdout": 0.0, "snapshots": 1}
    asked = {"mode": context.mode, "chat_template_kwargs": context.chat_template_kwargs}
    names = {field.name for field in fields(LocalTraining)} - asked.keys() - other.keys()
    own: dict[str, Any] = {name: getattr(settings, name) for name in names}
    return LocalTraining(**{**own, "threads": own["threads"] or None, **asked, **other})


def batch_problems(settings: "_Batches", path: str) -> Iterator[str]:
    """Batch sizes that do not fit together, each with a valid value."""
    share = settings.micro_batch_size * settings.num_processes
    if settings.batch_size % share:
        near = max(share, settings.batch_size // share * share)
        yield (
            f"{path}.batch_size: {settings.batch_size} is not a multiple of {path}.micro_batch_size × "
            f"{path}.num_processes ({share}); set it to {near}"
        )


class LocalTrainer:
    """A `protocols.Trainer` on this machine. `on_step(step, total_steps, loss)` is called after each step."""

    def __init__(
        self, training: LocalTraining, run_folder: Path, on_step: OnStep = lambda step, total, loss: None
    ) -> None:
        self.training = training
        self._run_folder = run_folder
        self._on_step = on_step

    async def train(self, examples: Sequence[Example], base: ModelRef, folder: Path, seed: int) -> ModelRef:
        """Tunes `base`, or resumes an interrupted call; returns at once if the training has finished."""
        how = self.training
        trained, held_out = split_rows(examples, how.holdout)
        rows = {JOB_EXAMPLES: trained, **({HELD_OUT: held_out} if held_out else {})}
        return await train_in_process(
            _PROCESS, rows, base, folder, seed,
            training=how, sizes=how, run_folder=self._run_folder, on_step=self._on_step,
        )  # fmt: skip
