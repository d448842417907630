"""Renders the upload of a hosted training: one chat of two messages for each example, checked before it is sent.

    {"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "ACTION_SELECTED = ..."}]}

Errors: UsageError that names up to ten examples which the API would refuse. Tokens are estimates; the provider's own
tokenizer may count others.
Not here: uploading (trainer).
"""

import json
from collections.abc import Sequence

from rest_react.errors import UsageError
from rest_react.records import Example
from rest_react.remote.budget import estimate

_MOST_BYTES = 512 * 1024 * 1024


def tokens_of(example: Example) -> int:
    """The estimated number of tokens of an example."""
    return estimate(example.prompt) + estimate(example.completion)


def render_rows(examples: Sequence[Example], fewest: int = 1, max_length: int | None = None) -> bytes:
    """The upload, one chat per line. Raises UsageError that names the rows which the API would refuse."""
    problems = [
        f"{example.id}: its {field} is empty"
        for example in examples
        for field, text in (("prompt", example.prompt), ("completion", example.completion))
        if not text.strip()
    ]
    problems += [
        f"{example.id}: about {tokens_of(example)} tokens, more than finetune.max_length={max_length}"
        for example in examples
        if max_length is not None and tokens_of(example) > max_length
    ]
    if len(examples) < fewest:
        problems.append(f"{len(examples)} examples, but the API requires at least {fewest}")
    if problems:
        more = f" (and {len(problems) - 10} more)" if len(problems) > 10 else ""
        raise UsageError("hosted fine-tuning, examples: " + "; ".join(problems[:10]) + more)
    rows = b"".join(_row(example) for example in examples)
    if len(rows) > _MOST_BYTES:
        raise UsageError(
            f"hosted fine-tuning: the examples have {len(rows)} bytes, more than the API's limit of {_MOST_BYTES}; use "
            "fewer examples"
        )
    return rows


def _row(example: Example) -> bytes:
    messages = [{"role": "user", "content": example.prompt}, {"role": "assistant", "content": example.completion}]
    return json.dumps({"messages": messages}, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
