"""Agreement of two raters: Cohen's kappa, and the correlation of two lists of numbers.

    >>> cohens_kappa({"q1": [(True, True)], "q2": [(False, False)]}).mean          # (one rater, the other), per answer
    1.0
    >>> correlation([0.2, 0.4, 0.6], [0.1, 0.5, 0.6], "spearman").value
    1.0

Not here: which answers are rated, and by whom (rest_react.agreement).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rest_react.metrics.intervals import Share, bootstrap_interval


def cohens_kappa(pairs_by_question: Mapping[str, Sequence[tuple[bool, bool]]]) -> Share:
    """Cohen's kappa of two raters: agreement beyond the agreement expected by chance. One list of pairs per question.
    None if both raters always give the same verdict, where kappa is not defined."""
    import numpy as np

    if not pairs_by_question:
        return Share(None, None, None, None, 0, 0)
    cells = ((True, True), (True, False), (False, True), (False, False))
    table = np.array([[list(pairs).count(cell) for cell in cells] for _, pairs in sorted(pairs_by_question.items())])
    kappa = float(_kappa(*table.sum(axis=0)))
    if np.isnan(kappa):
        return Share(None, None, None, None, len(table), 1)
    # Two imaginary questions, one with agreement and one without (see metrics.intervals).
    half = table.sum() / len(table) / 2
    low, high = bootstrap_interval([*table.T], [[half, 0], [0, half], [0, half], [half, 0]], _kappa_of_samples)
    return Share(kappa, None, low, high, len(table), 1)


def _kappa(both: Any, first: Any, second: Any, neither: Any) -> Any:
    """Kappa from the four cells of the contingency table (numbers or arrays)."""
    import numpy as np

    n = both + first + second + neither
    observed = (both + neither) / n
    by_chance = ((both + first) * (both + second) + (neither + first) * (neither + second)) / n**2
    with np.errstate(invalid="ignore", divide="ignore"):
        return (observed - by_chance) / (1 - by_chance)


def _kappa_of_samples(*cells: Any, axis: int = -1) -> Any:
    return _kappa(*(cell.sum(axis=axis) for cell in cells))


@dataclass(frozen=True, slots=True)
class Correlation:
    """A correlation coefficient over `n` pairs with its p-value and 95% interval. None if there are too few pairs
    (fewer than 3; for the interval fewer than 4) or one side does not vary. A value of 1 or -1 has neither interval nor
    p-value: the formulas would give a width and a p of 0, however few the pairs."""

    value: float | None
    p: float | None
    low: float | None
    high: float | None
    n: int


def correlation(x: Sequence[float], y: Sequence[float], kind: Literal["pearson", "spearman"]) -> Correlation:
    """Pearson's or Spearman's correlation. Intervals by Fisher's transformation; for Spearman with the variance of
    Bonett and Wright (2000)."""
    import numpy as np
    from scipy.stats import norm, pearsonr, spearmanr

    n = len(x)
    if n < 3 or len(set(x)) == 1 or len(set(y)) == 1:
        return Correlation(None, None, None, None, n)
    found = pearsonr(x, y) if kind == "pearson" else spearmanr(x, y)
    value = float(found.statistic)
    if abs(value) > 1 - 1e-9:
        return Correlation(value, None, None, None, n)
    if n == 3:
        return Correlation(value, float(found.pvalue), None, None, n)
    if kind == "pearson":
        low, high = found.confidence_interval(0.95)
    else:
        width = norm.ppf(0.975) * np.sqrt((1 + value**2 / 2) / (n - 3))
        low, high = np.tanh(np.arctanh(value) + np.array([-width, width]))
    return Correlation(value, float(found.pvalue), float(low), float(high), n)
