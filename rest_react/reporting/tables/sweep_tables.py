"""The tables of a sweep by settings: accuracy beside the baselines, the price of training, seconds by output tokens.

    headings, rows = sweep_table(arms)          # a line for each arm: settings, benchmark, accuracy, interval, ...
    headings, rows = costs_table(arms)          # what training costs, and after how many answers it has paid
    headings, rows = latency_table(arms)        # the median seconds of an answer by its output tokens

Not here: the means and differences of an arm (sweep_arm), reading the runs (sweep.arms).
"""

from collections.abc import Sequence
from statistics import fmean
from typing import TypeAlias

from rest_react.metrics.intervals import Share
from rest_react.metrics.number_formats import change, number, percent, span
from rest_react.reporting.results.results_json import BreakEven
from rest_react.reporting.results.rows import RATING
from rest_react.reporting.tables.baseline_table import pays_after
from rest_react.reporting.tables.sweep_arm import Arm
from rest_react.text_safety.escaping import visible

Table: TypeAlias = tuple[list[str], list[list[str]]]


def sweep_table(arms: Sequence[Arm]) -> Table:
    """The headings and the lines of the main table, one line for each arm."""
    names = sorted({name for arm in arms for name in arm.baselines})
    scores = sorted({name for arm in arms for name in arm.scores})
    headings = ["Settings", "Benchmark", "Trainings", "Items", "Accuracy", "95% interval", "Std over trainings"]
    started = any(arm.start for arm in arms)
    headings += ["Start", "Minus start"] if started else []
    headings += [*names, *(f"Minus {name}" for name in names)]
    headings += [name.replace("_", " ") for name in scores]
    rows = []
    for arm in arms:
        share = arm.accuracy
        scored = arm.scored_trainings
        trainings = str(arm.trainings) if scored == arm.trainings else f"{arm.trainings} ({scored} scored)"
        cells = [arm.name, visible(arm.benchmark), trainings, str(share.n)]
        cells += [percent(share.mean), span(share), "" if share.std is None else f"{100 * share.std:.1f}"]
        cells += [percent(arm.start_accuracy.mean), _difference(arm.minus_start())] if started else []
        cells += [percent(arm.baseline(name).mean) for name in names]
        cells += [_difference(arm.minus(name)) for name in names]
        rows.append(cells + [_score(arm, name) for name in scores])
    return headings, rows


def _difference(difference: Share) -> str:
    return "" if difference.mean is None else change(difference)


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
    """The range of numbers of answers over trainings, and in how many it is never or unknown; the text of one where all
    are alike."""
    if len(set(texts)) == 1:
        return texts[0]
    known = [f"{answer:,}" for answer in sorted(answer for answer in answers if answer is not None)]
    told = [f"{' to '.join(dict.fromkeys((known[0], known[-1])))} answers"] if known else []
    cases = {"never": texts.count("never"), "unknown": texts.count("")}
    return ", ".join([*told, *(f"{case} in {n} of {len(texts)}" for case, n in cases.items() if n)])


def _score(arm: Arm, name: str) -> str:
    """One of the task's own scores, with the number of items that have it where that is not all of them."""
    share, counts = arm.score(name), arm.scored_items(name)
    if share.mean is None or share.low is None or share.high is None:
        return ""
    fewest, most = min(counts), max(counts)
    n = f" (n={fewest if fewest == most else f'{fewest} to {most}'})" if fewest < arm.items else ""
    if name == RATING:
        return f"{share.mean:.2f} [{share.low:.2f}, {share.high:.2f}]{n}"
    return f"{percent(share.mean)} {span(share)}{n}"
