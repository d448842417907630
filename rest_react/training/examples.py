"""Examples in, rows of tokens out: what is trained on, which of it counts, and in which order. Pure.

    Example(prompt="... # step: decision\n", completion="ACTION_SELECTED = ...")
    input_ids   prompt tokens ... | completion tokens ... <eos>
    labels      -100 -100 ...     | completion tokens ... <eos>      the loss is on the target alone

A row that is too long is an error, never cut: the end that a cut removes is the target. Not here: the model, the loss.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Literal

from rest_react.errors import UsageError
from rest_react.records import Example, Prompt, derive_seed
from rest_react.weights import encode_completion, encode_prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Row:
    """One example as tokens; a label of -100 does not count."""

    id: str
    input_ids: tuple[int, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LengthStats:
    """How much there is to train on."""

    rows: int
    tokens: int
    target_tokens: int
    longest: int


def make_rows(
    examples: Sequence[Example],
    tokenizer: "PreTrainedTokenizerBase",
    mode: Literal["chat", "completion"],
    max_length: int,
) -> list[Row]:
    """One row per example, in order. Raises UsageError if there are none, or if one is longer than `max_length`."""
    if not examples:
        raise UsageError("fine-tuning: there is no example to train on; look into the improve stage's summary")
    rows = []
    for example in examples:
        prompt = encode_prompt(tokenizer, Prompt(prefix="", state=example.prompt), mode)
        target = encode_completion(tokenizer, example.completion)
        rows.append(Row(example.id, (*prompt, *target), (*[IGNORED] * len(prompt), *target)))
    _refuse_long(rows, max_length)
    return rows


def example_length_stats(rows: Sequence[Row]) -> LengthStats:
    """Counts over all rows."""
    lengths = [len(row.input_ids) for row in rows]
    targets = sum(label != IGNORED for row in rows for label in row.labels)
    return LengthStats(len(rows), sum(lengths), targets, max(lengths, default=0))


def count_steps(rows: int, batch_size: int, epochs: float, max_steps: int | None) -> int:
    """Optimiser steps: `epochs` passes over the rows rounded up to full batches, or fewer by `max_steps`."""
    steps = math.ceil(rows * epochs / batch_size)
    return steps if max_steps is None else min(steps, max_steps)


def training_order(rows: Sequence[Row], batch_size: int, steps: int, seed: int) -> list[Row]:
    """The rows in the order they are trained on: one shuffle per epoch after another, cut into `steps` full batches.

    It depends on nothing but its arguments, so a resumed job, or one on more processes, sees the same batches.
    Within a batch rows stand by length: micro-batches are cut from it, and like lengths waste little padding.
    """
    stream: list[Row] = []
    epoch = 0
    while len(stream) < steps * batch_size:
        shuffled = list(rows)
        Random(derive_seed(seed, "epoch", epoch)).shuffle(shuffled)
        stream += shuffled
        epoch += 1
    batches = [stream[start : start + batch_size] for start in range(0, steps * batch_size, batch_size)]
    return [row for batch in batches for row in sorted(batch, key=lambda row: len(row.input_ids))]


def _refuse_long(rows: Sequence[Row], max_length: int) -> None:
    long = [row for row in rows if len(row.input_ids) > max_length]
    if long:
        named = ", ".join(f"{row.id} ({len(row.input_ids)} tokens)" for row in long[:_NAMED])
        more = f" and {len(long) - _NAMED} more" if len(long) > _NAMED else ""
        longest = max(len(row.input_ids) for row in long)
        raise UsageError(
            f"fine-tuning: {len(long)} of {len(rows)} examples are longer than finetune.max_length={max_length}: "
            f"{named}{more}; the cut would remove their targets. Set finetune.max_length={longest} or more"
        )
