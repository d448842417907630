"""What a training is told: its warm-up, its kernels, and the type of the frozen weights."""

from dataclasses import replace
from pathlib import Path

import pytest

from rest_react.training.worker.trainer_arguments import load_base, trainer_arguments, warmup_steps
from rest_react.weights import resolve_weights
from rest_react.weights.tiny import TINY
from tests.serving import TRAINING


@pytest.mark.parametrize("steps", range(1, 60))
def test_a_training_has_at_most_one_step_without_a_learning_rate_and_a_short_one_has_none(steps: int) -> None:
    warm = warmup_steps(0.05, steps)
    assert warm != 1
    assert warm <= 0.05 * steps
    assert (warm == 0) == (steps < 40)


@pytest.mark.parametrize("asked", [True, False])
def test_liger_kernels_are_used_where_they_are_asked_for(asked: bool, tmp_path: Path) -> None:
    told = trainer_arguments(tmp_path, 0, replace(TRAINING, liger_kernel=asked), steps=10)
    assert told["use_liger_kernel"] is asked


def test_four_bits_are_asked_of_bitsandbytes() -> None:
    """Which is not installed here: its name in the refusal shows that transformers was told to use it."""
    base = str(resolve_weights(TINY))
    assert load_base(base, TRAINING).num_parameters() > 0
    with pytest.raises((ImportError, RuntimeError), match="bitsandbytes"):
        load_base(base, replace(TRAINING, load_in_4bit=True))
