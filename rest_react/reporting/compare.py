"""Runs side by side: how they differ, what differs in their settings, and the paper's tables beside their numbers.

    view = compare([Run("perplexity", rows, settings, answers, examples), Run("random", ...)])

The first run is the reference: every other one is compared with it at the iterations that both have and as both ended
(a control that is its own iteration 0 against the loop's iteration 3), paired by question. Each difference comes with
the smallest one that so many questions would show, and with how many questions it would take to see the difference
found. The paper's numbers are PaLM 2's, on other questions with another search engine: they stand there for
orientation, and no difference to them is computed.

Not here: a run's own numbers (evaluate), and the page (report).
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml

from rest_react.metrics.intervals import Share, clustered_interval, detectable_difference, paired_difference
from rest_react.reporting.number_formats import percent, points, span
from rest_react.reporting.results_json import Accuracy, ResultRow
from rest_react.text_safety import visible

_PAPER = Path(__file__).parent / "templates" / "paper.yaml"
_GENERATIONS = {1: "1st generation", 2: "2nd generation"}
_PILOT = 500
Table = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """A run's name, its rows of results.json and its locked settings; by iteration and benchmark what each question's
    repeats scored; by iteration how many trajectories and examples it was trained on."""

    name: str
    rows: Sequence[ResultRow]
    settings: Mapping[str, object]
    answers: Mapping[tuple[int, str], Mapping[str, Sequence[float | None]]]
    trained: Mapping[int, tuple[int, int]]


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
        "paper": _beside_the_paper(runs),
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


# ── the paper's tables ────────────────────────────────────────────────────────────────────────────────────────────────


def _beside_the_paper(runs: Sequence[Run]) -> list[Table]:
    """The four tables, with a column for each run and benchmark, or a row where they are not by generation."""
    after, people, sizes, before = yaml.safe_load(_PAPER.read_text(encoding="utf-8"))
    return [
        _by_generation(after, runs, lambda row: row.accuracy),
        _start_and_end(people, runs),
        {**sizes, "own": 0, "rows": [*sizes["rows"], *_sizes(runs)]},
        _by_generation(before, runs, lambda row: row.before_checks),
    ]


def _by_generation(table: Table, runs: Sequence[Run], share: Callable[[ResultRow], Accuracy]) -> Table:
    columns = [(run, name) for run in runs for name in dict.fromkeys(row.benchmark for row in run.rows)]
    shares = {
        (_generation(run, row.iteration), run.name, row.benchmark): _share(share(row))
        for run in runs
        for row in run.rows
    }
    paper = {cells[0]: cells for cells in table["rows"]}
    blank = [""] * (len(table["headings"]) - 1)
    rows = [
        [*paper.get(label, [label, *blank]), *(shares.get((label, run.name, name), "") for run, name in columns)]
        for label in dict.fromkeys([*paper, *(label for label, _, _ in shares)])
    ]
    headings = [*table["headings"], *(f"{visible(run.name)}, {visible(name)}" for run, name in columns)]
    return {**table, "headings": headings, "rows": rows, "own": len(columns)}


def _generation(run: Run, iteration: int) -> str:
    """As the paper calls it. Its pilot is a first generation of a prompted model: 500 trajectories, not ranked by a
    reward model."""
    prompted, selector = run.settings.get("start") == "prompted", run.settings.get("improve.selector")
    if iteration == 1 and prompted and selector == "perplexity" and run.trained.get(1, (0, 0))[0] == _PILOT:
        filtered = run.settings.get("improve.keep") == "judged_good"
        return f"pilot, {'human filtered' if filtered else 'unfiltered'}"
    if iteration == 0:
        return "pre-trained (prompted)" if prompted else "start, tuned on demonstrations"
    return _GENERATIONS.get(iteration, f"iteration {iteration}")


def _start_and_end(table: Table, runs: Sequence[Run]) -> Table:
    """One row for each benchmark; of each run its first and its last iteration, by its grader."""
    ends = [(run, k) for run in runs if run.rows for k in sorted({run.rows[0].iteration, run.rows[-1].iteration})]
    names = dict.fromkeys(row.benchmark for run in runs for row in run.rows)
    rows = {cells[0].lower(): list(cells) for cells in table["rows"]}
    for name in names:
        rows.setdefault(name.lower(), [visible(name), *[""] * (len(table["headings"]) - 1)])
    for label, cells in rows.items():
        for run, k in ends:
            found = [row for row in run.rows if row.benchmark.lower() == label and row.iteration == k]
            cells.append(_share(found[0].accuracy) if found else "")
    headings = [*table["headings"], *(_by(run, k) for run, k in ends)]
    return {**table, "headings": headings, "rows": list(rows.values()), "own": len(ends)}


def _by(run: Run, iteration: int) -> str:
    graders = dict.fromkeys(row.grader for row in run.rows if row.iteration == iteration)
    return f"{visible(run.name)}, iteration {iteration}, by {visible(' and '.join(graders))}"


def _sizes(runs: Sequence[Run]) -> Iterator[list[str]]:
    for run in runs:
        for row in run.rows:
            trajectories, examples = run.trained.get(row.iteration, (0, 0))
            label = f"{visible(run.name)}, iteration {row.iteration}, {visible(row.benchmark)}"
            yield [label, f"{trajectories:,}", f"{examples:,}", _share(row.accuracy)]


def _share(share: Accuracy) -> str:
    """As the paper writes it, with the interval behind."""
    if share.mean is None:
        return "n/a"
    spread = "" if share.std is None else f" ± {100 * share.std:.1f}"
    return f"{100 * share.mean:.1f}{spread} {span(share)}".strip()
