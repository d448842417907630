"""Runs side by side: how they differ, what differs in their settings, and the paper's tables beside their numbers.

    view = compare([Run("perplexity", rows, settings, answers, examples), Run("random", ...)])

The first run is the reference: every other one is compared with it at the iterations that both have and as both ended
(a control that is its own iteration 0 against the loop's iteration 3), paired by question. Each difference comes with
the smallest one that so many questions would show, and with how many questions it would take to see the difference
found. The paper's numbers are PaLM 2's, on other questions with another search engine: they stand there for
orientation, and no difference to them is computed.

Not here: a run's own numbers (rows), the paper's tables (paper_tables), the page (report).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from rest_react.metrics.intervals import Share, clustered_interval, detectable_difference, paired_difference
from rest_react.reporting.compared_run import Run
from rest_react.reporting.number_formats import percent, points, span
from rest_react.reporting.paper_tables import paper_tables
from rest_react.text_safety import visible

Table = dict[str, Any]


@dataclass(frozen=True, slots=True)
class AccuracyBySize:
    """The accuracy of all `runs` that were tuned on so many examples."""

    examples: int
    runs: int
    accuracy: Share


def compare(runs: Sequence[Run]) -> dict[str, Any]:
    """All that the page shows: curves and differences for each benchmark, settings that differ, the paper's tables."""
    names = dict.fromkeys(row.benchmark for run in runs for row in run.rows)
    return {
        "names": [visible(run.name) for run in runs],
        "benchmarks": [_benchmark(runs, name) for name in names],
        "settings": _settings(runs),
        "paper": paper_tables(runs),
        "notes": list(_notes(runs)),
    }


def _benchmark(runs: Sequence[Run], name: str) -> dict[str, Any]:
    sizes = _by_examples(runs, name)
    return {
        "name": visible(name),
        "series": _series(runs, name),
        "differences": _differences(runs, name),
        "sizes": sizes,
        "size_table": _size_table(sizes),
    }


def _series(runs: Sequence[Run], benchmark: str) -> list[dict[str, Any]]:
    own = [(run.name, [row for row in run.rows if row.benchmark == benchmark]) for run in runs]
    return [{"name": visible(name), "rows": rows} for name, rows in own if rows]


def _by_examples(runs: Sequence[Run], benchmark: str) -> list[AccuracyBySize]:
    """How much data: accuracy of the last iteration by the number of examples it was tuned on, all runs with that
    number together. The interval is over other questions; `std` tells how far the fine-tunings lie apart. Empty unless
    the runs were told to train on different numbers, and chose their targets alike."""
    limit = "improve.max_examples"
    chosen = [{k: v for k, v in run.settings.items() if k.startswith("improve.") and k != limit} for run in runs]
    if len({run.settings.get(limit) for run in runs}) < 2 or any(other != chosen[0] for other in chosen):
        return []
    found: dict[int, list[Mapping[str, Sequence[float | None]]]] = {}
    for run in runs:
        last = max((k for k, name in run.answers if k and name == benchmark), default=None)
        if last is not None:
            found.setdefault(run.trained[last][1], []).append(run.answers[last, benchmark])
    return [
        AccuracyBySize(examples, len(tuned), clustered_interval(_together(tuned)))
        for examples, tuned in sorted(found.items())
    ]


def _size_table(sizes: Sequence[AccuracyBySize]) -> Table:
    headings = ["Examples", "Fine-tunings", "Accuracy", "95% interval", "Std between fine-tunings"]
    rows = []
    for size in sizes:
        accuracy = size.accuracy
        spread = "" if accuracy.std is None else percent(accuracy.std)
        rows.append([f"{size.examples:,}", str(size.runs), percent(accuracy.mean), span(accuracy), spread])
    return {"headings": headings, "rows": rows}


def _together(runs: Sequence[Mapping[str, Sequence[float | None]]]) -> dict[str, list[float | None]]:
    """Each question's score in each of them, its repeats averaged: the spread over columns is that between runs."""
    return {question: [_mean(run.get(question, ())) for run in runs] for run in runs for question in run}


def _mean(scores: Sequence[float | None]) -> float | None:
    scored = [score for score in scores if score is not None]
    return fmean(scored) if scored else None


def _differences(runs: Sequence[Run], benchmark: str) -> Table:
    """Each run against the first, where both answered some of the same questions."""
    headings = [
        "Run", "Iteration", "Against", "Its iteration", "Difference", "95% interval", "Questions in both",
        "Would show from", "Questions to show this one",
    ]  # fmt: skip
    reference = runs[0]
    rows = []
    for run in runs[1:]:
        for own, theirs in _pairs(run, reference, benchmark):
            change = paired_difference(run.answers[own, benchmark], reference.answers[theirs, benchmark])
            limit = detectable_difference(change)
            if change.mean is None or limit is None:
                continue
            needed = math.ceil(change.n * (limit / change.mean) ** 2) if abs(change.mean) > 1e-9 else None
            cells = [visible(run.name), str(own), visible(reference.name), str(theirs), points(change.mean)]
            found = [span(change, "+"), str(change.n), f"{100 * limit:.1f}", "" if needed is None else f"{needed:,}"]
            rows.append([*cells, *found])
    return {"headings": headings, "rows": sorted(rows, key=lambda cells: (int(cells[1]), int(cells[3])))}


def _pairs(run: Run, reference: Run, benchmark: str) -> list[tuple[int, int]]:
    """The iterations of both to compare: those that both have, and the last of each."""
    own, theirs = ([k for k, name in answered.answers if name == benchmark] for answered in (run, reference))
    if not own or not theirs:
        return []
    return sorted({(k, k) for k in own if k in theirs} | {(max(own), max(theirs))})


def _settings(runs: Sequence[Run]) -> Table:
    """The settings that are not the same in all of them."""
    keys = sorted({key for run in runs for key in run.settings})
    values = [[visible(str(run.settings.get(key, "(not set)"))) for run in runs] for key in keys]
    differing = [[key, *cells] for key, cells in zip(keys, values, strict=True) if len(set(cells)) > 1]
    return {"headings": ["Setting", *(visible(run.name) for run in runs)], "rows": differing}


def _notes(runs: Sequence[Run]) -> Iterator[str]:
    graders = {row.grader for run in runs for row in run.rows}
    if len(graders) > 1:
        yield f"Graded by {' and '.join(map(visible, sorted(graders)))}: a difference may be the grader's."
    for run in runs:
        if not run.rows:
            yield f"{visible(run.name)} has no complete evaluation yet."
        if run.settings.get("smoke"):
            yield f"{visible(run.name)} is a smoke run: its rollouts are scripted, its numbers mean nothing."
    for run in runs[1:]:
        for name in dict.fromkeys(name for _, name in run.answers):
            own, theirs = _questions(run, name), _questions(runs[0], name)
            if theirs and not own & theirs:
                yield (
                    f"{visible(run.name)} and {visible(runs[0].name)} answered other questions of {visible(name)}: no "
                    "difference is computed, and their curves are not to be compared."
                )


def _questions(run: Run, benchmark: str) -> set[str]:
    return {question for (_, name), answers in run.answers.items() if name == benchmark for question in answers}
