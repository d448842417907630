"""Curves of accuracy by the number of training examples, over runs that differ in `improve.max_examples` and seeds.

    for curve in training_size_curves(runs, "world"):
        curve["runs"], curve["sizes"][0].accuracy.mean       # "data_10_0, data_10_1, data_30_0", 0.41

Runs that differ in other settings too are in different curves, since these may be what makes the difference.
Not here: which settings are seeds (reporting.origin), the chart (templates/charts.html.j2).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rest_react.metrics.intervals import Share, clustered_interval
from rest_react.metrics.number_formats import percent, span
from rest_react.metrics.trainings import OverTrainings, mean_over_trainings
from rest_react.reporting.compared_run import Run
from rest_react.reporting.origin import arm_key, shared_by
from rest_react.reporting.tables.over_trainings import without_copies
from rest_react.text_safety.escaping import visible

MAX_EXAMPLES = "improve.max_examples"
Answers = Mapping[str, Sequence[float | None]]


@dataclass(frozen=True, slots=True)
class AccuracyBySize:
    """The accuracy of all `runs` fine-tunings on `examples` examples: of one over questions, of several over questions
    and fine-tunings."""

    examples: int
    runs: int
    accuracy: Share | OverTrainings


def training_size_curves(runs: Sequence[Run], benchmark: str) -> list[dict[str, Any]]:
    """A curve for each group of runs that differ in `improve.max_examples` and agree in all other settings but seeds,
    at the last iteration that all of them have."""
    tuned = [run for run in runs if _iterations(run, benchmark)]
    curves = []
    for group in groups_by_size(tuned):
        shared = set.intersection(*(_iterations(run, benchmark) for run in group))
        if not shared:
            continue
        k = max(shared)
        sizes = _sizes(group, k, benchmark)
        names = ", ".join(visible(run.name) for run in group)
        curves.append({"runs": names, "iteration": k, "sizes": sizes, "table": _table(sizes)})
    return curves


def groups_by_size(runs: Sequence[Run]) -> list[list[Run]]:
    """The groups of runs, each with at least two values of `improve.max_examples`. Runs without examples of their own
    (0, the restart control) are no point of a curve."""
    groups: dict[object, list[Run]] = {}
    for run in (run for run in runs if run.settings.get(MAX_EXAMPLES) != 0):
        groups.setdefault(arm_key(run.origin, without=[MAX_EXAMPLES]), []).append(run)
    return [group for group in groups.values() if len({run.settings.get(MAX_EXAMPLES) for run in group}) > 1]


def _iterations(run: Run, benchmark: str) -> set[int]:
    """The evaluated iterations with training examples of their own. A published results.json has not their number."""
    return {k for k, name in run.answers if k and name == benchmark and k in run.trained}


def _sizes(group: Sequence[Run], k: int, benchmark: str) -> list[AccuracyBySize]:
    found: dict[int, list[tuple[object, Answers]]] = {}
    for run in group:
        found.setdefault(run.trained[k][1], []).append((shared_by(run.origin, k), run.answers[k, benchmark]))
    sizes = {examples: [own[i][1] for i in without_copies(own)] for examples, own in sorted(found.items())}
    return [AccuracyBySize(examples, len(tuned), _accuracy(tuned)) for examples, tuned in sizes.items()]


def _accuracy(tuned: Sequence[Answers]) -> Share | OverTrainings:
    if len(tuned) > 1:
        return mean_over_trainings(tuned)
    return replace(clustered_interval(tuned[0]), std=None)  # the spread of repeats is none of trainings


def _table(sizes: Sequence[AccuracyBySize]) -> dict[str, Any]:
    headings = [
        "Examples",
        "Fine-tunings",
        "Accuracy",
        "95% interval (of several, over these too)",
        "Std between fine-tunings",
    ]
    rows = []
    for size in sizes:
        accuracy = size.accuracy
        spread = "" if accuracy.std is None else percent(accuracy.std)
        rows.append([f"{size.examples:,}", str(size.runs), percent(accuracy.mean), span(accuracy), spread])
    return {"headings": headings, "rows": rows}
