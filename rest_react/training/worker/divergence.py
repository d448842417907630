"""Stops a training that diverges, so that its model is not published.

A loss, a gradient norm or a weight that is NaN or infinite raises an error with the step and the learning rate.
Not here: a finite loss that rises; the loss curve in report.html shows it.
"""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from rest_react.errors import UsageError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def refuse_diverged_step(step: int, loss: float, gradient_norm: float, learning_rate: float) -> None:
    """Raises UsageError where the loss of a step, or its gradient, is not finite."""
    for name, value in (("loss", loss), ("gradient's norm", gradient_norm)):
        if not math.isfinite(value):
            raise UsageError(_diverged(f"the {name} is {value}", step, learning_rate))


def refuse_not_finite(model: "PreTrainedModel", losses: Path) -> None:
    """Raises UsageError where a weight is NaN or infinite, in the number type that is published."""
    weights = dict(model.named_parameters())
    broken = [name for name, weight in weights.items() if not bool(weight.isfinite().all())]
    if broken:
        last = json.loads(losses.read_text(encoding="utf-8").splitlines()[-1])
        what = f"{len(broken)} of {len(weights)} weight tensors ({broken[0]}, ...) hold NaN or infinity"
        raise UsageError(_diverged(what, last["step"], last["learning_rate"]))


def _diverged(what: str, step: int, learning_rate: float) -> str:
    return (
        f"fine-tuning: {what} at step {step}, learning rate {learning_rate:g}: the training diverged, and no model was "
        "saved. Start a new run (run=<name>) with a lower finetune.learning_rate or a higher finetune.warmup_ratio"
    )
