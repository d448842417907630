"""Splits off rows that are never trained on (`finetune.holdout`), whose loss shows overfitting.

    trained, held_out = split_rows(examples, share=0.1)

All rows of a question are on one side, and on the same side in every iteration, because each iteration trains on from
the last one. So the share is met on average only.
Not here: the loss of the held-out rows (worker.held_out_loss).
"""

from collections.abc import Sequence
from typing import TypeVar

from rest_react.errors import UsageError
from rest_react.records import Example
from rest_react.seeds import derive_seed

HELD_OUT = "held_out.jsonl"
_SEEDS = 2**63  # derive_seed gives whole numbers below it
Row = TypeVar("Row", bound=Example)


def split_rows(rows: Sequence[Row], share: float) -> tuple[list[Row], list[Row]]:
    """The rows to train on, and those of about `share` of the questions. Raises UsageError if none is left to train
    on."""
    trained = [row for row in rows if derive_seed("holdout", _question(row)) >= share * _SEEDS]
    held_out = [row for row in rows if derive_seed("holdout", _question(row)) < share * _SEEDS]
    if rows and not trained:
        raise UsageError(f"finetune.holdout: {share:g} leaves none of {len(rows)} rows to train on; lower it")
    return trained, held_out


def _question(row: Example) -> str:
    """The id of the question; a trajectory's id ends with its repeat."""
    return row.trajectory_id.rpartition(".")[0]
