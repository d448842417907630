"""Publishes the model that a training saved as `model/`, which exists only when it is complete.

    publish("HuggingFaceTB/SmolLM2-135M-Instruct", folder / "trained", tokenizer, folder / "loss.jsonl")
    # folder/model, folder/adapter

A LoRA is merged into its base and also kept as `adapter/`. The model has the base's data type, unless rounding to it
would undo part of the training: below half a unit of the last place a weight would be the old one again, so small
updates of bfloat16 weights vanish. Then it is published in float32. `published.json` says which, and what share of the
update rounding keeps. The model's generation config lists every token that ends a turn. The saved model is loaded from
disk, so this does not depend on the Trainer's wrappers (data-parallel, LoRA).
Errors: UsageError if a weight is not finite. Not here: checkpoints (callbacks).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from rest_react.storage.files import flush, flush_tree, remove, write_json
from rest_react.training.process.job import ENOUGH_KEPT, PUBLISHED
from rest_react.training.worker.divergence import refuse_not_finite
from rest_react.training.worker.saving.generation_config import saveable
from rest_react.training.worker.saving.load_model import load_model
from rest_react.training.worker.saving.merge_lora import merge_lora
from rest_react.weights.end_tokens import end_tokens

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def publish(base: str, trained: Path, tokenizer: "PreTrainedTokenizerBase", losses: Path) -> None:
    """Writes the model in `trained` to `model/` beside it, renaming it last, and removes the checkpoints. `losses` is
    the training's loss curve."""
    from transformers import AutoConfig

    folder, lora = trained.parent, (trained / "adapter_config.json").is_file()
    dtype = AutoConfig.from_pretrained(base).dtype
    draft = folder / "model.tmp"
    remove(draft)
    model = merge_lora(base, trained) if lora else load_model(trained)
    refuse_not_finite(model, losses)
    kept = 1.0 if dtype in (None, model.dtype) else update_kept(model, base, dtype)
    if dtype is not None and kept >= ENOUGH_KEPT:
        model = model.to(dtype)
    write_json(folder / PUBLISHED, {"dtype": str(model.dtype).removeprefix("torch."), "update_kept": round(kept, 4)})
    ends = end_tokens(tokenizer, model.generation_config.eos_token_id)
    saveable(model)
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


def update_kept(model: "PreTrainedModel", base: str, dtype: "torch.dtype") -> float:
    """The share of the update, along itself, that is left when the trained weights are rounded to `dtype`: 1 if all of
    it is, 0 if the rounded weights are those of the base."""
    import torch

    before = load_model(base, dtype="auto").state_dict()
    left = whole = 0.0
    with torch.no_grad():
        for name, after in model.state_dict().items():
            if name in before and before[name].shape == after.shape:
                start = before[name].to(after.dtype)
                change = after - start
                left += float(((after.to(dtype).to(after.dtype) - start) * change).sum(dtype=torch.float64))
                whole += float((change * change).sum(dtype=torch.float64))
    return left / whole if whole else 1.0
