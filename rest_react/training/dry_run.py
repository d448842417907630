"""A trainer that trains nothing (`finetune=dry_run`): it only checks the examples.

    model = await DryRunTrainer("chat", 1024, run_folder).train(examples, base, folder, seed=7)      # the base

For tests of the loop, and to check the input of a fine-tuning stage.
Not here: `dry_run=true`, which forecasts a run (forecast.estimate).
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from rest_react.errors import outside
from rest_react.metrics.prices import NO_PRICE, Price
from rest_react.records import Example, ModelRef
from rest_react.setting_types import Count
from rest_react.training.process.job import base_weights
from rest_react.training.trainer_settings import Schedule, TrainerSettings, TrainingContext
from rest_react.weights import make_rows


@dataclass(frozen=True, slots=True)
class DryFinetune(TrainerSettings):
    """Checks the rows and tunes nothing."""

    tunes: ClassVar[Literal["here", "provider", "nothing"]] = "nothing"

    kind: Literal["dry_run"]
    # base: each iteration starts over (the paper); previous: continues from the last one
    start_from: Literal["base", "previous"]
    mix_demonstrations: bool  # the demonstrations, if any, stay in the training data
    max_length: Count  # tokens of a row; a longer row is an error, never cut

    def open(self, context: TrainingContext, schedule: Schedule) -> "DryRunTrainer":
        return DryRunTrainer(context.mode, self.max_length, context.run_folder, context.chat_template_kwargs)

    def passes(self, epochs: float | None, *, demonstrations: bool) -> float:
        return 0.0

    def training_price(self) -> Price:
        return NO_PRICE


class DryRunTrainer:
    """Checks the examples and returns `base` marked as tuned."""

    def __init__(
        self,
        mode: Literal["chat", "completion"],
        max_length: int,
        run_folder: Path,
        chat_template_kwargs: Mapping[str, object] | None = None,
    ) -> None:
        self._mode = mode
        self._template_kwargs = chat_template_kwargs
        self._max_length = max_length
        self._run_folder = run_folder

    async def train(self, examples: Sequence[Example], base: ModelRef, folder: Path, seed: int) -> ModelRef:
        """Checks every row; `folder` and `seed` are not used."""
        await asyncio.to_thread(self._check, examples, base)
        return replace(base, tuned=True)

    def _check(self, examples: Sequence[Example], base: ModelRef) -> None:
        from transformers import AutoTokenizer

        weights = base_weights(base, self._run_folder)
        with outside(f"loading the tokenizer of {base.name}"):
            tokenizer = AutoTokenizer.from_pretrained(weights)
        make_rows(examples, tokenizer, self._mode, self._max_length, self._template_kwargs)
