"""A LoRA's weights are merged into those of its base.

    model = merge_lora("HuggingFaceTB/SmolLM2-135M-Instruct", folder / "trained")

Every engine can then load the model, and it can be tuned again like any other. The sum is taken in float32, since
bfloat16 would lose small changes. Not here: what is published (publish).
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def merge_lora(base: str, adapter: Path) -> "PreTrainedModel":
    """The base with the adapter in that folder merged in."""
    from peft import PeftModel

    merged: PreTrainedModel = PeftModel.from_pretrained(load_model(base), str(adapter)).merge_and_unload()
    return merged


def load_model(name: str | Path) -> "PreTrainedModel":
    """A model in float32."""
    import torch
    from transformers import AutoModelForCausalLM

    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32)
    return model
