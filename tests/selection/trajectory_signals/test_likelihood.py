"""The likeliest share of the trajectories. Which these are: stages/improve/test_improve."""

import pytest

from rest_react.config.compose import compose
from rest_react.errors import ConfigError


def test_a_share_of_the_likeliest_needs_log_probabilities_and_is_refused_before_the_run() -> None:
    given = ["policy=openai", "finetune=hosted", "start=prompted", "+policy.logprobs=false", "iteration=1"]
    with pytest.raises(
        ConfigError, match=r"improve\.likeliest: compares log-probabilities, but policy\.logprobs=false"
    ):
        compose([*given, "improve.likeliest=0.5"])
