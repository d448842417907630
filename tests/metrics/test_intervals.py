import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from rest_react.metrics import intervals
from rest_react.metrics.intervals import (
    Share,
    clustered_interval,
    detectable_difference,
    interval_of_differences,
    paired_difference,
)


def shares(right: int, wrong: int) -> dict[str, list[float | None]]:
    return {f"w{i:03d}": [float(i < right)] for i in range(right + wrong)}


def test_mean_and_std_of_repeats_equal_values_computed_by_hand():
    # Repeats: (1+0+1)/3, (1+0)/2, and the mean is over 5 scored answers.
    share = clustered_interval({"a": [1.0, 1.0], "b": [0.0, 0.0], "c": [1.0, None]})
    assert (share.mean, share.n, share.repeats) == (0.6, 3, 2)
    assert share.std == pytest.approx(np.std([2 / 3, 1 / 2], ddof=1))


def test_one_repeat_has_no_std_and_without_scores_there_is_no_mean():
    assert clustered_interval({"a": [1.0], "b": [0.0]}).std is None
    assert clustered_interval({"a": [None, None]}) == Share(None, None, None, None, 0, 2)
    assert clustered_interval({}) == Share(None, None, None, None, 0, 0)


def test_0_correct_answers_of_40_have_a_wide_interval():
    none, one = clustered_interval(shares(0, 40)), clustered_interval(shares(1, 39))
    assert (none.mean, none.low) == (0.0, 0.0)
    wilson = binomtest(0, 40).proportion_ci(method="wilson").high
    assert none.high == pytest.approx(3 / 42)
    assert abs(none.high - wilson) < 0.02
    assert none.high < one.high
    everything = clustered_interval(shares(40, 0))
    assert (everything.low, everything.high) == (pytest.approx(39 / 42), 1.0)
    assert clustered_interval({"a": [1.0]}).low == 0.0


def test_with_many_questions_the_interval_is_the_normal_approximation():
    share = clustered_interval(shares(300, 700))
    wilson = binomtest(300, 1000).proportion_ci(method="wilson")
    assert share.low == pytest.approx(wilson.low, abs=0.005)
    assert share.high == pytest.approx(wilson.high, abs=0.005)


def test_repeats_of_a_question_do_not_narrow_the_interval():
    once, tenfold = shares(15, 25), {q: values * 10 for q, values in shares(15, 25).items()}
    narrow, wide = clustered_interval(once), clustered_interval(tenfold)
    assert wide.high - wide.low == pytest.approx(narrow.high - narrow.low, abs=0.03)


def test_the_resamples_do_not_depend_on_how_many_are_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = clustered_interval(shares(33, 28))
    monkeypatch.setattr(intervals, "_AT_ONCE", 63 * 7)  # 7 resamples of 61 questions and two imaginary ones
    assert clustered_interval(shares(33, 28)) == at_once


def test_the_order_of_questions_has_no_effect():
    values = {f"w{i}": [float(i % 3 == 0), None if i % 5 == 0 else 1.0] for i in range(30)}
    assert clustered_interval(dict(reversed(values.items()))) == clustered_interval(values)


@settings(max_examples=40)
@given(st.dictionaries(st.text(), st.lists(st.none() | st.sampled_from([0.0, 1.0]), min_size=1, max_size=4)))
def test_the_mean_is_inside_its_interval_and_the_interval_inside_the_scale(values):
    share = clustered_interval(values)
    if share.n:
        assert 0 <= share.low <= share.mean <= share.high <= 1
    else:
        assert share.mean is share.low is share.high is None


@pytest.mark.parametrize(("questions", "repeats", "true"), [(60, 4, 0.3), (40, 2, 0.5), (100, 3, 0.85)])
def test_the_interval_covers_the_true_value_in_95_percent(questions, repeats, true):
    """Questions of different difficulty, their repeats clustered; the true accuracy is known."""
    random_ = random.Random(11)
    covered = 0
    for _ in range(400):
        chances = [random_.betavariate(2 * true, 2 * (1 - true)) for _ in range(questions)]
        answers = {str(i): [float(random_.random() < c) for _ in range(repeats)] for i, c in enumerate(chances)}
        share = clustered_interval(answers)
        covered += share.low <= true <= share.high
    assert 0.93 <= covered / 400 <= 0.97


@pytest.mark.parametrize(("questions", "repeats"), [(100, 2), (125, 10)])
def test_the_interval_of_a_difference_covers_94_to_96_percent(questions: int, repeats: int) -> None:
    """Answers of two policies, one 10 points better on each question; `benchmarks.intervals` has more cases."""
    rng = np.random.default_rng(3)
    chances = 0.9 * rng.beta(1, 1, (4000, questions))
    differences = (rng.binomial(repeats, chances + 0.1) - rng.binomial(repeats, chances)) / repeats
    ends = [interval_of_differences(row, repeats=repeats) for row in differences.tolist()]
    assert 0.94 <= sum(low <= 0.1 <= high for low, high in ends) / len(ends) <= 0.96


def test_the_interval_of_a_difference_is_that_of_agresti_and_min_where_each_question_is_answered_once() -> None:
    """9 pairs right then wrong, 3 wrong then right, of 50; with half a pair more in each of the four cells."""
    ours, theirs, of = 9.5, 3.5, 52
    mean, variance = (ours - theirs) / of, (ours + theirs) / of - ((ours - theirs) / of) ** 2
    reach = 1.959964 * (variance / of) ** 0.5
    found = interval_of_differences([1.0] * 9 + [-1.0] * 3 + [0.0] * 38, repeats=1)
    assert found == pytest.approx((mean - reach, mean + reach))


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=20), st.integers(1, 20))
def test_a_mean_difference_is_inside_its_interval(differences: list[float], repeats: int) -> None:
    low, high = interval_of_differences(differences, repeats=repeats)
    assert -1 <= low <= sum(differences) / len(differences) <= high <= 1


def test_the_detectable_difference_follows_from_the_standard_error():
    # Half the interval is 1.96 standard errors; 80% power needs 1.96 + 0.84 of them.
    share = Share(mean=0.05, std=None, low=-0.05, high=0.15, n=100, repeats=1)
    assert detectable_difference(share) == pytest.approx(0.1 / 1.959964 * (1.959964 + 0.841621))
    assert detectable_difference(Share(None, None, None, None, 0, 0)) is None


def test_a_paired_difference_uses_questions_scored_in_both_evaluations():
    now = {"a": [1.0, 1.0], "b": [1.0, 0.0], "c": [1.0], "d": [None]}
    then = {"a": [0.0, 0.0], "b": [1.0, None], "d": [1.0], "e": [1.0]}
    difference = paired_difference(now, then)
    assert (difference.mean, difference.n) == ((1.0 - 0.5) / 2, 2)
    assert -1 <= difference.low <= difference.mean <= difference.high <= 1


def test_pairing_is_narrower_than_two_separate_means():
    then, now = shares(20, 20), shares(26, 14)
    difference = paired_difference(now, then)
    assert difference.mean == pytest.approx(6 / 40)
    assert difference.low > 0
    separate = clustered_interval(now)
    assert difference.high - difference.low < separate.high - separate.low


def test_equal_results_have_an_interval_around_0():
    difference = paired_difference(shares(10, 30), shares(10, 30))
    assert difference.mean == 0.0
    assert -0.1 < difference.low < 0 < difference.high < 0.1
