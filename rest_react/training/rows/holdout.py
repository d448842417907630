"""Splits off rows that are never trained on (`finetune.holdout`), whose loss shows overfitting.

    trained, held_out = split_rows(examples, share=0.1)

All rows of a question are on one side, and on the same side in every iteration, because each iteration trains on from
the last one. So the share is met on average only.
Not here: the loss of the held-out rows (worker.held_out_loss).
"""

from collections.abc import Sequence
from typing import TypeVar

from rest_react.errors import UsageError
from rest_react.prompts import EXEMPLAR_ID
from rest_react.records import Example
from rest_react.seeds import derive_seed

HELD_OUT = "held_out.jsonl"
_SEEDS = 2**63  # derive_seed gives whole numbers below it
Row = TypeVar("Row", bound=Example)


def split_rows(rows: Sequence[Row], share: float) -> tuple[list[Row], list[Row]]:
    """The rows to train on, and those of about `share` of the questions. Raises UsageError if none is left to train
    on."""
    trained = [row for row in rows if not _is_held_out(row, share)]
    held_out = [row for row in rows if _is_held_out(row, share)]
    if rows and not trained:
        raise UsageError(f"finetune.holdout: {share:g} leaves none of {len(rows)} rows to train on; lower it")
    return trained, held_out


def _is_held_out(row: Example, share: float) -> bool:
    """Whether the row's question is held out; a trajectory's id ends with its repeat. Exemplars of the prompts are of
    no question, so they always train."""
    if row.id.startswith(EXEMPLAR_ID):
        return False
    return derive_seed("holdout", row.trajectory_id.rpartition(".")[0]) < share * _SEEDS
