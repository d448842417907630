"""Means and differences over several trainings of an arm, with intervals over questions *and* trainings.

    >>> seeds = [{"w1": [1.0], "w2": [0.0], "w3": [1.0]}, {"w1": [1.0], "w2": [1.0], "w3": [1.0]}]
    >>> found = mean_over_trainings(seeds)                             # one mapping a training, as in metrics.intervals
    >>> round(found.mean, 3), found.by_training, round(found.std, 3)
    (0.833, (0.6666666666666666, 1.0), 0.236)

All trainings answer the same questions, so questions and trainings are crossed random effects. The variance of the
mean is that of the questions plus that of the trainings; each is taken from the mean squares of a two-way layout (the
classical estimates of a mixed model), with the degrees of freedom of Satterthwaite for Student's t. Two arms are
assumed to have the same variance between trainings, so it is pooled: three trainings each give four degrees of freedom.
A two-level bootstrap is not used: with three trainings it covers too little where trainings differ much, and too much
where they do not (docs/metrics.md has the measured coverage).
Not here: intervals over questions alone (metrics.intervals), and which runs are trainings of one arm (reporting).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, TypeAlias

from rest_react.metrics.intervals import shrunken_mean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Answers: TypeAlias = Mapping[str, Sequence[float | None]]


@dataclass(frozen=True, slots=True)
class OverTrainings:
    """A mean over trainings and over the `questions` that are scored in each of them, with its 95% interval. `std` is
    the standard deviation between trainings, of a difference those of both sides pooled. `low`, `high` and `std` are
    None if there is only one training a side: nothing tells how much trainings vary. All None without questions."""

    mean: float | None
    std: float | None
    low: float | None
    high: float | None
    questions: int
    by_training: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class _Arm:
    """`scores`: the mean score of each question in each training, shape [trainings, questions]."""

    scores: "NDArray[np.float64]"

    @property
    def means(self) -> "NDArray[np.float64]":
        found: NDArray[np.float64] = self.scores.mean(axis=1)
        return found

    @property
    def of_questions(self) -> list[float]:
        found: list[float] = self.scores.mean(axis=0).tolist()
        return found

    @property
    def freedom(self) -> int:
        return len(self.scores) - 1

    def between(self) -> float:
        """The sum of squares of the trainings' means."""
        return float(((self.means - self.scores.mean()) ** 2).sum())

    def residual(self) -> float:
        """What `between` would be, on average, if trainings differed in their answers to single questions alone."""
        questions = self.scores.shape[1]
        if questions < 2:
            return 0.0
        apart = self.scores - self.means[:, None] - self.scores.mean(axis=0) + self.scores.mean()
        return float((apart**2).sum() / (questions - 1) / questions)


def mean_scored(values: Sequence[float | None]) -> float | None:
    """The mean of the scored values; None without one."""
    scored = _scored(values)
    return sum(scored) / len(scored) if scored else None


def mean_over_trainings(trainings: Sequence[Answers]) -> OverTrainings:
    """The mean score of one arm (values between 0 and 1)."""
    names = _scored_in_all(trainings)
    if not names:
        return OverTrainings(None, None, None, None, 0)
    # One imaginary question at each end of the scale, as in metrics.intervals.
    return _mean_of(_arm(trainings, names), {0.0: 1.0, 1.0: 1.0}, (0.0, 1.0))


def mean_of_own_means(trainings: Sequence[Answers]) -> OverTrainings:
    """The mean of the trainings' means, each over the questions that have the score in this training: for a score that
    an answer has or lacks by what it is, so that the questions scored in all trainings would be a biased choice.

    A training's mean is a ratio, scores by scored questions. Each score is replaced by what it adds to this ratio
    (linearisation), that of an unscored question by the mean; then questions and trainings are crossed as ever."""
    import numpy as np

    found = [{name: fmean(scored) for name, given in one.items() if (scored := _scored(given))} for one in trainings]
    own = [one for one in found if one]
    names = sorted(set().union(*own))
    if not names:
        return OverTrainings(None, None, None, None, 0)
    rows = []
    for one in own:
        mean, weight = fmean(one.values()), len(names) / len(one)
        rows.append([weight * one.get(name, mean) + (1 - weight) * mean for name in names])
    arm = _Arm(np.array(rows))
    mean, weight = float(arm.means.mean()), len(names) / fmean(map(len, own))
    imaginary = {(1 - weight) * mean: 1.0, weight + (1 - weight) * mean: 1.0}
    return _mean_of(arm, imaginary, (0.0, 1.0))


def difference_over_trainings(ours: Sequence[Answers], theirs: Sequence[Answers]) -> OverTrainings:
    """The mean difference of two arms, paired by question. Trainings are not paired, whatever their seeds."""
    return _difference(ours, theirs, varying=slice(None))


def difference_to_baseline(trainings: Sequence[Answers], baseline: Answers) -> OverTrainings:
    """The mean difference of an arm to answers that are the same beside each training, paired by question: the arm's
    trainings vary, the baseline does not. For one that learnt anew in each run: `change_over_trainings`."""
    return _difference(trainings, [baseline], varying=slice(1))


def change_over_trainings(after: Sequence[Answers], before: Sequence[Answers]) -> OverTrainings:
    """The mean change of each training from other answers of its own, earlier ones or those of a baseline of the same
    run, paired by question and training."""
    names = _scored_in_all([*after, *before])
    if not names:
        return OverTrainings(None, None, None, None, 0)
    arm = _Arm(_arm(after, names).scores - _arm(before, names).scores)
    half = 0.5 / _answers(names, after, before)  # half a pair of answers, as in metrics.intervals
    return _mean_of(arm, {-1.0: half, 0.0: 2 * half, 1.0: half}, (-1.0, 1.0))


def _mean_of(arm: _Arm, imaginary: Mapping[float, float], ends: tuple[float, float]) -> OverTrainings:
    """The mean of an arm; `imaginary` questions (value to weight) are as in `shrunken_mean`."""
    centre, error = shrunken_mean(arm.of_questions, imaginary)
    low, high = _interval(centre, error, [arm], ends=ends)
    std = math.sqrt(arm.between() / arm.freedom) if arm.freedom else None
    return OverTrainings(float(arm.means.mean()), std, low, high, arm.scores.shape[1], tuple(arm.means.tolist()))


def _difference(ours: Sequence[Answers], theirs: Sequence[Answers], *, varying: slice) -> OverTrainings:
    """`varying`: which of the two sides are trainings."""
    names = _scored_in_all([*ours, *theirs])
    if not names:
        return OverTrainings(None, None, None, None, 0)
    sides = [_arm(ours, names), _arm(theirs, names)]
    differences = [mine - other for mine, other in zip(*(arm.of_questions for arm in sides), strict=True)]
    arms = sides[varying]
    freedom = sum(arm.freedom for arm in arms)
    std = math.sqrt(sum(arm.between() for arm in arms) / freedom) if freedom else None
    half = 0.5 / _answers(names, ours, theirs)  # half a pair of answers, as in metrics.intervals
    centre, error = shrunken_mean(differences, {-1.0: half, 0.0: 2 * half, 1.0: half})
    low, high = _interval(centre, error, arms, ends=(-1.0, 1.0))
    return OverTrainings(fmean(differences), std, low, high, len(names))


def _answers(names: Sequence[str], *sides: Sequence[Answers]) -> float:
    """The scored answers to a question that the sides have at least, over their trainings."""
    return min(len(side) * fmean(len(_scored(one[name])) for one in side for name in names) for side in sides)


def _interval(
    centre: float, error: float, arms: Sequence[_Arm], ends: tuple[float, float]
) -> tuple[float | None, float | None]:
    """Centre ± t standard errors over questions and trainings; None if each arm has one training."""
    from scipy.stats import t

    freedom = sum(arm.freedom for arm in arms)
    if not freedom:
        return None, None
    sides = sum(1 / (arm.freedom + 1) for arm in arms)
    between = sum(arm.between() for arm in arms) / freedom * sides
    residual = sum(arm.residual() for arm in arms) / freedom * sides
    total = error**2 + max(between - residual, 0.0)
    questions = max(arms[0].scores.shape[1] - 1, 1)
    spread = error**4 / questions + between**2 / freedom
    reach = t.ppf(0.975, max(total**2 / spread, freedom)) * math.sqrt(total)
    return max(float(centre - reach), ends[0]), min(float(centre + reach), ends[1])


def _scored_in_all(trainings: Sequence[Answers]) -> list[str]:
    """The questions with a scored answer in each training."""
    names = set(trainings[0]).intersection(*trainings[1:])
    return sorted(name for name in names if all(_scored(one[name]) for one in trainings))


def _scored(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _arm(trainings: Sequence[Answers], names: Sequence[str]) -> _Arm:
    import numpy as np

    return _Arm(np.array([[fmean(_scored(one[name])) for name in names] for one in trainings]))
