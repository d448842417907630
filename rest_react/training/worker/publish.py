"""What a training saved becomes `model/`, which is there only when it is whole.

    publish("HuggingFaceTB/SmolLM2-135M-Instruct", folder / "trained", tokenizer)      # folder/model, folder/adapter

A LoRA is merged into its base and kept beside as `adapter/`. The model has the base's own number type, and names every
token that ends its turn. It is loaded again from disk, so nothing is asked of the Trainer's wrappers (data-parallel, a
LoRA), which all save alike.
Errors: UsageError where a weight is not finite. Not here: checkpoints (callbacks).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from rest_react.storage.files import flush, flush_tree, remove
from rest_react.training.worker.divergence import refuse_not_finite
from rest_react.training.worker.merge_lora import load_model, merge_lora
from rest_react.weights.end_tokens import end_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def publish(base: str, trained: Path, tokenizer: "PreTrainedTokenizerBase") -> None:
    """Puts the model that `trained` holds into `model/` beside it, renamed last, and removes the checkpoints."""
    from transformers import AutoConfig

    folder, lora = trained.parent, (trained / "adapter_config.json").is_file()
    dtype = AutoConfig.from_pretrained(base).dtype
    draft = folder / "model.tmp"
    remove(draft)
    model = merge_lora(base, trained) if lora else load_model(trained)
    model = model if dtype is None else model.to(dtype)
    refuse_not_finite(model, folder / "loss.jsonl")
    ends = end_tokens(tokenizer, model.generation_config.eos_token_id)
    model.generation_config.eos_token_id = ends  # it stops where it was taught to, whoever serves it
    model.save_pretrained(draft)
    tokenizer.save_pretrained(draft)
    flush_tree(draft)  # what the name `model` promises must be on the disk before the name is
    if lora:
        flush_tree(trained)
        remove(folder / "adapter")
        trained.rename(folder / "adapter")
    draft.rename(folder / "model")
    flush(folder)
    remove(trained)
    remove(folder / "checkpoints")
