"""Saves whole weights of a model of which each process holds a shard (FSDP2).

    if is_sharded(model): save_whole(model, folder / "trained")        # in every process; process 0 writes

transformers' Trainer gathers them only if accelerate is configured with FULL_STATE_DICT, and writes nothing otherwise.
Not here: sharding and checkpoints (accelerate, training.accelerate_configuration), publishing what was saved (publish).
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def is_sharded(model: "PreTrainedModel") -> bool:
    """Whether this process holds a part of each weight."""
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return False
    from torch.distributed.tensor import DTensor

    return any(isinstance(weight, DTensor) for weight in model.parameters())


def save_whole(model: "PreTrainedModel", folder: Path) -> None:
    """Gathers the weights in the main memory of process 0, which writes them. A LoRA is written as its adapter."""
    from torch import distributed
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    weights = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    if distributed.get_rank() == 0:
        model.save_pretrained(folder, state_dict=weights)
