"""Evaluate: the policy answers the questions of a benchmark, and a grader grades the answers (paper section 4).

    await evaluate(task, policy, benchmark, grader, folder.stage(1, "evaluate", "world"),
                   repeats=1, seed=7, in_flight=48, prices=prices)

writes trajectories.jsonl, results.jsonl and summary.json. Only evaluations have labels, and of a task only `grade` gets
them: rollouts get plain questions. The draft and the final answer of a trajectory are both graded. A trajectory that
failed because of the model is incorrect (its draft, if there is one, is graded as usual). A trajectory or a verdict
that failed because of an external error is unscored, and the next run retries it.

Not here: accuracy, intervals and every other number of results.json (reporting.results.rows).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rest_react.judges.grader import Grader
from rest_react.metrics.latency import latency_by_length
from rest_react.metrics.prices import Price, bill
from rest_react.records import LabelledQuestion, Result, Trajectory
from rest_react.remote.failures.refusals import ACCEPTED, LOST
from rest_react.seeds import derive_seed
from rest_react.stages.executor import StageRecords, run_owed
from rest_react.stages.rollouts import TRAJECTORIES, answer_all, page_counts, tokens_by_role
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
    """Answers each question `repeats` times and grades the answers. Does nothing if the stage is complete.

    `make_room` closes the client of the policy before grading and that of the grader afterwards, to free memory; each
    opens again at its next call."""
    if read_summary(stage) is not None:
        return
    started, path = time.monotonic(), stage / TRAJECTORIES
    resumed = path.exists() and path.stat().st_size > 0  # the time that these answers took is not recorded
    questions = [labelled.question for labelled in benchmark]
    times = await answer_all(
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
    answering = tokens_by_role(task, path)
    cost = bill(prices, **answering, grader=_grading_tokens(stage / RESULTS))
    cost["answering_usd"] = bill(prices, **answering)["cost_usd"]
    asked = {"grader": grader.name, "questions": len(benchmark), "repeats": repeats}
    summary = {**asked, **tokens, **page_counts(path, title), **cost}
    seconds = None if resumed else round(time.monotonic() - started, 1)
    write_summary(stage, summary | {"latency": latency_by_length(times), "seconds": seconds})


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
    """Grades the answers that have no verdict, and retries unscored ones: the error may be gone, or a setting
    changed."""
    by_id = {labelled.question.id: labelled for labelled in benchmark}
    answers = {trajectory.id: _answer_of(trajectory) for trajectory in read_lines(stage / TRAJECTORIES, Trajectory)}

    items = ((trajectory.id, trajectory) for trajectory in read_lines(stage / TRAJECTORIES, Trajectory))

    async def grade(id_: str, trajectory: Trajectory) -> Result:
        labelled = by_id[trajectory.question_id]
        return await task.grade(labelled, trajectory, grader, seed=derive_seed(seed, id_, "grade"))

    def keep(result: Result) -> bool:
        """Whether it is scored, and for the same answer, question and gold answers as now."""
        now = by_id.get(result.question_id)
        if now is None or not _is_scored(result):
            return _is_scored(result)
        if _graded_answer(result) != answers.get(result.id):
            return False
        return result.question in ("", now.question.text) and result.golds in ((), now.answers)

    await run_owed(
        replace(_RECORDS, keep=keep), stage / RESULTS, items, grade,
        total=len(benchmark) * repeats, in_flight=in_flight, title=title, tolerated=tolerated,
    )  # fmt: skip


def _answer_of(trajectory: Trajectory) -> int:
    """A hash, to save memory, of what a result copies from its trajectory: a power cut may make that another one."""
    usage = trajectory.usage
    tokens = usage.prompt_tokens + usage.completion_tokens
    return hash((trajectory.outcome, trajectory.answer, trajectory.draft, usage.calls, tokens))


def _graded_answer(result: Result) -> int:
    return hash((result.outcome, result.answer, result.draft, result.calls, result.tokens))


def _is_scored(result: Result) -> bool:
    return "unscored" not in (result.verdict.verdict, result.verdict_before_checks.verdict)


def reopen_unscored(stage: Path) -> bool:
    """Makes a complete evaluation incomplete if it has unscored answers, so that the next command grades these
    again; whether it did."""
    if read_summary(stage) is None or all(map(_is_scored, read_lines(stage / RESULTS, Result))):
        return False
    reopen(stage)
    return True


def _outside_error(result: Result) -> str | None:
    """The external error because of which a verdict is missing; None if there is none."""
    owed = [verdict for verdict in (result.verdict, result.verdict_before_checks) if verdict.owed]
    return owed[0].reason if owed else None


def _grader_answers(result: Result) -> Iterator[str | None]:
    """One entry per request to the grader, for remote.failures.refusals. Empty answers are not requests."""
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
    """Tokens in and out. A draft that equals the answer was graded once."""
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
