"""Settings that every training on this machine has: how it trains, and over how many processes and machines.

    class LocalFinetune(LocalSettings): ...             # adds its kind, and which trainer it opens
    list(settings.problems("finetune"))                 # what cannot go together, on any machine
    list(settings.lacks("finetune"))                    # what this machine lacks: CUDA, a package

Not here: the trainers (local, dpo), and the files of accelerate's configuration (accelerate_configuration).
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from annotated_types import Ge

from rest_react.metrics.prices import NO_PRICE, Price
from rest_react.records import ModelRef
from rest_react.setting_types import Count, NotNegative, Positive, Share
from rest_react.training.accelerate_configuration import PACKAGED, accelerate_configuration
from rest_react.training.process.job import LocalTraining
from rest_react.training.process.snapshots import earlier_models
from rest_react.training.trainer_settings import Schedule, TrainerSettings, TrainingContext
from rest_react.weights.number_type import NumberType

How = TypeVar("How", bound=LocalTraining)
# Settings that need a GPU and a package: 4-bit weights, and Liger's kernels. Each with its module and its package.
_ON_GPU = {"load_in_4bit": ("bitsandbytes", "bitsandbytes"), "liger_kernel": ("liger_kernel", "liger-kernel")}


@dataclass(frozen=True, slots=True)
class LocalSettings(TrainerSettings):
    """A training on this machine, in a process of its own."""

    tunes: ClassVar[Literal["here", "provider", "nothing"]] = "here"

    kind: str
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

    @property
    def needs_gpu(self) -> bool:
        """Whether a setting is only for GPUs; otherwise it trains where the policy is."""
        return self.accelerate is not None or any(getattr(self, name) for name in _ON_GPU)

    def training(self, how: type[How], context: TrainingContext, schedule: Schedule) -> How:
        """The training of one iteration, in the policy's mode and template; `schedule` replaces some settings."""
        other: dict[str, Any] = {name: value for name, value in asdict(schedule).items() if value is not None}
        if context.iteration and (steps := self.steps_in(context.iteration)) is not None:
            other |= {"max_steps": steps, "epochs": steps * self.batch_size}  # enough epochs, however few the rows
        if not context.holds_out:
            other |= {"holdout": 0.0, "snapshots": 1}
        asked = {"mode": context.mode, "chat_template_kwargs": context.chat_template_kwargs}
        names = {field.name for field in fields(how)} - asked.keys() - other.keys()
        own: dict[str, Any] = {name: getattr(self, name) for name in names}
        return how(**{**own, "threads": own["threads"] or None, **asked, **other})

    def most_rows_read(self, batch_size: int | None, *, demonstrations: bool) -> float:
        return math.inf if self.max_steps is None else self.max_steps * (batch_size or self.batch_size)

    def steps_in(self, iteration: int) -> int | None:
        """The optimiser steps of an iteration after 0, by `steps`, whose last number counts for all later ones."""
        return None if self.steps is None else self.steps[min(iteration, len(self.steps)) - 1]

    def problems(self, path: str) -> Iterator[str]:
        if self.steps == ():
            yield f"{path}.steps: is empty; give the steps of iteration 1, or set {path}.steps=null"
        yield from _batch_problems(self, path)
        yield from _gpu_problems(self, path)
        yield from _machine_problems(self, path)

    def lacks(self, path: str) -> Iterator[str]:
        yield from _gpu_lacks(self, path)
        yield from _sharding_lacks(self, path)

    def training_price(self) -> Price:
        return NO_PRICE

    def models_kept(self) -> int:
        return self.snapshots

    def earlier_models(self, folder: Path, last: ModelRef) -> dict[int, ModelRef]:
        return earlier_models(folder, last)


def _batch_problems(s: LocalSettings, path: str) -> Iterator[str]:
    """Batch sizes that do not fit together, each with a valid value."""
    share = s.micro_batch_size * s.num_processes
    if s.batch_size % share:
        near = max(share, s.batch_size // share * share)
        yield (
            f"{path}.batch_size: {s.batch_size} is not a multiple of {path}.micro_batch_size × "
            f"{path}.num_processes ({share}); set it to {near}"
        )


def _gpu_problems(s: LocalSettings, path: str) -> Iterator[str]:
    if s.load_in_4bit and s.method != "lora":
        yield f"{path}.load_in_4bit: weights in 4 bits cannot be trained; set {path}.method=lora, or load_in_4bit=false"


def _machine_problems(s: LocalSettings, path: str) -> Iterator[str]:
    if s.accelerate is not None:
        try:
            accelerate_configuration(s.accelerate)
        except ValueError as error:
            packaged = ", ".join(sorted(file.stem for file in PACKAGED.glob("*.yaml")))
            yield f"{path}.accelerate: {error}; give one of {packaged}, or a file that `accelerate config` wrote"
    if s.num_processes % s.num_machines:
        near = s.num_machines * max(1, s.num_processes // s.num_machines)
        yield (
            f"{path}.num_processes: {s.num_processes} processes are not the same number on each of "
            f"{s.num_machines} machines ({path}.num_machines); set it to {near}"
        )
    if s.num_machines > 1 and not s.main_process_ip:
        yield f"{path}.main_process_ip: needed with {path}.num_machines; set it to the address of this machine"


def _gpu_lacks(s: LocalSettings, path: str) -> Iterator[str]:
    """PyTorch is imported only if one of the settings asks for a GPU."""
    for name, (module, package) in _ON_GPU.items():
        if not getattr(s, name):
            continue
        if not _has_cuda():
            yield f"{path}.{name}: needs a CUDA GPU, and PyTorch finds none on this machine; set {path}.{name}=false"
        elif find_spec(module) is None:
            yield f"{path}.{name}: needs the package {package}; pip install {package}, or set {path}.{name}=false"


def _sharding_lacks(s: LocalSettings, path: str) -> Iterator[str]:
    if s.accelerate is None:
        return
    kind = accelerate_configuration(s.accelerate)["distributed_type"]
    if not _has_cuda():
        yield f"{path}.accelerate: sharding needs CUDA GPUs, and PyTorch finds none here; set {path}.accelerate=null"
    if kind == "DEEPSPEED" and find_spec("deepspeed") is None:
        yield f"{path}.accelerate: needs the package deepspeed; pip install deepspeed, or set {path}.accelerate=fsdp2"


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()
