"""The trainer that trains nothing."""

import asyncio
from pathlib import Path

import pytest

from rest_react.errors import OutsideFault, UsageError
from rest_react.records import ModelRef
from rest_react.training.dry_run import DryRunTrainer
from tests.training.test_local import EXAMPLES, TINY, cache

__all__ = ["cache"]


def test_a_dry_run_checks_the_rows_and_hands_the_base_back(tmp_path: Path) -> None:
    ref = asyncio.run(DryRunTrainer("completion", 512, tmp_path).train(EXAMPLES, TINY, tmp_path, 7))
    assert ref == ModelRef("tiny-random", "base", tuned=True)
    with pytest.raises(UsageError, match=r"finetune\.max_length=20"):
        asyncio.run(DryRunTrainer("completion", 20, tmp_path).train(EXAMPLES, TINY, tmp_path, 7))


def test_a_tokenizer_that_cannot_be_loaded_is_an_outside_fault(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    base = ModelRef("model", "local", tuned=True)
    with pytest.raises(OutsideFault, match="loading the tokenizer of model"):
        asyncio.run(DryRunTrainer("completion", 512, tmp_path).train(EXAMPLES, base, tmp_path, 7))
