"""The tables of a sweep by settings: accuracy beside the baselines, the price of training, seconds by output tokens.

    headings, rows = sweep_table(arms)          # a line for each arm: settings, benchmark, accuracy, interval, ...
    headings, rows = costs_table(arms)          # what training costs, and after how many answers it has paid
    headings, rows = latency_table(arms)        # the median seconds of an answer by its output tokens

An arm has the runs that differ only in their seeds, its trainings. With several, intervals are over both items and
trainings, else over items alone. Not here: reading the runs (sweep.report).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import TypeAlias

from rest_react.metrics.intervals import Share, clustered_interval, paired_difference
from rest_react.metrics.trainings import change_over_trainings, difference_to_baseline, mean_over_trainings
from rest_react.reporting.number_formats import number, percent, points, span
from rest_react.reporting.results.results_json import BreakEven, ComparedBaseline, ResultRow
from rest_react.reporting.results.rows import RATING
from rest_react.reporting.tables.baseline_table import pays_after
from rest_react.text_safety.escaping import visible

_SIZE = "demonstrations.questions.n"
Values: TypeAlias = Mapping[str, Sequence[float | None]]
Table: TypeAlias = tuple[list[str], list[list[str]]]


@dataclass(frozen=True, slots=True)
class Arm:
    """The runs with the same settings on one benchmark. `values` has for each item its score in each training; `scores`
    the same for each of the task's own scores, `baselines` the scores of each baseline. `rows` are the last row of each
    training, `compared` the baselines of all of them; `start` is as `values`, of the first evaluation of each training,
    if that is an earlier one in all of them."""

    settings: tuple[str, ...]
    benchmark: str
    trainings: int
    values: Values
    scores: Mapping[str, Values]
    baselines: Mapping[str, Values]
    rows: Sequence[ResultRow] = ()
    compared: Sequence[ComparedBaseline] = field(default=(), repr=False)
    start: Values = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its settings."""
        return " ".join(self.settings) or "(all)"

    @property
    def accuracy(self) -> Share:
        """The mean over items and trainings; `std` is the spread over trainings."""
        return _share(self.values)

    def minus(self, baseline: str) -> Share:
        """Its accuracy minus that of the baseline, paired by item."""
        theirs = self.baselines.get(baseline, {})
        trainings = _by_training(self.values)
        if len(trainings) < 2:
            return paired_difference(self.values, theirs)
        found = difference_to_baseline(trainings, theirs)
        return Share(found.mean, found.std, found.low, found.high, found.questions, len(trainings))

    def minus_start(self) -> Share:
        """Its accuracy minus that of its start, paired by item and training."""
        after, before = _by_training(self.values), _by_training(self.start)
        if len(after) < 2 or len(after) != len(before):
            return paired_difference(self.values, self.start)
        found = change_over_trainings(after, before)
        return Share(found.mean, found.std, found.low, found.high, found.questions, len(after))

    @property
    def size(self) -> int | None:
        """The number of labelled rows, where it is one of the settings that differ."""
        given = dict(setting.partition("=")[::2] for setting in self.settings)
        return int(given[_SIZE]) if given.get(_SIZE, "").isdecimal() else None


def sweep_table(arms: Sequence[Arm]) -> Table:
    """The headings and the lines of the main table, one line for each arm."""
    names = sorted({name for arm in arms for name in arm.baselines})
    scores = sorted({name for arm in arms for name in arm.scores})
    headings = ["Settings", "Benchmark", "Trainings", "Items", "Accuracy", "95% interval", "Std over trainings"]
    started = any(arm.start for arm in arms)
    headings += ["Start", "Minus start"] if started else []
    headings += [f"{name}" for name in names] + [f"Minus {name}" for name in names]
    headings += [name.replace("_", " ") for name in scores]
    rows = []
    for arm in arms:
        share = arm.accuracy
        cells = [arm.name, visible(arm.benchmark), str(arm.trainings), str(share.n)]
        cells += [percent(share.mean), span(share), "" if share.std is None else f"{100 * share.std:.1f}"]
        cells += [percent(_share(arm.start).mean), _difference(arm.minus_start())] if started else []
        cells += [percent(clustered_interval(arm.baselines.get(name, {})).mean) for name in names]
        cells += [_difference(arm.minus(name)) for name in names]
        rows.append(cells + [_score(name, arm.scores.get(name, {})) for name in scores])
    return headings, rows


def _difference(change: Share) -> str:
    return "" if change.mean is None else f"{points(change.mean)} {span(change, '+')}"


def costs_table(arms: Sequence[Arm]) -> Table:
    """A line for each arm and each baseline that asks a model. Without such baselines no lines."""
    headings = ["Settings", "Benchmark", "Against", "Trainings", "Training, USD", "Training, minutes"]
    headings += ["Saved, USD per 1,000 answers", "Saved, s/answer", "Pays after, USD", "Pays after, time"]
    rows = []
    for arm in arms:
        paid: dict[str, list[BreakEven]] = {}
        for one in arm.compared:
            if one.row.tokens and one.break_even is not None:
                paid.setdefault(one.name, []).append(one.break_even)
        for name, found in paid.items():
            minutes = _times([one.training_seconds for one in found], 1 / 60)
            cells = [arm.name, visible(arm.benchmark), visible(name), str(len(found))]
            cells += [number(_times([one.training_usd for one in found]), 4), number(minutes, 1)]
            cells += [number(_times([one.saved_usd for one in found], 1000), 4)]
            cells += [number(_times([one.saved_seconds for one in found]), 3)]
            numbers = ([one.answers_usd for one in found], [one.answers_seconds for one in found])
            texts = zip(*map(pays_after, found), strict=True)
            rows.append([*cells, *map(_over_trainings, numbers, texts)])
    return headings, rows


def latency_table(arms: Sequence[Arm]) -> Table:
    """A line for each arm; a column for each class of lengths has the mean over trainings of the median seconds, their
    range, and the number of answers."""
    names = sorted({name for arm in arms for row in arm.rows for name in row.latency}, key=_first_number)
    rows = []
    for arm in arms:
        cells = [arm.name, visible(arm.benchmark), str(arm.trainings)]
        for name in names:
            held = [row.latency[name] for row in arm.rows if name in row.latency]
            medians = [one.median_s for one in held]
            ends = f" [{min(medians):.2f}, {max(medians):.2f}]" if len(medians) > 1 else ""
            n = sum(one.answers for one in held)
            cells.append(f"{fmean(medians):.2f}{ends} of {n}" if held else "")
        rows.append(cells)
    return ["Settings", "Benchmark", "Trainings", *(f"{name} tokens" for name in names)], rows if names else []


def _first_number(name: str) -> int:
    return int(name.partition("-")[0])


def _times(values: Sequence[float | None], factor: float = 1.0) -> float | None:
    """The mean times a factor; None if one is unknown."""
    known = [value for value in values if value is not None]
    return factor * fmean(known) if known and len(known) == len(values) else None


def _over_trainings(answers: Sequence[int | None], texts: Sequence[str]) -> str:
    """The range of numbers of answers over trainings; the text of one where all are alike."""
    known = sorted(answer for answer in answers if answer is not None)
    if len(set(texts)) == 1 or not known:
        return texts[0]
    others = f", never or unknown in {len(answers) - len(known)} of {len(answers)}" if len(known) < len(answers) else ""
    return f"{known[0]:,} to {known[-1]:,} answers{others}"


def _score(name: str, values: Values) -> str:
    share = _share(values, (1.0, 5.0) if name == RATING else (0.0, 1.0))
    if share.mean is None or share.low is None or share.high is None:
        return ""
    if name == RATING:
        return f"{share.mean:.2f} [{share.low:.2f}, {share.high:.2f}]"
    return f"{percent(share.mean)} {span(share)}"


def _share(values: Values, scale: tuple[float, float] = (0.0, 1.0)) -> Share:
    """The mean of values on a bounded scale over items and trainings."""
    trainings = _by_training(values)
    if len(trainings) < 2:
        return clustered_interval(values, scale=scale)
    low, width = scale[0], scale[1] - scale[0]
    unit = [
        {item: [(v - low) / width for v in given if v is not None] for item, given in one.items()} for one in trainings
    ]
    found = mean_over_trainings(unit)
    mean, lowest, highest = (None if end is None else low + width * end for end in (found.mean, found.low, found.high))
    std = None if found.std is None else width * found.std
    return Share(mean, std, lowest, highest, found.questions, len(trainings))


def _by_training(values: Values) -> list[Values]:
    """The same values as one mapping a training, without trainings in which nothing is scored."""
    columns = range(max(map(len, values.values()), default=0))
    split = [{item: [given[i]] for item, given in values.items() if i < len(given)} for i in columns]
    return [one for one in split if any(value is not None for given in one.values() for value in given)]
