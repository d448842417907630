"""Evaluate: the policy answers a labelled benchmark, and a grader says what is right (paper section 4).

    await evaluate(agent, benchmark, grader, folder.stage(1, "evaluate", "world"),
                   repeats=1, seed=7, in_flight=48, prices=prices)

leaves trajectories.jsonl, results.jsonl and summary.json. This is the one verb that holds labels, and they go to the
grader alone: the agent is handed plain questions. Every answer is graded twice, after and before the self-checks, on
the same trajectory. A model's fault is incorrect, though a draft that it left is graded as one; an outside fault, or a
verdict that could not be had, is unscored, and what is unscored for an outside fault is owed again on the next run.
`compute_rows` reads results.jsonl back: every number of results.json follows from its lines (docs/metrics.md).

    rows = compute_rows(Path("outputs/default"))     # one per complete evaluation: accuracy, interval, differences, ...

Not here: how an interval is made (judges.metrics), tables and pages (report).
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rest_react.errors import RunFolderError
from rest_react.judges.grader import Grader, RuleGrader, rule_verdict
from rest_react.metrics.statistics import (
    Share,
    bill,
    clustered_interval,
    contained,
    detectable_difference,
    exact_match,
    f1,
    paired_difference,
)
from rest_react.records import LabelledQuestion, Price, Result, Trajectory, Verdict, derive_seed
from rest_react.remote.refusals import ACCEPTED, LOST
from rest_react.stages.executor import StageRecords, run_owed
from rest_react.stages.rollouts import TRAJECTORIES, roll_out
from rest_react.storage.run_folder import iterations, read_lines, read_summary, reopen, write_summary
from rest_react.tasks.search_qa.agent import SearchAgent

RESULTS = "results.jsonl"
Row = dict[str, Any]
_Values = dict[str, list[float | None]]


async def evaluate(
    agent: SearchAgent,
    benchmark: Sequence[LabelledQuestion],
    grader: Grader,
    stage: Path,
    *,
    repeats: int,
    seed: int,
    in_flight: int,
    prices: Mapping[str, Price],
    tolerated: float = 0.0,
    make_room: bool = False,
    title: str = "evaluate",
) -> None:
    """Brings the stage to one graded answer per question and repeat. A complete stage is left as it is.

    `make_room` closes the policy's door before the grader's opens, and that one after; each opens at its next call."""
    if read_summary(stage) is not None:
        return
    started = time.monotonic()
    path = stage / TRAJECTORIES
    questions = [labelled.question for labelled in benchmark]
    await roll_out(
        agent, questions, path, repeats=repeats, seed=seed, in_flight=in_flight, title=title, tolerated=tolerated
    )
    if make_room:
        await agent.llm.aclose()
    try:
        await _grade_all(stage, benchmark, grader, seed, in_flight, f"{title}, grading", tolerated)
    finally:
        if make_room:
            await grader.aclose()
    tokens = _tokens(path)
    cost = bill(
        prices, policy=(tokens["prompt_tokens"], tokens["completion_tokens"]), grader=_grading_tokens(stage / RESULTS)
    )
    summary = {"grader": grader.name, "questions": len(benchmark), "repeats": repeats, **tokens, **cost}
    write_summary(stage, {**summary, "seconds": round(time.monotonic() - started, 1)})


async def _grade_all(
    stage: Path,
    benchmark: Sequence[LabelledQuestion],
    grader: Grader,
    seed: int,
    in_flight: int,
    title: str,
    tolerated: float,
) -> None:
    """Grades what is not graded yet, and again what is unscored: the fault, or the setting, may be cured."""
    by_id = {labelled.question.id: labelled for labelled in benchmark}

    def items() -> Iterator[tuple[str, Trajectory]]:
        return ((trajectory.id, trajectory) for trajectory in read_lines(stage / TRAJECTORIES, Trajectory))

    async def grade_one(id_: str, trajectory: Trajectory) -> Result:
        return await grade(trajectory, by_id[trajectory.question_id], grader, seed=derive_seed(seed, id_, "grade"))

    await run_owed(_RECORDS, stage / RESULTS, items, grade_one, in_flight=in_flight, title=title, tolerated=tolerated)


def _is_scored(result: Result) -> bool:
    return "unscored" not in (result.verdict.verdict, result.verdict_before_checks.verdict)


def reopen_unscored(stage: Path) -> None:
    """Has the unscored answers of a complete evaluation graded again by the next command."""
    if read_summary(stage) is not None and not all(map(_is_scored, read_lines(stage / RESULTS, Result))):
        reopen(stage)


def _outside_error(result: Result) -> str | None:
    """Why a verdict could not be had, where that was an external fault."""
    owed = [verdict for verdict in (result.verdict, result.verdict_before_checks) if verdict.owed]
    return owed[0].reason if owed else None


def _grader_answers(result: Result) -> Iterator[str | None]:
    """What the grader said to each request for this result, an empty answer being none: for refusals_watched."""
    asked = [] if result.fault else [(result.answer, result.verdict)]
    if result.fault or result.draft != result.answer:
        asked.append((result.draft, result.verdict_before_checks))
    for text, verdict in asked:
        if text.strip():
            yield verdict.reason if verdict.refused else LOST if verdict.owed else ACCEPTED


_RECORDS = StageRecords(
    Result, noun="verdicts", role="grader", keep=_is_scored, outside_error=_outside_error, answers=_grader_answers
)


async def grade(trajectory: Trajectory, labelled: LabelledQuestion, grader: Grader, *, seed: int) -> Result:
    """One line of results: the verdicts on the final answer and on the draft. Where a self-check itself fails, only the
    answer is lost: the draft stays what it was."""
    after = await _verdict(trajectory, trajectory.answer, labelled, grader, seed)
    finished, usage = trajectory.outcome == "finished", trajectory.usage
    if not finished and trajectory.draft and not after.owed:
        before = await grader.grade(labelled, trajectory.draft, seed=seed)
    else:
        same = trajectory.draft == trajectory.answer
        before = after if same else await _verdict(trajectory, trajectory.draft, labelled, grader, seed)
    return Result(
        id=trajectory.id,
        question_id=trajectory.question_id,
        kind=labelled.kind,
        hops=labelled.hops,
        outcome=trajectory.outcome,
        fault=trajectory.fault,
        answer=trajectory.answer,
        draft=trajectory.draft,
        verdict=after,
        verdict_before_checks=before,
        em=exact_match(trajectory.answer, labelled.answers) if finished else 0.0,
        f1=f1(trajectory.answer, labelled.answers) if finished else 0.0,
        searches=usage.searches,
        calls=usage.calls,
        tokens=usage.prompt_tokens + usage.completion_tokens,
        question=trajectory.question,
        golds=labelled.answers,
        rule_verdict=rule_verdict(labelled, trajectory.answer)
        if finished and not isinstance(grader, RuleGrader)
        else None,
    )


async def _verdict(
    trajectory: Trajectory, answer: str, labelled: LabelledQuestion, grader: Grader, seed: int
) -> Verdict:
    if trajectory.fault is None:
        return await grader.grade(labelled, answer, seed=seed)
    if trajectory.fault.whose == "outside":
        return Verdict("unscored", f"outside fault: {trajectory.fault.message}", owed=True)
    return Verdict("incorrect", f"the model's fault: {trajectory.fault.message}")


def _grading_tokens(path: Path) -> tuple[int, int]:
    """In and out; a draft that is the answer was graded once."""
    prompt = completion = 0
    for result in read_lines(path, Result):
        twice = result.draft != result.answer or result.outcome == "failed"
        for verdict in (result.verdict, result.verdict_before_checks)[: 1 + twice]:
            prompt += verdict.prompt_tokens
            completion += verdict.completion_tokens
    return prompt, completion


def _tokens(path: Path) -> dict[str, int]:
    prompt = completion = 0
    for trajectory in read_lines(path, Trajectory):
        prompt += trajectory.usage.prompt_tokens
        completion += trajectory.usage.completion_tokens
    return {"prompt_tokens": prompt, "completion_tokens": completion}


# ── what the results say ──────────────────────────────────────────────────────────────────────────────────────────────


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
    reasons = Counter(s.result.fault.reason for s in scored if s.result.fault is not None)
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
