"""The graded answers of an evaluation as the rows of results.json need them: their scores, without their texts.

    scored = [scored_answer(result, no_scores) for result in read_lines(stage / RESULTS, Result)]
    by_question(scored, repeats=2, value=lambda s: s.after)      # {"w17": [1.0, None], ...}

Not here: what is computed from them (reporting.results.rows).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from sys import intern
from typing import TypeAlias

import msgspec

from rest_react.errors import short_reason
from rest_react.metrics.text_match import contained
from rest_react.records import Result
from rest_react.reporting.results.results_json import question_key
from rest_react.storage.jsonl import read_lines

Score: TypeAlias = Callable[[Result], Mapping[str, float | None]]
Values: TypeAlias = dict[str, list[float | None]]
Golds: TypeAlias = dict[str, tuple[str, ...]]


def no_scores(result: Result) -> Mapping[str, float | None]:
    """The scores of a task that has none of its own."""
    return {}


@dataclass(frozen=True, slots=True)
class ScoredAnswer:
    """What the rows need of one answer, without its texts, so that many answers fit into memory.

    `after` and `before` are its scores with and without the self-checks: 1, 0 or None (unscored). `differs` says
    whether the rule grader disagrees (None if that is not known), `by_rules` whether it was asked; `contained` whether
    the answer contains a gold answer; `reason` why it failed; `own` has the task's own scores, none if the answer was
    lost `outside`."""

    question_id: str
    repeat: int
    key: str
    kind: str
    hops: str
    failed: bool
    outside: bool
    reason: str | None
    after: float | None
    before: float | None
    differs: float | None
    by_rules: bool
    em: float
    f1: float
    searches: int
    calls: int
    tokens: int
    contained: bool
    own: Mapping[str, float | None]


def scored_answer(result: Result, score: Score) -> ScoredAnswer:
    """What the rows need of a result."""
    fault, beside = result.fault, result.rule_verdict
    outside = fault is not None and fault.whose == "outside"
    failed = result.outcome == "failed"
    known = result.score is not None and beside is not None and beside.verdict != "unscored"
    return ScoredAnswer(
        question_id=intern(result.question_id),
        repeat=int(result.id.rpartition(".")[2]),
        key=intern(question_key(result.question_id, result.question)),
        kind=intern(result.kind),
        hops=intern("" if result.hops is None else str(result.hops)),
        failed=failed,
        outside=outside,
        reason=None if fault is None else intern(short_reason(fault.message)),
        after=result.score,
        before=None if outside else result.verdict_before_checks.score,
        differs=float(beside.verdict != result.verdict.verdict) if beside is not None and known else None,
        by_rules=beside is not None,
        em=result.em,
        f1=result.f1,
        searches=result.searches,
        calls=result.calls,
        tokens=result.tokens,
        contained=not failed and bool(contained(result.answer, result.golds)),
        own={} if outside else score(result),
    )


class _Graded(msgspec.Struct):
    id: str
    question_id: str
    question: str = ""
    golds: tuple[str, ...] = ()


def golds_of(path: Path) -> Golds:
    """The gold answers against which each question of a results.jsonl was graded, by key; none in older files."""
    return {question_key(one.question_id, one.question): one.golds for one in read_lines(path, _Graded)}


def with_these_golds(values: Values, golds: Golds, now: Golds) -> Values:
    """The values of an earlier evaluation, by key, without the questions whose gold answers have changed since: a score
    against others is no pair of one against these. The key does not tell, so that published results.json stay
    comparable."""
    changed = {key for key, answers in golds.items() if answers and now.get(key) and now[key] != answers}
    return {key: of for key, of in values.items() if key not in changed}


def by_question(scored: Iterable[ScoredAnswer], repeats: int, value: Callable[[ScoredAnswer], float | None]) -> Values:
    """A value of each answer, by question and repeat; None for answers that are missing."""
    lists: Values = {}
    for s in scored:
        lists.setdefault(s.question_id, [None] * repeats)[s.repeat] = value(s)
    return lists
