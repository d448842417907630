"""The loss of supervised fine-tuning: the mean over the targets of a batch, with two savings.

    trainer = completion_trainer()(model=model, data_collator=as_tree if reads_trees(model) else as_padded, ...)

The steps of a trajectory share prefixes, so the rows of a micro-batch become one tree that contains each prefix once
(training.rows.prefix_tree). Models that cannot attend over a tree (recurrent layers, sliding windows) get padded rows.
The output layer runs only at targets: with a vocabulary of 49,152 the logits of the prompts would cost more than the
rest of the forward pass.
Not here: which tokens are targets (weights.loss_mask).
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from rest_react.training.rows.prefix_tree import merge_rows
from rest_react.weights.attention import has_full_attention
from rest_react.weights.loss_mask import IGNORED

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel
    from trl.trainer.sft_trainer import SFTTrainer

Features: TypeAlias = Sequence[Mapping[str, Sequence[int]]]
_ALIKE = 0.02


def completion_trainer() -> "type[SFTTrainer]":
    """The class of the trainer; made here, since importing TRL takes seconds."""
    from trl.trainer.sft_trainer import SFTTrainer

    class CompletionTrainer(SFTTrainer):
        """SFTTrainer whose loss needs logits only where there are targets. TRL's own does that on GPUs alone."""

        def __init__(self, *args: Any, **settings: Any) -> None:
            super().__init__(*args, **settings)
            # The loss is ours, so the count is wanted also where the model's own loss does not take it (Gemma 4).
            self.model_accepts_loss_kwargs = True

        def compute_loss(
            self,
            model: "torch.nn.Module",
            inputs: "dict[str, torch.Tensor]",
            return_outputs: bool = False,
            num_items_in_batch: "torch.Tensor | int | None" = None,
        ) -> Any:
            """Mean over the targets of the whole batch: `num_items_in_batch` counts them over all micro-batches and
            processes, and data-parallel training averages over the processes."""
            total, _, outputs = summed_loss(model, inputs)
            if num_items_in_batch is None:
                raise RuntimeError("the trainer does not count the targets of a batch, so their mean is unknown")
            count = num_items_in_batch
            loss = total * self.accelerator.num_processes / count
            return (loss, outputs) if return_outputs else loss

    return CompletionTrainer


def summed_loss(model: "torch.nn.Module", batch: "dict[str, torch.Tensor]") -> "tuple[torch.Tensor, torch.Tensor, Any]":
    """The sum of the losses at the targets of a batch (as_tree, as_padded), their number, and the model's outputs."""
    from torch.nn.functional import cross_entropy

    targets, columns = _taken_out(batch)
    outputs = model(**batch, logits_to_keep=columns, use_cache=False)
    logits = outputs.logits.flatten(0, 1).float()
    total = cross_entropy(logits, targets, ignore_index=IGNORED, reduction="sum")
    return total, (targets != IGNORED).sum(), outputs


def as_tree(rows: Features) -> "dict[str, torch.Tensor]":
    """Rows as one sequence with an attention mask that gives each token the earlier tokens of its row.

    Shapes: input_ids and position_ids [1, tokens], attention_mask [1, 1, tokens, tokens], columns and labels
    [1, targets]."""
    import torch

    tree = merge_rows([(row["input_ids"], row["labels"]) for row in rows])
    size = len(tree.input_ids)
    sees = torch.zeros(size, size, dtype=torch.bool)
    for start, end, above in tree.spans:
        sees[start:end, above] = True
        sees[start:end, start:end] = torch.ones(end - start, end - start, dtype=torch.bool).tril()
    columns, targets = zip(*tree.targets, strict=True)
    return {
        "input_ids": torch.tensor([tree.input_ids]),
        "position_ids": torch.tensor([tree.positions]),
        "attention_mask": sees[None, None],
        "columns": torch.tensor([columns]),
        "labels": torch.tensor([targets]),
        "shift_labels": torch.tensor([targets]),
    }


def as_padded(rows: Features) -> "dict[str, torch.Tensor]":
    """Rows padded at their ends: input_ids [rows, tokens], columns [1, columns], labels [rows, columns]."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    def padded(name: str, filler: int) -> "torch.Tensor":
        return pad_sequence([torch.tensor(row[name]) for row in rows], batch_first=True, padding_value=filler)

    targets = padded("labels", IGNORED)[:, 1:]
    columns = (targets != IGNORED).any(dim=0).nonzero().flatten()
    return {
        "input_ids": padded("input_ids", 0),
        "attention_mask": pad_sequence([torch.ones(len(row["input_ids"]), dtype=torch.long) for row in rows], True),
        "columns": columns[None],
        "labels": targets[:, columns],
        "shift_labels": targets[:, columns],
    }


def reads_trees(model: "PreTrainedModel") -> bool:
    """Whether the model gives the same logits for a tree as for its rows, tested on two short rows."""
    import torch

    if not has_full_attention(model.config):  # would show on long rows alone
        return False
    start, ends = range(5, 13), (range(20, 23), range(30, 33))
    rows = [{"input_ids": [*start, *end], "labels": [*[IGNORED] * len(start), *end]} for end in ends]
    try:
        with torch.inference_mode():
            one, other = _target_logits(model, as_tree(rows)), _target_logits(model, as_padded(rows))
    except (RuntimeError, ValueError):  # a mask of this shape is refused
        return False
    return bool((one - other).norm() < _ALIKE * other.norm())


def _target_logits(model: "PreTrainedModel", batch: "dict[str, torch.Tensor]") -> "torch.Tensor":
    batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
    targets, columns = _taken_out(batch)
    logits: torch.Tensor = model(**batch, logits_to_keep=columns, use_cache=False).logits
    return logits.flatten(0, 1)[targets != IGNORED].float()


def _taken_out(batch: "dict[str, torch.Tensor]") -> "tuple[torch.Tensor, torch.Tensor]":
    """The targets and the columns that they are for; the rest of a batch is what a model takes."""
    del batch["labels"]  # there for the Trainer, which counts targets over all processes only where it sees labels
    return batch.pop("shift_labels").flatten(), batch.pop("columns").flatten()
