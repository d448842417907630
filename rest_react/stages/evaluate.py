"""Evaluate: the policy answers a labelled benchmark, and a grader says what is right (paper section 4).

    await evaluate(agent, benchmark, grader, folder.stage(1, "evaluate", "world"),
                   repeats=1, seed=7, in_flight=48, prices=prices)

leaves trajectories.jsonl, results.jsonl and summary.json. This is the one verb that holds labels, and they go to the
grader alone: the agent is handed plain questions. Every answer is graded twice, after and before the self-checks, on
the same trajectory. A model's fault is incorrect, though a draft that it left is graded as one; an outside fault, or a
verdict that could not be had, is unscored, and what is unscored for an outside fault is owed again on the next run.

Not here: accuracy, intervals and every other number of results.json (reporting.rows).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rest_react.judges.grader import Grader, RuleGrader, rule_verdict
from rest_react.metrics.costs import Price, bill
from rest_react.metrics.text_match import exact_match, f1
from rest_react.records import LabelledQuestion, Result, Trajectory, Verdict
from rest_react.remote.refusals import ACCEPTED, LOST
from rest_react.seeds import derive_seed
from rest_react.stages.executor import StageRecords, run_owed
from rest_react.stages.rollouts import TRAJECTORIES, roll_out
from rest_react.storage.jsonl import read_lines
from rest_react.storage.summaries import read_summary, reopen, write_summary
from rest_react.tasks.search_qa.agent import SearchAgent

RESULTS = "results.jsonl"


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
