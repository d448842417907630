"""An arm of a sweep: the runs that differ only in their seeds, with the means and differences of its trainings.

    arm.accuracy.mean, arm.minus("tfidf").low          # 0.7, -0.02

With several trainings intervals are over both items and trainings, else over items alone.
Not here: reading the runs (sweep.arms), and the tables (sweep_tables).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import TypeAlias

from rest_react.metrics.intervals import Share, clustered_interval, paired_difference
from rest_react.metrics.trainings import (
    Answers,
    OverTrainings,
    change_over_trainings,
    difference_to_baseline,
    mean_of_own_means,
    mean_over_trainings,
)
from rest_react.reporting.results.results_json import ComparedBaseline, ResultRow
from rest_react.reporting.results.rows import RATING

_SIZE = "demonstrations.questions.n"
Values: TypeAlias = Sequence[Answers]  # of each training


@dataclass(frozen=True, slots=True)
class Arm:
    """The runs with the same settings on one benchmark. `values` has the scores of the answers of each training;
    `scores` the same for each of the task's own scores, `baselines` for each baseline as it answered beside each
    training (nothing where a run has no such baseline). `rows` are the last row of each training, `compared` the
    baselines of all of them; `start` is as `values`, of the first evaluation of each training, if all of them have an
    earlier one."""

    settings: tuple[str, ...]
    benchmark: str
    trainings: int
    values: Values
    scores: Mapping[str, Values]
    baselines: Mapping[str, Values]
    rows: Sequence[ResultRow] = ()
    compared: Sequence[ComparedBaseline] = field(default=(), repr=False)
    start: Values = ()

    @property
    def name(self) -> str:
        """Its settings."""
        return " ".join(self.settings) or "(all)"

    @property
    def scored_trainings(self) -> int:
        """The trainings with a scored answer; means and intervals are over these."""
        return len(_scored_trainings(self.values))

    @property
    def items(self) -> int:
        """How many items it was asked."""
        return len(set().union(*self.values))

    @property
    def accuracy(self) -> Share:
        """The mean over items and trainings; `std` is the spread over trainings."""
        return _share(self.values)

    @property
    def start_accuracy(self) -> Share:
        """The same of its start."""
        return _share(self.start)

    def score(self, name: str) -> Share:
        """One of the task's own scores: the mean of the trainings' own means, because an answer may lack the score by
        what it is."""
        scale = (1.0, 5.0) if name == RATING else (0.0, 1.0)
        return _share(self.scores.get(name, ()), scale, mean_of_own_means)

    def scored_items(self, name: str) -> list[int]:
        """How many items have this score in each training."""
        return [sum(map(_is_scored, one.values())) for one in self.scores.get(name, ())]

    def baseline(self, name: str) -> Share:
        """The accuracy of a baseline, over trainings too if it varies with them."""
        theirs = self.baselines.get(name, ())
        return _share(theirs) if _varies(theirs) else clustered_interval(_first_scored(theirs))

    def minus(self, baseline: str) -> Share:
        """Its accuracy minus that of the baseline, paired by item, and by training if the baseline varies with it: one
        that learns may have learnt from other rows in each run."""
        theirs = self.baselines.get(baseline, ())
        if _varies(theirs):
            return _paired_by_training(self.values, theirs)
        trainings = _scored_trainings(self.values)
        if len(trainings) < 2:
            return paired_difference(trainings[0] if trainings else {}, _first_scored(theirs))
        found = difference_to_baseline(trainings, _first_scored(theirs))
        return Share(found.mean, found.std, found.low, found.high, found.questions, len(trainings))

    def minus_start(self) -> Share:
        """Its accuracy minus that of its start, paired by item and training."""
        return _paired_by_training(self.values, self.start)

    @property
    def size(self) -> int | None:
        """The number of labelled rows, where it is one of the settings that differ."""
        given = dict(setting.partition("=")[::2] for setting in self.settings)
        return int(given[_SIZE]) if given.get(_SIZE, "").isdecimal() else None


def _paired_by_training(after: Values, before: Values) -> Share:
    """The mean of `after` minus `before`, over the trainings in which both are scored."""
    pairs = [pair for pair in zip(after, before, strict=False) if all(map(_any_scored, pair))]
    if len(pairs) < 2:
        return paired_difference(*pairs[0]) if pairs else paired_difference({}, {})
    found = change_over_trainings([pair[0] for pair in pairs], [pair[1] for pair in pairs])
    return Share(found.mean, found.std, found.low, found.high, found.questions, len(pairs))


def _share(
    values: Values,
    scale: tuple[float, float] = (0.0, 1.0),
    mean: Callable[[Values], OverTrainings] = mean_over_trainings,
) -> Share:
    """The mean of values on a bounded scale over items and trainings."""
    trainings = _scored_trainings(values)
    if len(trainings) < 2:
        return replace(clustered_interval(trainings[0] if trainings else {}, scale=scale), std=None)
    low, width = scale[0], scale[1] - scale[0]
    unit = [
        {item: [(v - low) / width for v in given if v is not None] for item, given in one.items()} for one in trainings
    ]
    found = mean(unit)
    middle, lowest, highest = (
        None if end is None else low + width * end for end in (found.mean, found.low, found.high)
    )
    std = None if found.std is None else width * found.std
    return Share(middle, std, lowest, highest, found.questions, len(trainings))


def _varies(values: Values) -> bool:
    """Whether answers differ between trainings. A lost answer is no other answer."""
    means = [{item: fmean(scored) for item, given in one.items() if (scored := _scored(given))} for one in values]
    return any(one.get(item, mean) != mean for first in means for item, mean in first.items() for one in means)


def _first_scored(values: Values) -> Answers:
    """The answers of a baseline that does not vary: of each item those of the first training that scored it, since
    copies of an answer are one answer."""
    items = set().union(*values)
    return {item: next((one[item] for one in values if _is_scored(one.get(item, ()))), ()) for item in items}


def _scored_trainings(values: Values) -> list[Answers]:
    """The trainings in which anything is scored."""
    return [one for one in values if _any_scored(one)]


def _any_scored(answers: Answers) -> bool:
    return any(map(_is_scored, answers.values()))


def _is_scored(given: Sequence[float | None]) -> bool:
    return any(value is not None for value in given)


def _scored(given: Sequence[float | None]) -> list[float]:
    return [value for value in given if value is not None]
