"""Means over questions with their 95% intervals, and differences between two evaluations of the same questions.

    >>> clustered_interval({"w1": [1.0], "w2": [0.0], "w3": [1.0]})     # one value per repeat, None where unscored
    Share(mean=0.6666666666666666, std=None, low=0.2, high=1.0, n=3, repeats=1)

The interval is a percentile bootstrap over *questions*, because repeats of one question are not independent.
Every resample is drawn from the questions and one imaginary question at each end of the scale, so that 0 correct
answers out of 40 do not give the interval [0, 0]. docs/metrics.md has the definitions and the measured coverage.
Not here: how an answer is scored (reporting.rows), agreement of two raters (metrics.agreement).
"""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rest_react.seeds import derive_seed

_RESAMPLES = 2000


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
    scored = {q: [v for v in values if v is not None] for q, values in sorted(values_by_question.items())}
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
    values_by_question: Mapping[str, Sequence[float | None]],
    reference: Mapping[str, Sequence[float | None]],
    *,
    scale: tuple[float, float] = (0.0, 1.0),
) -> Share:
    """The mean difference to `reference`, over questions scored in both. Pairing removes the difficulty of the
    questions, so the interval is narrower than that of two separate means."""
    differences: dict[str, list[float | None]] = {}
    for question in values_by_question.keys() & reference.keys():
        ours, theirs = _mean(values_by_question[question]), _mean(reference[question])
        if ours is not None and theirs is not None:
            differences[question] = [ours - theirs]
    width = scale[1] - scale[0]
    return clustered_interval(differences, scale=(-width, width))


def detectable_difference(share: Share) -> float | None:
    """The smallest true difference that an evaluation of this size detects (the interval excludes 0) with 80%
    power, given the variation in `share`, a paired difference."""
    from scipy.stats import norm

    if share.low is None or share.high is None:
        return None
    return float((share.high - share.low) / 2 * (1 + norm.ppf(0.8) / norm.ppf(0.975)))


def _mean(values: Iterable[float | None]) -> float | None:
    scored = [value for value in values if value is not None]
    return sum(scored) / len(scored) if scored else None


def _spread_of_repeats(lists: Iterable[Sequence[float | None]], repeats: int) -> float | None:
    rows = list(lists)
    means = [_mean([values[r] for values in rows if r < len(values)]) for r in range(repeats)]
    known = [mean for mean in means if mean is not None]
    return statistics.stdev(known) if len(known) > 1 else None


def bootstrap_interval(
    columns: Sequence[Sequence[float]], imaginary: Sequence[Sequence[float]], statistic: Callable[..., Any]
) -> tuple[float, float]:
    """The 2.5% and 97.5% quantiles of a statistic over resampled questions. Each column has one number per question;
    `imaginary` has the numbers of the two imaginary questions."""
    import numpy as np
    from scipy.stats import bootstrap

    data = [np.array([*column, *ends], dtype=float) for column, ends in zip(columns, imaginary, strict=True)]
    rows = len(columns[0])
    found = bootstrap(
        data, statistic, paired=True, vectorized=True, n_resamples=_RESAMPLES, method="percentile",
        batch=max(1, 2**22 // (rows + 2)), rng=np.random.default_rng(derive_seed("interval", rows, sum(columns[0]))),
    )  # fmt: skip
    low, high = np.nanquantile(found.bootstrap_distribution, [0.025, 0.975], method="nearest")
    return float(low), float(high)


def _ratio_of_sums(sums: Any, counts: Any, axis: int = -1) -> Any:
    return sums.sum(axis=axis) / counts.sum(axis=axis)
