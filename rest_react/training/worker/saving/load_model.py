"""Loads a whole model from disk, to be merged, compared and published.

    model = load_model(folder / "trained")                          # in float32

Not here: the model that is trained (worker.trainer_arguments).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def load_model(name: str | Path, dtype: Literal["float32", "auto"] = "float32") -> "PreTrainedModel":
    """A model in float32, or in its own data type."""
    from transformers import AutoModelForCausalLM

    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(name, dtype=dtype)
    return model
