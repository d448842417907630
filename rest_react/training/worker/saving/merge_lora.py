"""Merges a LoRA adapter into its base model.

    model = merge_lora("HuggingFaceTB/SmolLM2-135M-Instruct", folder / "trained")

Every engine can load the merged model, and it can be tuned again. The sum is computed in float32, since bfloat16 would
lose small changes. Not here: publishing the model (publish).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def merge_lora(base: str, adapter: Path) -> "PreTrainedModel":
    """The base model with the adapter in that folder merged into it, in float32."""
    from peft import PeftModel

    merged: PreTrainedModel = PeftModel.from_pretrained(load_model(base), str(adapter)).merge_and_unload()
    return merged


def load_model(name: str | Path, dtype: Literal["float32", "auto"] = "float32") -> "PreTrainedModel":
    """A model in float32, or in its own data type."""
    from transformers import AutoModelForCausalLM

    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(name, dtype=dtype)
    return model
