"""Training rows: prompt and completion as tokens, with a loss mask that covers only the completion.

    Example(prompt="... # step: decision\\n", completion="ACTION_SELECTED = ...")
    input_ids   prompt tokens ... | completion tokens ... <eos>
    labels      -100 -100 ...     | completion tokens ... <eos>

A row that is too long raises an error and is never cut, because the cut would remove the target.
Not here: the order of the rows (training.rows.order), and micro-batches (training.rows.prefix_tree).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rest_react.errors import UsageError
from rest_react.records import Example, Prompt
from rest_react.weights.tokens import encode_completion, encode_prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Row:
    """One example as tokens. Tokens with the label -100 are not in the loss."""

    id: str
    trajectory: str
    input_ids: tuple[int, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LengthStats:
    """The size of the training data, in rows and tokens."""

    rows: int
    tokens: int
    target_tokens: int
    longest: int


def make_rows(
    examples: Sequence[Example],
    tokenizer: "PreTrainedTokenizerBase",
    mode: Literal["chat", "completion"],
    max_length: int,
    template_kwargs: Mapping[str, object] | None = None,
) -> list[Row]:
    """One row per example, in order. Raises UsageError if there are none, or if one is longer than `max_length`."""
    if not examples:
        raise UsageError("fine-tuning: there are no examples to train on; see the improve stage's summary")
    rows = []
    for example in examples:
        prompt = encode_prompt(tokenizer, Prompt(prefix="", state=example.prompt), mode, template_kwargs)
        target = encode_completion(tokenizer, example.completion)
        rows.append(Row(example.id, example.trajectory_id, (*prompt, *target), (*[IGNORED] * len(prompt), *target)))
    _refuse_long(rows, max_length)
    return rows


def example_length_stats(rows: Sequence[Row]) -> LengthStats:
    """Counts over all rows."""
    lengths = [len(row.input_ids) for row in rows]
    targets = sum(label != IGNORED for row in rows for label in row.labels)
    return LengthStats(len(rows), sum(lengths), targets, max(lengths, default=0))


def _refuse_long(rows: Sequence[Row], max_length: int) -> None:
    long = [row for row in rows if len(row.input_ids) > max_length]
    if long:
        named = ", ".join(f"{row.id} ({len(row.input_ids)} tokens)" for row in long[:_NAMED])
        more = f" and {len(long) - _NAMED} more" if len(long) > _NAMED else ""
        longest = max(len(row.input_ids) for row in long)
        raise UsageError(
            f"fine-tuning: {len(long)} of {len(rows)} examples are longer than finetune.max_length={max_length}: "
            f"{named}{more}. Cutting them would remove their targets. Set finetune.max_length={longest} or more"
        )
