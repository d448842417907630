import numpy as np
import pytest

from rest_react.metrics.agreement import cohens_kappa, correlation
from rest_react.metrics.intervals import Share


def test_cohens_kappa_equals_values_computed_by_hand_and_is_none_for_constant_raters():
    # Agreement 3/4; yes 1/2 and 3/4 of the time, so by chance 1/2 * 3/4 + 1/2 * 1/4 = 1/2.
    pairs = {"a": [(True, True), (False, True)], "b": [(True, True), (False, False)]}
    assert cohens_kappa(pairs).mean == pytest.approx((3 / 4 - 1 / 2) / (1 - 1 / 2))
    assert cohens_kappa({"a": [(True, True)], "b": [(True, True)]}).mean is None
    assert cohens_kappa({}) == Share(None, None, None, None, 0, 0)


def test_full_agreement_on_few_answers_has_a_wide_interval():
    share = cohens_kappa({f"q{i}": [(i % 2 == 0, i % 2 == 0)] for i in range(20)})
    assert share.mean == 1.0
    assert 0.6 < share.low < 0.95
    assert share.high <= 1.0


def test_kappa_of_repeats_is_clustered_by_question():
    pairs = {f"q{i}": [(i % 2 == 0, i % 3 == 0)] for i in range(30)}
    once, tenfold = cohens_kappa(pairs), cohens_kappa({q: own * 10 for q, own in pairs.items()})
    assert once.mean == pytest.approx(tenfold.mean)
    assert tenfold.high - tenfold.low == pytest.approx(once.high - once.low, abs=0.1)


def test_correlations_equal_values_computed_by_hand():
    x, y = [1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 1.0, 4.0, 3.0, 10.0]
    # Deviations: x -2 -1 0 1 2, y -2 -3 0 -1 6; 18 / sqrt(10 * 50).
    assert correlation(x, y, "pearson").value == pytest.approx(18 / 500**0.5)
    # Ranks 1..5 and 2 1 4 3 5: 1 - 6 * 4 / (5 * 24).
    spearman = correlation(x, y, "spearman")
    assert spearman.value == pytest.approx(0.8)
    # Fisher: atanh(0.8) -+ 1.96 * sqrt((1 + 0.32) / 2).
    width = 1.959964 * ((1 + 0.8**2 / 2) / 2) ** 0.5
    assert (spearman.low, spearman.high) == (
        pytest.approx(np.tanh(np.arctanh(0.8) - width)), pytest.approx(np.tanh(np.arctanh(0.8) + width)),
    )  # fmt: skip
    # Two-sided, from t with 3 degrees of freedom, whose distribution function has a closed form.
    for found in (spearman, correlation(x, y, "pearson")):
        r = found.value
        assert found.p == pytest.approx(1 - 2 / np.pi * (np.arcsin(r) + r * np.sqrt(1 - r**2)))


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_too_few_or_equal_values_have_no_correlation(kind):
    assert correlation([0.1, 0.2], [0.1, 0.2], kind).value is None
    assert correlation([0.5] * 5, [0.1, 0.2, 0.3, 0.4, 0.5], kind).value is None
    three = correlation([0.1, 0.2, 0.3], [0.1, 0.3, 0.2], kind)
    assert (three.value, three.low, three.n) == (pytest.approx(0.5), None, 3)
    same = correlation([0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.4], kind)
    assert (same.value, same.low, same.high, same.p) == (pytest.approx(1.0), None, None, None)
