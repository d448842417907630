"""Compares runs: differences in accuracy, different settings, and the paper's tables with the numbers of the runs.

    view = compare([Run("perplexity", rows, settings, answers, examples), Run("random", ...)])

The first run is the reference. Every other run is compared with it, paired by question, at the iterations that both
have and at the last iteration of each (a control that has only iteration 0, against iteration 3 of the loop). Each
difference has the detectable difference (80% power) and the number of questions needed to detect the measured one.
Runs that differ by seed alone are trainings of one arm; arms are compared over questions and trainings.
No difference to the paper's numbers is computed: they are from PaLM 2, other questions and another search engine.

Not here: the numbers of one run (reporting.results.rows), arms and curves over training examples
(tables.over_trainings, tables.training_size_curves), the paper's tables (tables.paper_tables), the page (report).
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from rest_react.metrics.intervals import detectable_difference, paired_difference
from rest_react.metrics.number_formats import points, span
from rest_react.reporting.compared_run import Run
from rest_react.reporting.data_notes import data_notes
from rest_react.reporting.origin import unread_notes
from rest_react.reporting.tables.over_trainings import arms, iteration_pairs, trainings_tables
from rest_react.reporting.tables.paper_tables import paper_tables
from rest_react.reporting.tables.training_size_curves import MAX_EXAMPLES, groups_by_size, training_size_curves
from rest_react.text_safety.escaping import visible

Table = dict[str, Any]


def compare(runs: Sequence[Run]) -> dict[str, Any]:
    """The content of the page: curves and differences for each benchmark, different settings, the paper's tables,
    notes. `runs[0]` is the reference."""
    names = dict.fromkeys(row.benchmark for run in runs for row in run.rows)
    return {
        "names": [visible(run.name) for run in runs],
        "benchmarks": [_benchmark(runs, name) for name in names],
        "settings": _settings(runs),
        "paper": paper_tables(runs),
        "notes": list(_notes(runs)),
    }


def _benchmark(runs: Sequence[Run], name: str) -> dict[str, Any]:
    return {
        "name": visible(name),
        "series": _series(runs, name),
        "differences": _differences(runs, name),
        "trainings": trainings_tables(runs, name),
        "curves": training_size_curves(runs, name),
    }


def _series(runs: Sequence[Run], benchmark: str) -> list[dict[str, Any]]:
    own = [(run.name, [row for row in run.rows if row.benchmark == benchmark]) for run in runs]
    return [{"name": visible(name), "rows": rows} for name, rows in own if rows]


def _differences(runs: Sequence[Run], benchmark: str) -> Table:
    """Each run compared with the first, where both answered some of the same questions. Differences in percentage
    points."""
    headings = [
        "Run", "Iteration", "Reference", "Iteration of the reference", "Difference", "95% interval",
        "Questions in both", "Detectable difference (80% power)", "Questions needed for 80% power",
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
    own, theirs = ([k for k, name in answered.answers if name == benchmark] for answered in (run, reference))
    return iteration_pairs(own, theirs)


def _settings(runs: Sequence[Run]) -> Table:
    """The settings that differ between the runs, of those whose settings are known."""
    runs = [run for run in runs if run.settings]
    keys = sorted({key for run in runs for key in run.settings})
    values = [[visible(str(run.settings.get(key, "(not set)"))) for run in runs] for key in keys]
    differing = [[key, *cells] for key, cells in zip(keys, values, strict=True) if len(set(cells)) > 1]
    return {"headings": ["Setting", *(visible(run.name) for run in runs)], "rows": differing}


def _notes(runs: Sequence[Run]) -> Iterator[str]:
    graders = {row.grader for run in runs for row in run.rows}
    if len(graders) > 1:
        names = " and ".join(map(visible, sorted(graders)))
        yield f"The runs have different graders ({names}); differences in accuracy may come from the grader."
    without = [visible(run.name) for run in runs if any(row.verdicts is None for row in run.rows)]
    if without:
        yield (
            f"No difference is computed for {', '.join(without)}: results.json has no verdicts by question, because it "
            "was written before they were kept. Report on the run folder, or run it again."
        )
    for run in runs:
        if not run.rows:
            yield f"{visible(run.name)} has no complete evaluation yet."
        if run.settings.get("smoke"):
            yield f"{visible(run.name)} is a smoke run: its rollouts are scripted, so its numbers have no meaning."
        if by := run.settings.get("evaluate.choose_by"):
            yield (
                f"The labels of {visible(str(by))} chose the models of {visible(run.name)}: its accuracy there is the "
                "best of several, and too high."
            )
    tuned = [run for run in runs if run.trained and run.settings.get(MAX_EXAMPLES) != 0]
    if len({run.settings.get(MAX_EXAMPLES) for run in tuned}) > 1 and not groups_by_size(tuned):
        yield (
            f"There is no curve over training examples: the runs with different {MAX_EXAMPLES} differ in other "
            "settings than seeds too."
        )
    yield from map(visible, data_notes((run.name, run.settings, run.environments) for run in runs))
    yield from unread_notes([[(run.name, run.origin) for run in arm] for arm in arms(runs)])
    for run in runs[1:]:
        for name in dict.fromkeys(name for _, name in run.answers):
            own, theirs = _questions(run, name), _questions(runs[0], name)
            if theirs and not own & theirs:
                yield (
                    f"{visible(run.name)} and {visible(runs[0].name)} answered different questions of {visible(name)}; "
                    "no difference is computed, and their curves cannot be compared."
                )


def _questions(run: Run, benchmark: str) -> set[str]:
    return {question for (_, name), answers in run.answers.items() if name == benchmark for question in answers}
