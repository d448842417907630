"""The paper's four tables with the numbers of these runs as further columns or rows.

    paper_tables([run])[0]["headings"][-2:]                     # ["PaLM 2-L", "default, world"]

The paper's numbers are in templates/paper.yaml (arXiv 2312.10003, tables 1 to 4).
Not here: differences between runs (reporting.compare). Differences to the paper are not computed: its questions differ.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from rest_react.metrics.number_formats import span
from rest_react.reporting.compared_run import Run
from rest_react.reporting.results.results_json import Accuracy, ResultRow
from rest_react.text_safety.escaping import visible

_PAPER = Path(__file__).parents[1] / "templates" / "paper.yaml"
_GENERATIONS = {1: "1st generation", 2: "2nd generation"}
_PILOT = 500
Table = dict[str, Any]


def paper_tables(runs: Sequence[Run]) -> list[Table]:
    """The four tables. Tables by generation get a column for each run and benchmark, the others rows."""
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
    """The paper's name for an iteration. Its pilot is a first generation of a prompted model with 500 trajectories
    and no ranking by a reward model."""
    prompted, selector = run.settings.get("start") == "prompted", run.settings.get("improve.selector")
    if iteration == 1 and prompted and selector == "perplexity" and run.trained.get(1, (0, 0))[0] == _PILOT:
        filtered = run.settings.get("improve.keep") == "judged_good"
        return f"pilot, {'human filtered' if filtered else 'unfiltered'}"
    if iteration == 0:
        return "pre-trained (prompted)" if prompted else "start, tuned on demonstrations"
    if run.settings.get("improve.max_examples") == 0:
        return f"restart control, iteration {iteration}"
    return _GENERATIONS.get(iteration, f"iteration {iteration}")


def _start_and_end(table: Table, runs: Sequence[Run]) -> Table:
    """One row for each benchmark, and columns for the first and the last iteration of each run, with the grader."""
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
            sizes = run.trained.get(row.iteration, (0, 0))  # a published results.json does not have them
            label = f"{visible(run.name)}, iteration {row.iteration}, {visible(row.benchmark)}"
            yield [label, *(f"{size:,}" if size else "" for size in sizes), _share(row.accuracy)]


def _share(share: Accuracy) -> str:
    """The accuracy as in the paper, followed by the interval."""
    if share.mean is None:
        return "n/a"
    spread = "" if share.std is None else f" ± {100 * share.std:.1f}"
    return f"{100 * share.mean:.1f}{spread} {span(share)}".strip()
