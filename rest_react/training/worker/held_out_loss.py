"""Measures the loss on rows that are not trained on, about ten times in a training.

    callback = HeldOutLoss(rows, as_tree, steps=250, batch=2).callback()

Not here: which rows those are (training.rows.holdout), and writing the loss (callbacks.loss_log).
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rest_react.training.worker.completion_loss import Features, summed_loss
from rest_react.weights.loss_mask import Row

if TYPE_CHECKING:
    import torch
    from transformers import TrainerCallback


class HeldOutLoss:
    """The mean loss over the targets of `rows`, by step: after every tenth of `steps` and after the last one. `batch`
    rows are read at a time."""

    def __init__(
        self, rows: Sequence[Row], collate: "Callable[[Features], dict[str, torch.Tensor]]", steps: int, batch: int
    ) -> None:
        self.by_step: dict[int, float] = {}
        self._features = [{"input_ids": row.input_ids, "labels": row.labels} for row in rows]
        self._collate, self._steps, self._batch = collate, steps, batch
        self._every = max(1, steps // 10)

    def callback(self) -> "TrainerCallback":
        """The callback of the Trainer that measures it."""
        from transformers import TrainerCallback

        measure = self._measure

        class Measure(TrainerCallback):
            """Runs before the step's line is logged."""

            def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **rest: Any) -> None:
                measure(state.global_step, model)

        return Measure()

    def _measure(self, step: int, model: "torch.nn.Module") -> None:
        import torch

        if step % self._every and step != self._steps:
            return
        device = next(model.parameters()).device
        total, targets = 0.0, 0
        model.eval()
        with torch.no_grad():
            for start in range(0, len(self._features), self._batch):
                batch = self._collate(self._features[start : start + self._batch])
                loss, count, _ = summed_loss(model, {name: tensor.to(device) for name, tensor in batch.items()})
                total, targets = total + float(loss), targets + int(count)
        model.train()
        self.by_step[step] = total / targets
