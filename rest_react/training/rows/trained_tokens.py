"""How many tokens a training read, each pass over a row counted again: what providers charge for.

    trained_tokens(Path("outputs/default/iter_0/finetune"))         # 41_920

A hosted job is charged for what its service reports, or for our estimate if it reports nothing; a training on this
machine counts its own tokens in the loss curve.
Not here: the price of a token (`finetune.price`), and what else a stage cost (its summary).
"""

from pathlib import Path

from rest_react.training.hosted.progress import charged_tokens
from rest_react.training.process.loss_curve import loss_lines


def trained_tokens(stage: Path) -> int | None:
    """The tokens of the training in this folder; None if they are unknown."""
    if (charged := charged_tokens(stage)) is not None:
        return charged
    counts = [int(line["tokens"]) for line, _ in loss_lines(stage / "loss.jsonl", 0) if "tokens" in line]
    return max(counts, default=None)
