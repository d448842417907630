"""Intervals over questions and trainings: values by hand, and their coverage in simulation."""

from statistics import NormalDist, fmean

import numpy as np
import pytest

from rest_react.metrics.intervals import interval_of_differences
from rest_react.metrics.trainings import (
    OverTrainings,
    change_over_trainings,
    difference_over_trainings,
    difference_to_baseline,
    mean_of_own_means,
    mean_over_trainings,
)


def training(*values: float) -> dict[str, list[float]]:
    return {f"w{i}": [value] for i, value in enumerate(values)}


def test_the_mean_and_the_spread_over_trainings_equal_values_computed_by_hand() -> None:
    found = mean_over_trainings([{"a": [1.0, 0.0], "b": [1.0, None]}, {"a": [0.0, 0.0], "b": [1.0, 1.0], "c": [1.0]}])
    assert (found.mean, found.questions, found.by_training) == (0.625, 2, (0.75, 0.5))
    assert found.std == pytest.approx(0.25 / 2**0.5)


def test_one_training_a_side_has_a_mean_and_no_interval() -> None:
    assert mean_over_trainings([training(1, 0)]) == OverTrainings(0.5, None, None, None, 2, (0.5,))
    assert difference_over_trainings([training(1, 0)], [training(0, 0)]) == OverTrainings(0.5, None, None, None, 2)
    assert difference_over_trainings([training(1)], [{"w0": [None]}]).questions == 0


def test_unscored_answers_do_not_narrow_the_interval_of_a_difference() -> None:
    scored = [{f"w{i}": [1.0] for i in range(20)}] * 2
    padded = [{f"w{i}": [1.0, *[None] * 9] for i in range(20)}] * 2
    assert difference_over_trainings(padded, padded) == difference_over_trainings(scored, scored)


def test_trainings_that_agree_give_about_the_interval_over_questions_and_others_a_wider_one() -> None:
    ours, theirs = training(*[1.0] * 60 + [0.0] * 40), training(*[1.0] * 45 + [0.0] * 55)
    alone = interval_of_differences([0.0] * 45 + [1.0] * 15 + [0.0] * 40, repeats=3)
    same = difference_over_trainings([ours] * 3, [theirs] * 3)
    assert (same.low, same.high) == (pytest.approx(alone[0], abs=0.002), pytest.approx(alone[1], abs=0.002))
    other = training(*[1.0] * 80 + [0.0] * 20)
    apart = difference_over_trainings([ours, ours, other], [theirs] * 3)
    assert apart.high - apart.low > 2 * (alone[1] - alone[0])


def test_a_baseline_is_no_training_so_it_adds_no_variance_of_trainings() -> None:
    baseline = training(*[1.0] * 45 + [0.0] * 55)
    ours = [training(*[1.0] * right + [0.0] * (100 - right)) for right in (58, 60, 62)]
    found = difference_to_baseline(ours, baseline)
    assert (found.mean, found.questions, found.std) == (pytest.approx(0.15), 100, pytest.approx(0.02))
    paired = difference_over_trainings(ours, [baseline])
    alone = interval_of_differences([fmean(one[f"w{i}"][0] for one in ours) - (i < 45) for i in range(100)], repeats=1)
    assert alone[1] - alone[0] <= found.high - found.low < paired.high - paired.low
    apart = difference_to_baseline([training(*[1.0] * n + [0.0] * (100 - n)) for n in (45, 60, 75)], baseline)
    assert apart.high - apart.low > 2 * (found.high - found.low)
    assert difference_to_baseline(ours[:1], baseline).low is None


def test_the_difference_to_a_baseline_is_covered_where_trainings_vary() -> None:
    """100 items answered once in each of five trainings, and a baseline with the same chance of being right."""
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(200):
        hard = 2 * rng.standard_normal(100)
        moved = hard + 0.35 * rng.standard_normal((5, 1)) + rng.standard_normal((5, 100))
        right = rng.binomial(1, 1 / (1 + np.exp(-moved))).astype(float)
        baseline = rng.binomial(1, 1 / (1 + np.exp(-hard - rng.standard_normal(100)))).astype(float)
        found = difference_to_baseline([training(*row) for row in right.tolist()], training(*baseline.tolist()))
        covered += found.low <= 0 <= found.high
    assert covered / 200 >= 0.93


def test_equal_answers_of_all_trainings_have_an_interval_around_0() -> None:
    same = difference_over_trainings([training(0, 0, 0)] * 2, [training(0, 0, 0)] * 2)
    assert same.mean == 0.0
    assert same.low < 0 < same.high


def test_the_interval_covers_at_least_94_percent_where_trainings_vary_and_where_they_do_not() -> None:
    """100 questions × 2, three trainings of each of two arms without a difference."""
    rng = np.random.default_rng(8)
    for spread in (0.0, 0.35):
        covered = 0
        for _ in range(200):
            moved = 2 * rng.standard_normal(100) + spread * rng.standard_normal((6, 1)) + rng.standard_normal((6, 100))
            right = rng.binomial(2, 1 / (1 + np.exp(-moved))).tolist()
            arms = [{str(i): [float(n > 0), float(n > 1)] for i, n in enumerate(row)} for row in right]
            found = difference_over_trainings(arms[:3], arms[3:])
            covered += found.low <= 0 <= found.high
        assert covered / 200 >= 0.93


def test_a_change_is_paired_by_question_and_training() -> None:
    before = [training(1, 0, 0, 1), training(0, 0, 1, 1)]
    found = change_over_trainings([training(1, 1, 0, 1), training(1, 0, 1, 1)], before)
    assert (found.mean, found.std, found.by_training, found.questions) == (0.25, 0.0, (0.25, 0.25), 4)
    assert found.low is not None and found.high is not None
    assert found.low < 0.25 < found.high
    assert change_over_trainings([training(1, 0)], [training(0, 0)]).low is None
    assert change_over_trainings([training(1)], [{"w0": [None]}]).mean is None


def test_the_interval_of_a_change_covers_at_least_94_percent() -> None:
    rng, covered, runs = np.random.default_rng(5), 0, 400
    # Over questions N(0, 1), trainings N(0.4, 0.3) and noise N(0, 0.5), an answer is right where the sum is above 0.
    true = NormalDist().cdf(0.4 / (1 + 0.3**2 + 0.5**2) ** 0.5) - 0.5
    for _ in range(runs):
        easy = rng.normal(0.0, 1.0, 100)
        after, before = [], []
        for gain in rng.normal(0.4, 0.3, 3):
            for side, shift in ((after, gain), (before, 0.0)):
                side.append(training(*map(float, easy + shift + rng.normal(0.0, 0.5, 100) > 0)))
        found = change_over_trainings(after, before)
        assert found.low is not None and found.high is not None
        covered += found.low <= true <= found.high
    assert covered / runs > 0.93


def test_the_mean_of_own_means_counts_each_training_s_own_questions() -> None:
    found = mean_of_own_means(
        [{"a": [1.0], "b": [0.0], "c": [0.0]}, {"a": [1.0], "b": [0.0], "c": [0.0]}, {"a": [1.0], "b": [None], "d": []}]
    )
    assert (found.mean, found.questions) == (pytest.approx(5 / 9), 3)
    assert found.by_training == (pytest.approx(1 / 3), pytest.approx(1 / 3), pytest.approx(1.0))
    assert found.std == pytest.approx(2 / 3 / 3**0.5)
    assert mean_of_own_means([{"a": [None]}, {}]) == OverTrainings(None, None, None, None, 0)


def test_the_mean_of_own_means_is_the_mean_where_all_questions_have_the_score() -> None:
    trainings = [training(1, 0, 1, 1, 0), training(1, 1, 1, 0, 0), training(0, 0, 1, 1, 1)]
    assert mean_of_own_means(trainings) == mean_over_trainings(trainings)
    unscored = [one | {"w9": [None]} for one in trainings]
    assert mean_of_own_means(unscored) == mean_over_trainings(trainings)


def test_the_interval_of_the_mean_of_own_means_covers_at_least_94_percent() -> None:
    """Easy questions have the score more often. A training that gives it to more questions has lower ones."""
    rng, covered, sets = np.random.default_rng(6), 0, 400

    def drawn(trainings: int, questions: int) -> tuple[np.ndarray, np.ndarray]:
        """Which questions have the score in each training, and which are right."""
        easy, more = rng.normal(0.0, 1.0, questions), rng.normal(0.0, 0.15, (trainings, 1))
        has, right = (
            easy + sign * more + rng.normal(0.0, 0.5, (trainings, questions)) > threshold
            for sign, threshold in ((1, -0.5), (-1, 0.0))
        )
        return has, right

    has, right = drawn(500, 4000)
    true = float(((has & right).sum(axis=1) / has.sum(axis=1)).mean())
    for _ in range(sets):
        has, right = drawn(3, 100)
        trainings = [
            {f"w{i}": [float(right[t, i]) if has[t, i] else None] for i in range(100)} for t in range(len(has))
        ]
        found = mean_of_own_means(trainings)
        assert found.low is not None and found.high is not None
        covered += found.low <= true <= found.high
    assert covered / sets > 0.93
