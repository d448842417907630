"""Measures how far the grader agrees with people (paper section 4: Pearson 0.98, Spearman 0.83).

    python -m rest_react.agreement export ratings.csv outputs/default outputs/mine --sample 200
    python -m rest_react.agreement score ratings.csv outputs/default outputs/mine

`export` writes a rating sheet, people write yes or no into its column `correct`, and `score` compares. Empty cells do
not count. Answers that a judge rated from 1 to 5 (`task.grade=tone`) get such ratings instead, in the column `rating`.
`score` identifies each row by the fingerprint in its first column, so it needs the same runs.

An agent is one iteration, or one baseline, of a run on one benchmark. Failed and unscored answers are not in the sheet.
Not here: the sheet (judges.rating_sheet); who is right where people and the grader disagree; agreement between people.
"""

from rest_react.processes.command import start

if __name__ == "__main__":  # before the other imports; the reason is in processes/command.py
    start("rest_react.agreement")

import argparse
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from rest_react.config.cli import stop
from rest_react.errors import RestReactError, RunFolderError, UsageError
from rest_react.judges.rating_grader import rating_of
from rest_react.judges.rating_sheet import Graded, fingerprint, read_ratings, read_scores, write_sheet
from rest_react.metrics.agreement import cohens_kappa, correlation
from rest_react.metrics.intervals import Share, clustered_interval
from rest_react.questions.item_files import INSTRUCTED
from rest_react.records import Result
from rest_react.stages.evaluate import RESULTS
from rest_react.storage.files import write_json
from rest_react.storage.jsonl import read_lines
from rest_react.storage.run_folder import BASELINES, SCHEMA
from rest_react.storage.summaries import read_summary, refuse_damaged_stages
from rest_react.terminal.console import console, say
from rest_react.text_safety.escaping import printable


def graded_answers(runs: Sequence[Path]) -> list[Graded]:
    """Every graded answer of the runs' complete evaluations; an evaluation that several runs share (`grow.reuse`)
    counts once. Raises UsageError if a run has none, RunFolderError if a stage is damaged."""
    answers: list[Graded] = []
    names = Counter(run.name for run in {run.resolve() for run in runs})
    read: set[tuple[Path, bytes]] = set()
    for run in runs:
        refuse_damaged_stages(run)
        name = run.resolve().name
        shown = name if names[name] == 1 else str(run.resolve())
        graded = {stage: list(_graded(run, stage, shown)) for stage in _evaluations(run)}
        if not any(graded.values()):
            raise UsageError(f"{run}: no graded answer in a complete evaluation; give the folder of a run with one")
        for stage, found in graded.items():
            if found and (evaluation := (stage.relative_to(run), _digest(stage / RESULTS))) not in read:
                read.add(evaluation)
                answers += found
    return answers


def _evaluations(run: Path) -> list[Path]:
    """The folders of the evaluations of a run's iterations and baselines."""
    return [*sorted(run.glob("iter_*/evaluate/*/")), *sorted((run / BASELINES).glob("*/*/"))]


def _digest(file: Path) -> bytes:
    return hashlib.sha256(file.read_bytes()).digest()


def _graded(run: Path, stage: Path, shown: str) -> Iterator[Graded]:
    if read_summary(stage) is None:
        return
    who = stage.parent if stage.parent.parent.name == BASELINES else stage.parent.parent
    agent = f"{shown} {who.name} {stage.name}"
    for result in read_lines(stage / RESULTS, Result):
        if not result.golds:
            raise RunFolderError(
                f"{stage / RESULTS} has no gold answers; delete that folder and run the evaluation again"
            )
        if result.question_id.startswith(INSTRUCTED):  # of another task, which no person needs to rate
            continue
        if result.outcome == "finished" and result.verdict.verdict != "unscored":
            row = (result.question, result.golds, result.answer)
            yield Graded(agent, fingerprint(*row), *row, result.verdict.verdict == "correct", rating_of(result.verdict))


def score(ratings: Mapping[str, bool], graded: Sequence[Graded]) -> dict[str, Any]:
    """The agreement of grader and people, over all rated answers and over agents (docs/metrics.md defines each number).

    Raises UsageError if no answer is rated, or if a rated item is not an answer of these runs.
    """
    rated = _rated(ratings, graded)
    same: dict[str, list[float | None]] = {}
    pairs: dict[str, list[tuple[bool, bool]]] = {}
    agents: dict[str, list[tuple[bool, bool]]] = {}
    for answer in rated:
        pair = ratings[answer.item], answer.correct
        same.setdefault(answer.question, []).append(float(pair[0] == pair[1]))
        pairs.setdefault(answer.question, []).append(pair)
        agents.setdefault(answer.agent, []).append(pair)
    people, grader = ([sum(pair[rater] for pair in own) / len(own) for own in agents.values()] for rater in (0, 1))
    return {
        "schema": SCHEMA,
        "answers": len(rated),
        "items": len(ratings),
        "questions": len(same),
        "accuracy": _interval(clustered_interval(same)),
        "kappa": _interval(cohens_kappa(pairs)),
        "pearson": asdict(correlation(people, grader, "pearson")),
        "spearman": asdict(correlation(people, grader, "spearman")),
        "agents": [
            {"agent": agent, "answers": len(own), "people": share, "grader": theirs}
            for (agent, own), share, theirs in zip(agents.items(), people, grader, strict=True)
        ],
    }


def score_ratings(ratings: Mapping[str, int], graded: Sequence[Graded]) -> dict[str, Any]:
    """The agreement of the judge's ratings from 1 to 5 with those of people, over all rated answers; the correlations
    are over distinct items. Raises UsageError as `score` does."""
    rated = _rated(ratings, graded)
    by_item: dict[str, list[int]] = {}  # an item that several agents gave is one pair
    by_agent: dict[str, list[tuple[float, float]]] = {}
    near: dict[str, list[float | None]] = {}
    apart: dict[str, list[float | None]] = {}
    for answer in rated:
        person, other = float(ratings[answer.item]), float(answer.rating or 0)
        by_item.setdefault(answer.item, []).append(answer.rating or 0)
        by_agent.setdefault(answer.agent, []).append((person, other))
        near.setdefault(answer.question, []).append(float(abs(person - other) <= 1))
        apart.setdefault(answer.question, []).append(other - person)
    people, judge = [float(ratings[item]) for item in by_item], [fmean(given) for given in by_item.values()]
    return {
        "schema": SCHEMA,
        "answers": len(rated),
        "items": len(ratings),
        "questions": len(near),
        "within_one": _interval(clustered_interval(near)),
        "judge_minus_people": _interval(clustered_interval(apart, scale=(-4.0, 4.0))),
        "pearson": asdict(correlation(people, judge, "pearson")),
        "spearman": asdict(correlation(people, judge, "spearman")),
        "agents": [
            {
                "agent": agent,
                "answers": len(own),
                "people": sum(one for one, _ in own) / len(own),
                "grader": sum(one for _, one in own) / len(own),
            }
            for agent, own in by_agent.items()
        ],
    }


def _rated(ratings: Mapping[str, object], graded: Sequence[Graded]) -> list[Graded]:
    """The answers that people rated. Raises UsageError if there is none, or if a rated item is not among them."""
    unknown = sorted(set(ratings) - {answer.item for answer in graded})
    if unknown:
        raise UsageError(
            f"{len(unknown)} rated items are not answers of these runs, e.g. {unknown[0]}; give all runs of the sheet"
        )
    rated = [answer for answer in graded if answer.item in ratings]
    if not rated:
        raise UsageError("no row has a rating; write yes or no into the column `correct`, or 1 to 5 into `rating`")
    return rated


def _interval(share: Share) -> dict[str, float | int | None]:
    return {"value": share.mean, "low": share.low, "high": share.high, "n": share.n}


def _print_scores(scores: Mapping[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("agent", "answers", "people", "grader")
    form = ".1%" if "accuracy" in scores else ".2f"
    for row in scores["agents"]:
        people, grader = (format(row[who], form) for who in ("people", "grader"))
        table.add_row(Text(printable(row["agent"])), str(row["answers"]), people, grader)
    console.print(table)
    names = ("accuracy", "kappa") if "accuracy" in scores else ("within_one", "judge_minus_people")
    for name in (*names, "pearson", "spearman"):
        interval = scores[name]
        value, low, high = ("n/a" if (x := interval[key]) is None else f"{x:.2f}" for key in ("value", "low", "high"))
        compared = "agents" if "accuracy" in scores else "items"
        over = compared if name in ("pearson", "spearman") else "questions"
        say(f"{name:9} {value} [{low}, {high}], n = {interval['n']} {over}")


def _are_ratings(graded: Sequence[Graded]) -> bool:
    """Whether a judge rated the answers from 1 to 5. Raises UsageError where it rated only some of them."""
    rated = [answer.rating is not None for answer in graded]
    if any(rated) and not all(rated):
        raise UsageError("some runs have ratings from 1 to 5 and others right or wrong; give runs of one kind")
    return all(rated)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m rest_react.agreement", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("what", choices=("export", "score"))
    parser.add_argument("sheet", type=Path, help="the CSV file, written by export and read by score")
    parser.add_argument("runs", type=Path, nargs="+", help="folders of runs, such as outputs/default")
    parser.add_argument("--sample", type=int, help="number of answers to export, drawn at random; default: all")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draw and the shuffle")
    arguments = parser.parse_args()
    try:
        if arguments.sample is not None and arguments.sample < 1:
            raise UsageError(
                f"--sample {arguments.sample}: a sheet needs at least one answer; give 1 or more, or leave --sample "
                "out to export all answers"
            )
        graded = graded_answers(arguments.runs)
        if arguments.what == "export":
            told = "1 to 5 into the column `rating`" if _are_ratings(graded) else "yes or no into the column `correct`"
            rows = write_sheet(arguments.sheet, graded, sample=arguments.sample, seed=arguments.seed)
            say(f"{arguments.sheet}: {rows} answers to rate; write {told}")
        else:
            sheet, rates = arguments.sheet, _are_ratings(graded)
            scores = score_ratings(read_scores(sheet), graded) if rates else score(read_ratings(sheet), graded)
            _print_scores(scores)
            write_json(arguments.sheet.with_suffix(".json"), scores)
    except RestReactError as error:
        stop(error)
    except OSError as error:
        stop(UsageError(f"{arguments.sheet}: {error.strerror or error}; check the path"))
