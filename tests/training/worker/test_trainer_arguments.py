"""What a training is told: its warm-up."""

import pytest

from rest_react.training.worker.trainer_arguments import warmup_steps


@pytest.mark.parametrize("steps", range(1, 60))
def test_a_training_has_at_most_one_step_without_a_learning_rate_and_a_short_one_has_none(steps: int) -> None:
    warm = warmup_steps(0.05, steps)
    assert warm != 1
    assert warm <= 0.05 * steps
    assert (warm == 0) == (steps < 40)
