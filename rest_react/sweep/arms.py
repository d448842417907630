"""Reads the runs of a sweep that have the same settings but for their seeds as an arm for each benchmark.

    for arm in read_arms(("n=100",), [Path("outputs/r_0"), Path("outputs/r_1")], {...}):
        arm.benchmark, arm.trainings                      # "validation", 2

Not here: the statistics of an arm (reporting.tables.sweep_arm), and which runs are one (report).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rest_react.errors import RunFolderError
from rest_react.records import Result
from rest_react.reporting.origin import read_origin, shared_by
from rest_react.reporting.results.break_even import break_even
from rest_react.reporting.results.results_json import (
    ComparedBaseline,
    ResultRow,
    Results,
    question_key,
    read_results,
    scores_of,
)
from rest_react.reporting.tables.over_trainings import without_copies
from rest_react.reporting.tables.sweep_arm import Arm, Values
from rest_react.stages.evaluate import RESULTS
from rest_react.storage.jsonl import read_lines
from rest_react.storage.settings_file import read_settings
from rest_react.tasks.task_of_run_folder import task_of_run_folder


def read_arms(settings: tuple[str, ...], runs: Sequence[Path], asked: Mapping[Path, int | None]) -> Iterator[Arm]:
    """An arm for each benchmark that the runs have answered. `asked` has the iteration that each run was asked for."""
    read = {run: _up_to(run, read_results(run), asked[run]) for run in runs}
    names = dict.fromkeys(row.benchmark for results in read.values() for row in results.rows)
    for name in names:
        last = _trainings([(run, row) for run, results in read.items() if (row := _last(results, name)) is not None])
        columns = [scores_of(row) or {} for _, row in last]
        if not any(columns):
            continue
        own = [_own_scores(run, row) for run, row in last]
        kept = dict.fromkeys(score for scores in own for score in scores)
        beside = [[one for one in read[run].baselines if one.row.benchmark == name] for run, _ in last]
        yield Arm(
            settings,
            name,
            len(last),
            columns,
            {score: [scores.get(score, {}) for scores in own] for score in kept},
            dict(_baselines(beside)),
            [row for _, row in last],
            [one for compared in beside for one in compared],
            _start(read, name, last),
        )


def _trainings(last: Sequence[tuple[Path, ResultRow]]) -> list[tuple[Path, ResultRow]]:
    """One run for each training: runs with other seeds may share the training of their last iteration."""
    found = [(shared_by(read_origin(run), row.iteration), scores_of(row)) for run, row in last]
    return [last[i] for i in without_copies(found)]


def _start(read: Mapping[Path, Results], benchmark: str, last: Sequence[tuple[Path, ResultRow]]) -> Values:
    """The scores of each training's first evaluation; none unless all of them went on after it."""
    first = {run: row for run, _ in last for row in reversed(read[run].rows) if row.benchmark == benchmark}
    if any(first[run].iteration == row.iteration for run, row in last):
        return ()
    return [scores_of(first[run]) or {} for run, _ in last]


def _up_to(run: Path, results: Results, iteration: int | None) -> Results:
    """The results without iterations beyond the one that the job was asked for: the folder may have more."""
    rows = tuple(row for row in results.rows if iteration is None or row.iteration <= iteration)
    if len(rows) == len(results.rows):
        return results
    last = {row.benchmark: row for row in rows}
    baselines = tuple(_compared_again(run, one, last.get(one.row.benchmark)) for one in results.baselines)
    return replace(results, rows=rows, baselines=baselines)


def _compared_again(run: Path, baseline: ComparedBaseline, tuned: ResultRow | None) -> ComparedBaseline:
    """The baseline beside an earlier row than the last; without the price of training where that cannot be read."""
    try:
        paid = None if tuned is None else break_even(run, tuned, baseline.row)
    except RunFolderError:
        paid = None
    return replace(baseline, last_minus_it=None, break_even=paid)


def _last(results: Results, benchmark: str) -> ResultRow | None:
    rows = [row for row in results.rows if row.benchmark == benchmark]
    return rows[-1] if rows else None


def _baselines(beside: Sequence[Sequence[ComparedBaseline]]) -> Iterator[tuple[str, Values]]:
    """The scores of each baseline beside each training, nothing where a run does not have it."""
    for name in dict.fromkeys(one.name for compared in beside for one in compared):
        rows = [next((one.row for one in compared if one.name == name), None) for compared in beside]
        yield name, [{} if row is None else scores_of(row) or {} for row in rows]


def _own_scores(run: Path, row: ResultRow) -> dict[str, dict[str, list[float | None]]]:
    """The task's own scores of a run's last answers, by score and item."""
    task = task_of_run_folder(read_settings(run))
    found: dict[str, dict[str, list[float | None]]] = {}
    stage = run / f"iter_{row.iteration}" / "evaluate" / row.benchmark
    for result in read_lines(stage / RESULTS, Result):
        if result.fault is None or result.fault.whose == "model":
            key = question_key(result.question_id, result.question)
            for name, value in task.scores(result).items():
                found.setdefault(name, {}).setdefault(key, []).append(value)
    return found
