"""How well a score tells right trajectories from wrong ones: AUC, precision and recall with intervals by question.

    detection(scores, right, kept, questions)      # Detection(scored=200, auc=Estimate(0.81, 0.74, 0.88), ...)

Intervals are percentile bootstraps over questions: trajectories of one question are drawn together. A resample without
right or without wrong trajectories has no AUC and is left out.
Not here: the scores (trajectory_scores), and choices within a step (selection).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rest_react.seeds import derive_seed

_RESAMPLES = 2000


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
    names = sorted(set(questions))
    owner = np.array([names.index(question) for question in questions], dtype=int)
    rng = np.random.default_rng(derive_seed("detection", len(names), len(questions)))
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / max(len(names), 1)), size=_RESAMPLES)
    weights = np.vstack([np.ones(len(names)), drawn])[:, owner].astype(float)  # the first row: the data themselves
    is_right, is_kept = np.array(right, dtype=bool), np.array(kept, dtype=bool)
    is_scored = np.array([score is not None for score in scores], dtype=bool)
    values = np.array([np.nan if score is None else score for score in scores], dtype=float)
    good, bad = np.flatnonzero(is_scored & is_right), np.flatnonzero(is_scored & ~is_right)
    higher = (values[good, None] > values[None, bad]) + 0.5 * (values[good, None] == values[None, bad])
    same = owner[good, None] == owner[None, bad]
    hits = weights[:, is_kept & is_right].sum(1)
    return Detection(
        int(is_scored.sum()),
        _estimate(_pairs(weights, good, bad, higher), _pairs(weights, good, bad, np.ones_like(higher))),
        # A question that is drawn twice weighs twice, not four times, so one side counts once.
        _estimate(_within(weights, good, higher * same), _within(weights, good, same.astype(float))),
        int(same.sum()),
        int(is_kept.sum()),
        _estimate(hits, weights[:, is_kept].sum(1)),
        _estimate(hits, weights[:, is_right].sum(1)),
    )


def top_half(scores: Sequence[float | None]) -> list[bool]:
    """The verdict of a score that has none of its own: at least the median of the scored ones."""
    known = [score for score in scores if score is not None]
    middle = float(np.median(known)) if known else 0.0
    return [score is not None and score >= middle for score in scores]


def _pairs(weights: Any, good: Any, bad: Any, table: Any) -> Any:
    """For each resample the sum of the table over pairs, each weighing by both of its trajectories."""
    return ((weights[:, good] @ table) * weights[:, bad]).sum(1)


def _within(weights: Any, good: Any, table: Any) -> Any:
    """The same for pairs of one question."""
    return weights[:, good] @ table.sum(1)


def _estimate(parts: Any, wholes: Any) -> Estimate:
    """The ratio of the first row with the quantiles of the others."""
    ratios = np.divide(parts, wholes, out=np.full(len(parts), np.nan), where=wholes > 0)
    if np.isnan(ratios[0]):
        return Estimate(None)
    low, high = np.nanquantile(ratios[1:], [0.025, 0.975])
    return Estimate(float(ratios[0]), float(low), float(high))
