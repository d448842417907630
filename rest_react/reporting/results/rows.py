"""The rows of results.json, computed from the graded answers of a run's complete evaluations.

    rows = compute_rows(Path("outputs/default"))
    rows[-1].accuracy.mean, rows[-1].vs_start.low              # 0.41, 0.101

Every number is computed from results.jsonl and the summary of the stage; docs/metrics.md defines each one.
Not here: intervals (metrics.intervals), the format of results.json (results_json), tables (reporting.tables).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rest_react.metrics.intervals import clustered_interval, detectable_difference, paired_difference
from rest_react.metrics.pass_at_k import pass_at_k, reported_sizes
from rest_react.records import Result
from rest_react.reporting.results.break_even import break_even
from rest_react.reporting.results.results_json import (
    Accuracy,
    ChecksEffect,
    ComparedBaseline,
    Difference,
    FaultCount,
    GroupAccuracy,
    Latency,
    PerCorrect,
    ResultRow,
    RuleDisagreement,
    scores_of,
    verdicts_of,
)
from rest_react.reporting.results.scored_answers import (
    Golds,
    Score,
    ScoredAnswer,
    Values,
    by_question,
    golds_of,
    no_scores,
    scored_answer,
    with_these_golds,
)
from rest_react.stages.evaluate import RESULTS
from rest_react.storage.jsonl import read_lines
from rest_react.storage.run_folder import BASELINES, iterations
from rest_react.storage.summaries import read_summary

RATING = "rating"  # the name of a score from 1 to 5; all others are shares


def compute_rows(run_folder: Path, score: Score = no_scores) -> list[ResultRow]:
    """One row per complete evaluation, in order of iteration and benchmark. `score` gives the task's own scores of an
    answer, by name (`scores` of its task)."""
    rows: list[ResultRow] = []
    earlier: dict[str, list[tuple[int, Values, Golds]]] = {}
    for iteration, stage, summary in evaluations(run_folder):
        seen, golds = earlier.setdefault(stage.name, []), golds_of(stage / RESULTS)
        start = with_these_golds(*seen[0][1:], golds) if seen and seen[0][0] == 0 else None
        previous = with_these_golds(*seen[-1][1:], golds) if seen and seen[-1][0] == iteration - 1 else None
        row = _row(iteration, stage, summary, score, start=start, previous=previous)
        rows.append(row)
        seen.append((iteration, scores_of(row) or {}, golds))
    return rows


def compute_baselines(run_folder: Path, rows: Sequence[ResultRow], score: Score = no_scores) -> list[ComparedBaseline]:
    """One row per complete evaluation of a baseline, compared with the last of `rows`, those of the iterations."""
    found, last = [], {row.benchmark: row for row in rows}
    for stage in sorted((run_folder / BASELINES).glob("*/*/")):
        summary = read_summary(stage)
        if summary is None:
            continue
        row = _row(0, stage, summary, score)
        name, tuned = stage.parent.name, last.get(stage.name)
        if tuned is None:
            found.append(ComparedBaseline(name=name, row=row, last_minus_it=None))
            continue
        golds = golds_of(run_folder / f"iter_{tuned.iteration}" / "evaluate" / stage.name / RESULTS)
        theirs = with_these_golds(scores_of(row) or {}, golds_of(stage / RESULTS), golds)
        difference = _difference(scores_of(tuned) or {}, theirs)
        paid = break_even(run_folder, tuned, row)
        found.append(ComparedBaseline(name=name, row=row, last_minus_it=difference, break_even=paid))
    return found


def _scores(scored: Sequence[ScoredAnswer], repeats: int) -> dict[str, GroupAccuracy]:
    """The mean of each of the task's own scores; answers without this score, or lost outside, are left out."""
    found = {}
    for name in dict.fromkeys(name for s in scored for name in s.own):
        values = by_question(scored, repeats, lambda s, name=name: s.own.get(name))  # type: ignore[misc]
        found[name] = _group(values, (1.0, 5.0) if name == RATING else (0.0, 1.0))
    return found


def _row(
    iteration: int,
    stage: Path,
    summary: Mapping[str, Any],
    score: Score,
    *,
    start: Values | None = None,
    previous: Values | None = None,
) -> ResultRow:
    """The row of one evaluation. `start` and `previous` have the scores of earlier ones by key, not by id: a text that
    has changed under its id is another question."""
    repeats, cost = summary["repeats"], summary.get("cost_usd")
    scored = [scored_answer(result, score) for result in read_lines(stage / RESULTS, Result)]
    after = by_question(scored, repeats, lambda s: s.after)
    before = by_question(scored, repeats, lambda s: s.before)
    answers = [s for s in scored if not s.outside]
    unscored = sum(s.after is None for s in scored)
    failed = sum(s.failed and not s.outside for s in scored)
    correct = sum(s.after == 1.0 for s in scored)
    keys = {s.question_id: s.key for s in scored}
    by_key = {keys[question]: values for question, values in after.items()}
    return ResultRow(
        iteration=iteration,
        benchmark=stage.name,
        grader=summary["grader"],
        questions=len(after),
        repeats=repeats,
        unscored=unscored,
        unscored_share=unscored / max(len(scored), 1),
        failed=failed,
        failed_share=failed / max(len(scored), 1),
        faults=_faults(scored),
        accuracy=_accuracy(after),
        rule_disagreement=_rule_disagreement(scored, repeats),
        before_checks=_accuracy(before),
        checks=_checks_effect(scored, repeats),
        vs_start=None if start is None else _difference(by_key, start),
        vs_previous=None if previous is None else _difference(by_key, previous),
        by_kind=_groups(scored, repeats, lambda s: s.kind),
        by_hops=_groups(scored, repeats, lambda s: s.hops),
        em=_mean(answers, lambda a: a.em),
        f1=_mean(answers, lambda a: a.f1),
        searches=_mean(answers, lambda a: a.searches),
        calls=_mean(answers, lambda a: a.calls),
        tokens=_mean(answers, lambda a: a.tokens),
        contained=_share([a.contained for a in answers]),
        correct=correct,
        per_correct=_per_correct(answers, correct, cost, summary["seconds"]),
        cost_usd=cost,
        cost_reason=summary.get("cost_reason", "no price was recorded") if cost is None else None,
        seconds=summary["seconds"],
        pass_at={str(k): _group(pass_at_k(after, k)) for k in reported_sizes(repeats)},
        verdicts=verdicts_of(by_key),
        lost=sum(s.outside for s in scored),
        answering_usd=summary.get("answering_usd"),
        latency={name: Latency(**held) for name, held in summary.get("latency", {}).items()},
        scores=_scores(scored, repeats),
    )


def _accuracy(values: Values) -> Accuracy:
    share = clustered_interval(values)
    return Accuracy(mean=share.mean, std=share.std, low=share.low, high=share.high)


def _difference(ours: Values, theirs: Values) -> Difference:
    share = paired_difference(ours, theirs)
    detectable = detectable_difference(share)
    return Difference(mean=share.mean, low=share.low, high=share.high, questions=share.n, detectable=detectable)


def _checks_effect(scored: Sequence[ScoredAnswer], repeats: int) -> ChecksEffect:
    """Over the trajectories with a verdict both before and after the checks."""
    both = [s for s in scored if s.before is not None and s.after is not None]
    pairs = Counter((s.before, s.after) for s in both)
    after, before = by_question(both, repeats, lambda s: s.after), by_question(both, repeats, lambda s: s.before)
    return ChecksEffect(**asdict(_difference(after, before)), fixed=pairs[0.0, 1.0], broken=pairs[1.0, 0.0])


def _rule_disagreement(scored: Sequence[ScoredAnswer], repeats: int) -> RuleDisagreement | None:
    """Computed over finished answers with verdicts of both graders; None if only one grader was used."""

    if not any(s.by_rules for s in scored):
        return None
    values = by_question(scored, repeats, lambda s: s.differs)
    answers = sum(value is not None for of_question in values.values() for value in of_question)
    share = clustered_interval(values)
    return RuleDisagreement(mean=share.mean, low=share.low, high=share.high, answers=answers)


def _groups(
    scored: Sequence[ScoredAnswer], repeats: int, group: Callable[[ScoredAnswer], str]
) -> dict[str, GroupAccuracy]:
    """The accuracy of each group of questions; empty if the questions have no groups."""
    groups: dict[str, list[ScoredAnswer]] = {}
    for s in scored:
        if name := group(s):
            groups.setdefault(name, []).append(s)
    return {name: _group(by_question(groups[name], repeats, lambda s: s.after)) for name in sorted(groups)}


def _group(values: Values, scale: tuple[float, float] = (0.0, 1.0)) -> GroupAccuracy:
    share = clustered_interval(values, scale=scale)
    return GroupAccuracy(mean=share.mean, low=share.low, high=share.high, questions=share.n)


def _faults(scored: Sequence[ScoredAnswer]) -> dict[str, FaultCount]:
    """Counts by reason, for model errors and external errors."""
    reasons = Counter(s.reason for s in scored if s.reason is not None)
    return {reason: FaultCount(answers=count, share=count / len(scored)) for reason, count in sorted(reasons.items())}


def _share(held: Sequence[bool]) -> float | None:
    return sum(held) / len(held) if held else None


def _mean(answers: Sequence[ScoredAnswer], value: Callable[[ScoredAnswer], float]) -> float | None:
    return sum(map(value, answers)) / len(answers) if answers else None


def _per_correct(
    answers: Sequence[ScoredAnswer], correct: int, cost: float | None, seconds: float | None
) -> PerCorrect:
    def share(total: float | None) -> float | None:
        return None if total is None or not correct else total / correct

    return PerCorrect(
        searches=share(sum(a.searches for a in answers)),
        calls=share(sum(a.calls for a in answers)),
        tokens=share(sum(a.tokens for a in answers)),
        cost_usd=share(cost),
        seconds=share(seconds),
    )


def evaluations(run_folder: Path) -> Iterator[tuple[int, Path, dict[str, Any]]]:
    """The iteration, folder and summary of each complete evaluation, in order of iteration and benchmark."""
    for iteration in iterations(run_folder):
        for stage in sorted((run_folder / f"iter_{iteration}" / "evaluate").glob("*/")):
            if (summary := read_summary(stage)) is not None:
                yield iteration, stage, summary
