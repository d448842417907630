"""Evaluate: the policy answers a labelled benchmark, and a grader says what is right (paper section 4).

    await evaluate(task, policy, benchmark, grader, folder.stage(1, "evaluate", "world"),
                   repeats=1, seed=7, in_flight=48, prices=prices)

leaves trajectories.jsonl, results.jsonl and summary.json. This is the one stage that holds labels, and they go to the
task's grade alone: its rollouts are given plain questions. A draft and the final answer are graded on the same
trajectory. A model's fault is incorrect, though a draft that it left is graded as one; an outside fault, or a verdict
that could not be had, is unscored, and what is unscored for an outside fault is owed again on the next run.

Not here: accuracy, intervals and every other number of results.json (reporting.rows).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rest_react.judges.grader import Grader
from rest_react.metrics.costs import Price, bill
from rest_react.records import LabelledQuestion, Result, Trajectory
from rest_react.remote.refusals import ACCEPTED, LOST
from rest_react.seeds import derive_seed
from rest_react.stages.executor import StageRecords, run_owed
from rest_react.stages.rollouts import TRAJECTORIES, roll_out
from rest_react.storage.jsonl import read_lines
from rest_react.storage.summaries import read_summary, reopen, write_summary
from rest_react.tasks.protocol import Policy, Task

RESULTS = "results.jsonl"


async def evaluate(
    task: Task,
    policy: Policy,
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

    `make_room` closes the policy's client before the grader is asked, and the grader's afterwards; each opens
    again at its next call."""
    if read_summary(stage) is not None:
        return
    started = time.monotonic()
    path = stage / TRAJECTORIES
    questions = [labelled.question for labelled in benchmark]
    await roll_out(
        task, policy, questions, path, repeats=repeats, seed=seed, in_flight=in_flight, title=title, tolerated=tolerated
    )
    if make_room:
        await policy.llm.aclose()
    try:
        await _grade_all(stage, task, benchmark, grader, repeats, seed, in_flight, f"{title}, grading", tolerated)
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
    task: Task,
    benchmark: Sequence[LabelledQuestion],
    grader: Grader,
    repeats: int,
    seed: int,
    in_flight: int,
    title: str,
    tolerated: float,
) -> None:
    """Grades what is not graded yet, and again what is unscored: the fault, or the setting, may be cured."""
    by_id = {labelled.question.id: labelled for labelled in benchmark}

    items = ((trajectory.id, trajectory) for trajectory in read_lines(stage / TRAJECTORIES, Trajectory))

    async def grade(id_: str, trajectory: Trajectory) -> Result:
        labelled = by_id[trajectory.question_id]
        return await task.grade(labelled, trajectory, grader, seed=derive_seed(seed, id_, "grade"))

    await run_owed(
        _RECORDS, stage / RESULTS, items, grade,
        total=len(benchmark) * repeats, in_flight=in_flight, title=title, tolerated=tolerated,
    )  # fmt: skip


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
