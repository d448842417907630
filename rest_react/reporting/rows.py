"""The rows of results.json, computed from the graded answers of a run's complete evaluations.

    rows = compute_rows(Path("outputs/default"))     # one per complete evaluation: accuracy, interval, differences, ...

Every number follows from the lines of results.jsonl and the stage's summary; docs/metrics.md defines each one.
Not here: how an interval is made (metrics), tables and pages (report).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rest_react.errors import RunFolderError, short_reason
from rest_react.metrics.statistics import (
    Share,
    clustered_interval,
    contained,
    detectable_difference,
    paired_difference,
)
from rest_react.records import Result
from rest_react.stages.evaluate import RESULTS
from rest_react.storage.run_folder import iterations, read_lines, read_summary

Row = dict[str, Any]
_Values = dict[str, list[float | None]]


@dataclass(frozen=True, slots=True)
class _Scored:
    """One result as it counts: `after` and `before` the self-checks are 1, 0 or None (unscored)."""

    result: Result
    after: float | None
    before: float | None

    @property
    def outside(self) -> bool:
        return self.result.fault is not None and self.result.fault.whose == "outside"


def compute_rows(run_folder: Path) -> list[Row]:
    """One row per complete evaluation, in order of iteration and benchmark: the rows of results.json."""
    rows: list[Row] = []
    earlier: dict[str, list[tuple[int, _Values]]] = {}
    for iteration, stage, summary in _evaluations(run_folder):
        scored = [_counted(result) for result in read_lines(stage / RESULTS, Result)]
        after = _by_question(scored, summary["repeats"], lambda s: s.after)
        before = _by_question(scored, summary["repeats"], lambda s: s.before)
        seen = earlier.setdefault(stage.name, [])
        accuracy, drafts = clustered_interval(after), clustered_interval(before)
        rows.append(
            {
                "iteration": iteration,
                "benchmark": stage.name,
                "grader": summary["grader"],
                "questions": len(after),
                "repeats": summary["repeats"],
                **_losses(scored),
                "accuracy": _interval(accuracy) | {"std": accuracy.std},
                "rule_disagreement": _rule_disagreement(scored, summary["repeats"]),
                "before_checks": _interval(drafts) | {"std": drafts.std},
                "checks": _difference(after, before) | _changes(scored),
                "vs_start": _difference(after, seen[0][1]) if seen and seen[0][0] == 0 else None,
                "vs_previous": _difference(after, seen[-1][1]) if seen and seen[-1][0] == iteration - 1 else None,
                "by_kind": _groups(scored, summary["repeats"], lambda result: result.kind),
                "by_hops": _groups(scored, summary["repeats"], lambda result: str(result.hops or "")),
                **_costs(scored, summary),
            }
        )
        seen.append((iteration, after))
    return rows


def correctness(stage: Path, repeats: int) -> Mapping[str, Sequence[float | None]]:
    """What each question's answers count as, one entry per repeat: 1, 0, or None where unscored. Keys hold the id and
    the text: runs on other worlds have other questions under the same ids."""
    results = (replace(r, question_id=f"{r.question_id}: {r.question}") for r in read_lines(stage / RESULTS, Result))
    return _by_question(map(_counted, results), repeats, lambda s: s.after)


def _counted(result: Result) -> _Scored:
    """Not finishing for want of skill is a wrong answer; what was lost outside is none at all."""
    if result.fault is not None and result.fault.whose == "outside":
        return _Scored(result, None, None)
    values: dict[str, float | None] = {"correct": 1.0, "incorrect": 0.0, "unscored": None}
    after = 0.0 if result.outcome == "failed" else values[result.verdict.verdict]
    return _Scored(result, after, values[result.verdict_before_checks.verdict])


def _by_question(scored: Iterable[_Scored], repeats: int, value: Callable[[_Scored], float | None]) -> _Values:
    lists: _Values = {}
    for s in scored:
        repeat = int(s.result.id.rpartition(".")[2])
        lists.setdefault(s.result.question_id, [None] * repeats)[repeat] = value(s)
    return lists


def _interval(share: Share) -> dict[str, float | None]:
    return {"mean": share.mean, "low": share.low, "high": share.high}


def _difference(ours: _Values, theirs: _Values) -> Row:
    share = paired_difference(ours, theirs)
    return {**_interval(share), "questions": share.n, "detectable": detectable_difference(share)}


def _rule_disagreement(scored: Sequence[_Scored], repeats: int) -> Row | None:
    """How often the rule grader contradicts the grader, over finished answers on which both have a verdict; None
    where the rule was not asked beside another grader."""

    def differs(s: _Scored) -> float | None:
        beside = s.result.rule_verdict
        if s.after is None or beside is None or beside.verdict == "unscored":
            return None
        return float(beside.verdict != s.result.verdict.verdict)

    if all(s.result.rule_verdict is None for s in scored):
        return None
    values = _by_question(scored, repeats, differs)
    answers = sum(value is not None for of_question in values.values() for value in of_question)
    return {**_interval(clustered_interval(values)), "answers": answers}


def _changes(scored: Sequence[_Scored]) -> dict[str, int]:
    """How many answers the self-checks put right, and how many they spoilt."""
    pairs = Counter((s.before, s.after) for s in scored)
    return {"fixed": pairs[0.0, 1.0], "broken": pairs[1.0, 0.0]}


def _groups(scored: Sequence[_Scored], repeats: int, group: Callable[[Result], str]) -> dict[str, Row]:
    """Accuracy within each group of questions; none where the set does not say."""
    groups: dict[str, list[_Scored]] = {}
    for s in scored:
        if name := group(s.result):
            groups.setdefault(name, []).append(s)
    shares = {
        name: clustered_interval(_by_question(groups[name], repeats, lambda s: s.after)) for name in sorted(groups)
    }
    return {name: {**_interval(share), "questions": share.n} for name, share in shares.items()}


def _losses(scored: Sequence[_Scored]) -> Row:
    """Answers that count as nothing, and those that count as wrong without being judged; by reason."""
    n = max(len(scored), 1)
    unscored = sum(s.after is None for s in scored)
    failed = sum(s.result.outcome == "failed" and not s.outside for s in scored)
    reasons = Counter(short_reason(s.result.fault.message) for s in scored if s.result.fault is not None)
    return {
        "unscored": unscored,
        "unscored_share": unscored / n,
        "failed": failed,
        "failed_share": failed / n,
        "faults": {reason: {"answers": count, "share": count / n} for reason, count in sorted(reasons.items())},
    }


def _costs(scored: Sequence[_Scored], summary: Mapping[str, Any]) -> Row:
    """Means over the answers that were not lost outside, and what all of them took for each one that is correct."""
    answers = [s.result for s in scored if not s.outside]
    names = ("em", "f1", "searches", "calls", "tokens")
    sums = {name: sum(getattr(answer, name) for answer in answers) for name in names}
    sums["contained"] = sum(contained(a.answer, a.golds) for a in answers if a.outcome == "finished")
    correct = sum(s.after == 1.0 for s in scored)
    cost, seconds = summary.get("cost_usd"), summary["seconds"]
    spent = {name: sums[name] for name in ("searches", "calls", "tokens")} | {"cost_usd": cost, "seconds": seconds}
    return {
        **{name: total / len(answers) if answers else None for name, total in sums.items()},
        "correct": correct,
        "per_correct": {
            name: None if value is None or not correct else value / correct for name, value in spent.items()
        },
        "cost_usd": cost,
        "cost_reason": summary.get("cost_reason", "no price was recorded") if cost is None else None,
        "seconds": seconds,
    }


def _evaluations(run_folder: Path) -> Iterator[tuple[int, Path, dict[str, Any]]]:
    """Complete evaluations with their summaries."""
    for iteration in iterations(run_folder):
        for stage in sorted((run_folder / f"iter_{iteration}" / "evaluate").glob("*/")):
            summary = read_summary(stage)
            if summary is None:
                continue
            missing = [key for key in ("grader", "repeats", "seconds") if key not in summary]
            if missing:
                raise RunFolderError(
                    f"{stage}/summary.json lacks {', '.join(missing)}; remove the file and run the same command again"
                )
            yield iteration, stage, summary
