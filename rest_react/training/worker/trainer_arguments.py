"""Sets up TRL's trainers: the model, the LoRA, and the arguments that all training methods share.

    SFTConfig(**trainer_arguments(folder, seed, how, steps), max_length=None)

Not here: arguments of one training method (supervised, dpo).
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rest_react.training.process.checkpoints import KEPT
from rest_react.training.process.job import LocalTraining
from rest_react.training.worker.saving.generation_config import saveable
from rest_react.weights.number_type import compute_type, stored_type

if TYPE_CHECKING:
    from peft import LoraConfig
    from transformers import BitsAndBytesConfig, PreTrainedModel


def load_base(base: str, how: LocalTraining) -> "PreTrainedModel":
    """The model to train, in the data type of the training."""
    import torch
    from transformers import AutoModelForCausalLM

    gpu = torch.cuda.is_available()
    # Two targets may follow one token of a tree; adding up their gradients in any order would differ in the last bit.
    torch.use_deterministic_algorithms(not gpu)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    frozen = how.method == "lora" and gpu and _in_bfloat16(how) and stored_type(base) != "float32"
    print("computes in", "bfloat16" if _in_bfloat16(how) else "float32", flush=True)
    other = {"quantization_config": _four_bits()} if how.load_in_4bit else {}
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        base, dtype=torch.bfloat16 if frozen else torch.float32, **other
    )
    saveable(model)  # a checkpoint of all weights has it too
    return model


def _in_bfloat16(how: LocalTraining) -> bool:
    """Whether autocast multiplies in bfloat16."""
    import torch

    return compute_type(how.dtype, gpu=torch.cuda.is_available()) == "bfloat16"


def _four_bits() -> "BitsAndBytesConfig":
    """The frozen weights as NF4 with quantised scales (QLoRA, Dettmers et al. 2023), computed in bfloat16."""
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def lora_config(how: LocalTraining) -> "LoraConfig | None":
    """The adapter on all linear layers; None where all weights are trained."""
    from peft import LoraConfig

    if how.method == "full":
        return None
    return LoraConfig(
        r=how.lora_r,
        lora_alpha=how.lora_alpha,
        lora_dropout=how.lora_dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def warmup_steps(ratio: float, steps: int) -> int:
    """The steps of the warm-up. The schedule begins at a learning rate of 0, so a warm-up of one step would only take
    the first step away, and a training of one step would change nothing.

    >>> [warmup_steps(0.05, steps) for steps in (1, 39, 40, 220)]
    [0, 0, 2, 11]
    """
    found = math.floor(ratio * steps + 1e-9)
    return found if found > 1 else 0


def trainer_arguments(folder: Path, seed: int, how: LocalTraining, steps: int) -> dict[str, Any]:
    """What every TRL configuration takes. The rows are ready and in order, so the Trainer does not shuffle them."""
    import torch

    gpu = torch.cuda.is_available()
    return {
        "output_dir": str(folder / "checkpoints"),
        "seed": seed % 2**32,
        "train_sampling_strategy": "sequential",
        "num_train_epochs": 1,
        "per_device_train_batch_size": how.micro_batch_size,
        "gradient_accumulation_steps": how.accumulation,
        "learning_rate": how.learning_rate,
        "optim": {"adamw": "adamw_torch_fused", "adafactor": "adafactor"}[how.optimizer],
        "lr_scheduler_type": "linear",
        "warmup_steps": warmup_steps(how.warmup_ratio, steps),
        "weight_decay": how.weight_decay,
        "gradient_checkpointing": gpu,  # saves the memory that a GPU lacks; on a CPU it only costs time
        "bf16": _in_bfloat16(how),
        "use_liger_kernel": how.liger_kernel,
        "use_cpu": not gpu,
        "dataloader_pin_memory": gpu,
        "ddp_find_unused_parameters": False,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # it shows a finite loss where there is none
        "save_strategy": "steps" if how.save_every else "no",
        "save_steps": how.save_every or steps,
        "save_total_limit": KEPT,
        "report_to": "none",
        "disable_tqdm": True,
    }
