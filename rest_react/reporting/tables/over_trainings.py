"""Tables over trainings: runs that differ by their seeds alone are trainings of one arm.

    trainings_tables(runs, "world")["differences"]["rows"][0]     # ["a_0, a_1", "1", "b_0", "1", "+4.0", ...]

The arm of the first run is the reference. What runs share is one training: its copies count once.
Not here: what is a seed (reporting.origin), the statistics (metrics.trainings), and differences between single runs
(reporting.compare).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rest_react.metrics.number_formats import percent, points, span
from rest_react.metrics.trainings import OverTrainings, difference_over_trainings, mean_over_trainings
from rest_react.reporting.compared_run import Run
from rest_react.reporting.origin import arm_key, shared_by
from rest_react.text_safety.escaping import visible


def trainings_tables(runs: Sequence[Run], benchmark: str) -> dict[str, Any]:
    """The accuracy of each arm over its trainings, and its difference to the first arm. Empty if no arm has several
    trainings."""
    found = arms(runs)
    if all(len(arm) < 2 for arm in found):
        return {}
    return {"accuracy": _accuracy(found, benchmark), "differences": _differences(found, benchmark)}


def arms(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs with the same settings but for their seeds, in order of their first. Runs whose settings are not known are
    arms of their own."""
    found: dict[object, list[Run]] = {}
    for number, run in enumerate(runs):
        found.setdefault(arm_key(run.origin) if run.settings else number, []).append(run)
    return list(found.values())


def _accuracy(found: Sequence[Sequence[Run]], benchmark: str) -> dict[str, Any]:
    headings = [
        "Trainings", "Iteration", "Accuracy of each", "Mean", "Std between trainings",
        "95% interval over questions and trainings", "Questions",
    ]  # fmt: skip
    rows = []
    for arm in found:
        for k in _iterations(arm, benchmark):
            over = mean_over_trainings(_answers(arm, k, benchmark))
            each = ", ".join(percent(mean) for mean in over.by_training)
            rows.append([_name(arm), str(k), each, percent(over.mean), _spread(over), span(over), str(over.questions)])
    return {"headings": headings, "rows": rows}


def _differences(found: Sequence[Sequence[Run]], benchmark: str) -> dict[str, Any]:
    headings = [
        "Trainings", "Iteration", "Reference", "Iteration of the reference", "Difference",
        "95% interval over questions and trainings", "Std between trainings", "Questions in all",
    ]  # fmt: skip
    rows = []
    reference, theirs = found[0], _iterations(found[0], benchmark)
    for arm in found[1:]:
        for mine, other in iteration_pairs(_iterations(arm, benchmark), theirs):
            over = difference_over_trainings(_answers(arm, mine, benchmark), _answers(reference, other, benchmark))
            cells = [_name(arm), str(mine), _name(reference), str(other), points(over.mean)]
            rows.append([*cells, span(over, "+"), _spread(over), str(over.questions)])
    return {"headings": headings, "rows": rows}


def iteration_pairs(own: Sequence[int], theirs: Sequence[int]) -> list[tuple[int, int]]:
    """The pairs of iterations to compare: those that both sides have, and the last of each."""
    if not own or not theirs:
        return []
    return sorted({(k, k) for k in own if k in theirs} | {(max(own), max(theirs))})


def _iterations(arm: Sequence[Run], benchmark: str) -> list[int]:
    """The iterations that all trainings of the arm have."""
    shared = set.intersection(*({k for k, name in run.answers if name == benchmark} for run in arm))
    return sorted(shared)


def _answers(arm: Sequence[Run], k: int, benchmark: str) -> list[Mapping[str, Sequence[float | None]]]:
    """The answers of each training of iteration `k`, without those of copies."""
    found = [(shared_by(run.origin, k), run.answers[k, benchmark]) for run in arm]
    return [found[i][1] for i in without_copies(found)]


def without_copies(trainings: Sequence[tuple[object, object]]) -> list[int]:
    """The positions of trainings that are no copy of an earlier one. Each has what it shares (`shared_by`) and its
    answers: those of a copy are equal."""
    return [i for i, one in enumerate(trainings) if one not in trainings[:i]]


def _name(arm: Sequence[Run]) -> str:
    return ", ".join(visible(run.name) for run in arm)


def _spread(over: OverTrainings) -> str:
    return "one training" if over.std is None else f"{100 * over.std:.1f}"
