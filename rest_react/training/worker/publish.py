"""Publishes the model that a training saved as `model/`, which exists only when it is complete.

    publish("HuggingFaceTB/SmolLM2-135M-Instruct", folder / "trained", tokenizer)      # folder/model, folder/adapter

A LoRA is merged into its base and also kept as `adapter/`. The model has the base's data type, and its generation
config lists every token that ends a turn. The saved model is loaded from disk, so this does not depend on the
Trainer's wrappers (data-parallel, LoRA).
Errors: UsageError if a weight is not finite. Not here: checkpoints (callbacks).
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
    """Writes the model in `trained` to `model/` beside it, renaming it last, and removes the checkpoints."""
    from transformers import AutoConfig

    folder, lora = trained.parent, (trained / "adapter_config.json").is_file()
    dtype = AutoConfig.from_pretrained(base).dtype
    draft = folder / "model.tmp"
    remove(draft)
    model = merge_lora(base, trained) if lora else load_model(trained)
    model = model if dtype is None else model.to(dtype)
    refuse_not_finite(model, folder / "loss.jsonl")
    ends = end_tokens(tokenizer, model.generation_config.eos_token_id)
    model.generation_config.eos_token_id = ends  # every server then stops at the token that training used
    model.save_pretrained(draft)
    tokenizer.save_pretrained(draft)
    flush_tree(draft)  # the content must be on disk before the folder gets its final name
    if lora:
        flush_tree(trained)
        remove(folder / "adapter")
        trained.rename(folder / "adapter")
    draft.rename(folder / "model")
    flush(folder)
    remove(trained)
    remove(folder / "checkpoints")
