"""How well a score tells right trajectories from wrong ones: AUC, precision and recall with intervals by question.

    detection(scores, right, kept, questions)      # Detection(scored=200, auc=Estimate(0.81, 0.74, 0.88), ...)

Trajectories of one question are drawn together. Precision, recall and the AUC within a question are shares, whose
intervals are those of metrics.intervals. That of the AUC over all pairs is the same kind of bootstrap: each resample is
drawn from the questions and two imaginary ones, in which half a right and half a wrong trajectory have the highest and
the lowest score, once in the right and once in the wrong order. So a perfect AUC does not have the interval [1, 1]; in
simulations of 12 to 70 questions it covers the true value in 95 to 100%, a plain bootstrap in 19 to 96%.
Not here: the scores (trajectory_scores), and choices within a step (selection).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from rest_react.metrics.intervals import clustered_interval
from rest_react.seeds import derive_seed

_RESAMPLES = 2000
_ENDS = (np.inf, -np.inf)  # the scores of the imaginary trajectories of one side


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95% interval; all None where it is not defined."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Detection:
    """One signal on one set of trajectories. `auc` is the probability that a right trajectory has a higher score than a
    wrong one (half for equal scores), over all pairs of scored ones; `auc_within` the same over the `pairs` of one
    question. `precision` and `recall` are those of the `kept` trajectories, over all trajectories."""

    scored: int
    auc: Estimate
    auc_within: Estimate
    pairs: int
    kept: int
    precision: Estimate
    recall: Estimate


def detection(
    scores: Sequence[float | None], right: Sequence[bool], kept: Sequence[bool], questions: Sequence[str]
) -> Detection:
    """The figures of a signal: one entry per trajectory in each list, at least one; None is not scored."""
    scored = [i for i, score in enumerate(scores) if score is not None]
    good, bad = ([i for i in scored if bool(right[i]) == of_kind] for of_kind in (True, False))
    within = [
        (questions[i], _order(scores[i], scores[j])) for i, j in product(good, bad) if questions[i] == questions[j]
    ]
    return Detection(
        len(scored),
        _auc(scores, good, bad, questions),
        _share(within),
        len(within),
        sum(kept),
        _share((question, float(one)) for question, one, held in zip(questions, right, kept, strict=True) if held),
        _share((question, float(held)) for question, one, held in zip(questions, right, kept, strict=True) if one),
    )


def top_half(scores: Sequence[float | None]) -> list[bool]:
    """The verdict of a score that has none of its own: at least the median of the scored ones."""
    known = [score for score in scores if score is not None]
    middle = float(np.median(known)) if known else 0.0
    return [score is not None and score >= middle for score in scores]


def _order(good: float | None, bad: float | None) -> float:
    """1 for a pair in the right order, a half for equal scores."""
    assert good is not None and bad is not None
    return float(good > bad) + (good == bad) / 2


def _share(values: Iterable[tuple[str, float]]) -> Estimate:
    """The mean of values between 0 and 1, each with its question."""
    by_question: dict[str, list[float | None]] = {}
    for question, value in values:
        by_question.setdefault(question, []).append(value)
    found = clustered_interval(by_question)
    return Estimate(found.mean, found.low, found.high)


def _auc(scores: Sequence[float | None], good: Sequence[int], bad: Sequence[int], questions: Sequence[str]) -> Estimate:
    if not good or not bad:
        return Estimate(None)
    names = {name: place for place, name in enumerate(sorted(set(questions)))}
    size = len(names) + 2
    high, low = ([*(names[questions[i]] for i in side), size - 2, size - 1] for side in (good, bad))
    values = [np.array([*(scores[i] for i in side), *ends]) for side, ends in ((good, _ENDS), (bad, _ENDS[::-1]))]
    table = (values[0][:, None] > values[1]) + 0.5 * (values[0][:, None] == values[1])
    rng = np.random.default_rng(derive_seed("detection", len(names), len(questions)))
    drawn = rng.multinomial(size, np.full(size, 1 / size), size=_RESAMPLES).astype(float)
    own, theirs = drawn[:, high], drawn[:, low]
    own[:, -2:], theirs[:, -2:] = own[:, -2:] / 2, theirs[:, -2:] / 2
    pairs = own.sum(1) * theirs.sum(1)
    ratios = ((own @ table) * theirs).sum(1)[pairs > 0] / pairs[pairs > 0]
    ends = np.quantile(ratios, [0.025, 0.975])
    return Estimate(float(table[:-2, :-2].mean()), float(ends[0]), float(ends[1]))
