"""The trainer that trains nothing: it checks the examples as a real one would and hands the base model back.

Example: `await DryRunTrainer("completion", 2048, run_folder).train(examples, base, folder, seed)` raises on an example
longer than 2048 tokens, else returns `ModelRef(base.name, base.where, tuned=True)`. For tests of the loop, and for
seeing what a fine-tuning stage would be given. Not here: a prediction of time or money.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from rest_react.records import Example, ModelRef
from rest_react.training.examples import make_rows
from rest_react.training.local import base_weights


class DryRunTrainer:
    """`records.Trainer` that copies the base's reference."""

    def __init__(self, mode: Literal["chat", "completion"], max_length: int, run_folder: Path) -> None:
        self._mode = mode
        self._max_length = max_length
        self._run_folder = run_folder

    async def train(self, examples: Sequence[Example], base: ModelRef, folder: Path, seed: int) -> ModelRef:
        """Checks every row; `folder` and `seed` are not used."""
        await asyncio.to_thread(self._check, examples, base)
        return replace(base, tuned=True)

    def _check(self, examples: Sequence[Example], base: ModelRef) -> None:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(base_weights(base, self._run_folder))
        make_rows(examples, tokenizer, self._mode, self._max_length)
