"""Merges a LoRA adapter into its base model.

    model = merge_lora("HuggingFaceTB/SmolLM2-135M-Instruct", folder / "trained")

Every engine can load the merged model, and it can be tuned again. The sum is computed in float32, since bfloat16 would
lose small changes. Not here: publishing the model (publish).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from rest_react.training.worker.saving.load_model import load_model

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def merge_lora(base: str, adapter: Path) -> "PreTrainedModel":
    """The base model with the adapter in that folder merged into it, in float32."""
    from peft import PeftModel

    merged: PreTrainedModel = PeftModel.from_pretrained(load_model(base), str(adapter)).merge_and_unload()
    return merged
