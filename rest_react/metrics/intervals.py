"""Means over questions with their 95% intervals, and differences between two evaluations of the same questions.

    >>> clustered_interval({"w1": [1.0], "w2": [0.0], "w3": [1.0]})     # one value per repeat, None where unscored
    Share(mean=0.6666666666666666, std=None, low=0.2, high=1.0, n=3, repeats=1)

Both intervals are over *questions*, because repeats of one question are not independent.
That of a mean is a percentile bootstrap. Every resample is drawn from the questions and one imaginary question at each
end of the scale, so that 0 correct answers out of 40 do not give the interval [0, 0].
That of a difference is the interval of Agresti and Min (2005) for paired answers, with questions as clusters.
docs/metrics.md has the definitions and the measured coverage, benchmarks/intervals.py measures it.
Not here: how an answer is scored (reporting.results.rows), agreement of two raters (metrics.agreement).
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev
from typing import Any

from rest_react.seeds import derive_seed

NORMAL_QUANTILE = NormalDist().inv_cdf(0.975)
_RESAMPLES = 2000
_AT_ONCE = 2**18  # numbers drawn at once, which bounds memory and changes no draw


@dataclass(frozen=True, slots=True)
class Share:
    """A mean over questions with its 95% interval (`low`, `high`); all None if nothing was scored.

    `n` counts the questions with a scored value. `std` is the sample standard deviation of the `repeats` per-repeat
    means, the paper's "±"; None with fewer than two repeats.
    """

    mean: float | None
    std: float | None
    low: float | None
    high: float | None
    n: int
    repeats: int


def clustered_interval(
    values_by_question: Mapping[str, Sequence[float | None]], *, scale: tuple[float, float] = (0.0, 1.0)
) -> Share:
    """Mean, spread and interval of values on a bounded `scale`: one list per question, entry r is repeat r.

    None means unscored and is ignored. The mean is over all scored values. The result does not depend on the order
    of the questions.
    """
    scored = {q: _scored(values) for q, values in sorted(values_by_question.items())}
    scored = {q: values for q, values in scored.items() if values}
    repeats = max(map(len, values_by_question.values()), default=0)
    if not scored:
        return Share(None, None, None, None, 0, repeats)
    sums, counts = [sum(values) for values in scored.values()], [len(values) for values in scored.values()]
    weight = sum(counts) / len(counts)  # an imaginary question weighs as much as an average one
    imaginary = [[weight * scale[0], weight * scale[1]], [weight, weight]]
    low, high = bootstrap_interval([sums, counts], imaginary, _ratio_of_sums)
    std = _spread_of_repeats(values_by_question.values(), repeats)
    return Share(sum(sums) / sum(counts), std, low, high, len(scored), repeats)


def paired_difference(
    values_by_question: Mapping[str, Sequence[float | None]], reference: Mapping[str, Sequence[float | None]]
) -> Share:
    """The mean difference to `reference` of values between 0 and 1, over questions scored in both. Pairing removes the
    difficulty of the questions, so the interval is narrower than that of two separate means."""
    differences, pairs = [], []
    for question in sorted(values_by_question.keys() & reference.keys()):
        ours, theirs = _scored(values_by_question[question]), _scored(reference[question])
        if ours and theirs:
            differences.append(fmean(ours) - fmean(theirs))
            pairs.append(min(len(ours), len(theirs)))
    if not differences:
        return Share(None, None, None, None, 0, 0)
    low, high = interval_of_differences(differences, repeats=fmean(pairs))
    return Share(fmean(differences), None, low, high, len(differences), 1)


def interval_of_differences(differences: Sequence[float], *, repeats: float) -> tuple[float, float]:
    """The 95% interval of the mean of differences between -1 and 1, one per question, each averaged over `repeats`
    pairs of answers.

    Agresti and Min (2005, Statistics in Medicine 24) add half an observation to each of the four outcomes of a pair of
    answers: half at each end and one at 0. Here a question is the observation, and half a pair of answers is
    1 / (2 `repeats`) of a question."""
    half = 0.5 / repeats
    centre, error = shrunken_mean(differences, {-1.0: half, 0.0: 2 * half, 1.0: half})
    return max(centre - NORMAL_QUANTILE * error, -1.0), min(centre + NORMAL_QUANTILE * error, 1.0)


def shrunken_mean(values: Sequence[float], added: Mapping[float, float]) -> tuple[float, float]:
    """The mean and its standard error, with imaginary observations `added` (value to weight), so that equal values do
    not give an error of 0."""
    size = len(values) + sum(added.values())
    mean = (sum(values) + sum(value * weight for value, weight in added.items())) / size
    squares = sum(value**2 for value in values) + sum(value**2 * weight for value, weight in added.items())
    return mean, math.sqrt(max(squares / size - mean**2, 0.0) / size)


def detectable_difference(share: Share) -> float | None:
    """The smallest true difference that an evaluation of this size detects (the interval excludes 0) with 80%
    power, given the variation in `share`, a paired difference."""
    if share.low is None or share.high is None:
        return None
    return (share.high - share.low) / 2 * (1 + NormalDist().inv_cdf(0.8) / NORMAL_QUANTILE)


def _scored(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _mean(values: Iterable[float | None]) -> float | None:
    scored = _scored(values)
    return sum(scored) / len(scored) if scored else None


def _spread_of_repeats(lists: Iterable[Sequence[float | None]], repeats: int) -> float | None:
    rows = list(lists)
    means = [_mean([values[r] for values in rows if r < len(values)]) for r in range(repeats)]
    known = [mean for mean in means if mean is not None]
    return stdev(known) if len(known) > 1 else None


def bootstrap_interval(
    columns: Sequence[Sequence[float]], imaginary: Sequence[Sequence[float]], statistic: Callable[..., Any]
) -> tuple[float, float]:
    """The 2.5% and 97.5% quantiles of a statistic over resampled questions. Each column has one number per question;
    `imaginary` has the numbers of the two imaginary questions."""
    import numpy as np

    data = [np.array([*column, *ends], dtype=float) for column, ends in zip(columns, imaginary, strict=True)]
    rows = len(columns[0])
    size = rows + 2
    rng = np.random.default_rng(derive_seed("interval", rows, sum(columns[0])))
    batch = max(1, _AT_ONCE // size)
    drawn = (rng.integers(0, size, (min(batch, _RESAMPLES - done), size)) for done in range(0, _RESAMPLES, batch))
    found = np.concatenate([statistic(*(column[questions] for column in data), axis=-1) for questions in drawn])
    low, high = np.nanquantile(found, [0.025, 0.975], method="nearest")
    return float(low), float(high)


def _ratio_of_sums(sums: Any, counts: Any, axis: int = -1) -> Any:
    return sums.sum(axis=axis) / counts.sum(axis=axis)
