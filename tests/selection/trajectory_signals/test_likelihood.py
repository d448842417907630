"""The likeliest share of the trajectories. Which these are: stages/improve/test_improve."""

import pytest

from rest_react.config.compose import compose
from rest_react.errors import ConfigError
from rest_react.records import Candidate, Step, Trajectory, Usage
from rest_react.selection.trajectory_signals.likelihood import unlikely


def finished(id_: str, logprob: float | None) -> Trajectory:
    step = Step("decide", "state", (Candidate("text", 10, logprob, "stop"),), 0)
    return Trajectory(id_, "q", "Who?", "finished", None, (step,), "a", "a", Usage())


def test_equally_likely_trajectories_stay_together_whatever_their_ids() -> None:
    equal = [finished(f"q{n}.0", 0.0) for n in (2, 10, 3, 20)]
    assert unlikely([*equal, finished("q1.0", -1.0), finished("q1.1", None)], 0.5) == {"q1.0"}
    assert unlikely([], 0.5) == frozenset()


def test_of_few_trajectories_the_likeliest_stays() -> None:
    assert unlikely([finished("q.0", -5.0), finished("q.1", -1.0), finished("q.2", -3.0)], 0.1) == {"q.0", "q.2"}


def test_a_share_of_the_likeliest_needs_log_probabilities_and_is_refused_before_the_run() -> None:
    given = ["policy=openai", "finetune=hosted", "start=prompted", "+policy.logprobs=false", "iteration=1"]
    with pytest.raises(
        ConfigError, match=r"improve\.likeliest: compares log-probabilities, but policy\.logprobs=false"
    ):
        compose([*given, "improve.likeliest=0.5"])
