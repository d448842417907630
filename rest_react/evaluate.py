"""Evaluate: the policy answers a labelled benchmark, and a grader says what is right (paper section 4).

    await evaluate(agent, benchmark, grader, folder.stage(1, "evaluate", "world"), repeats=1, seed=7, in_flight=48)

leaves trajectories.jsonl, results.jsonl and summary.json. This is the one verb that holds labels, and they go to the
grader alone: the agent is handed plain questions. Every answer is graded twice, after and before the self-checks, on
the same trajectory. A model's fault is incorrect; an outside fault, or a verdict that could not be had, is unscored,
and what is unscored for an outside fault is owed again on the next run.
Not here: the statistics over results (judges.metrics, report).
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rest_react.agent.search_agent import TRAJECTORIES, SearchAgent, roll_out
from rest_react.console import progress
from rest_react.errors import StageIncomplete
from rest_react.judges.grader import Grader
from rest_react.judges.metrics import bill, exact_match, f1
from rest_react.records import LabelledQuestion, Result, Trajectory, Verdict, derive_seed
from rest_react.remote import together
from rest_react.settings import Price
from rest_react.store import JsonLines, in_order, read_lines, read_summary, write_summary

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

    `make_room` closes the policy's door before the grader's opens; it opens again at its next call."""
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
    await _grade_all(stage, benchmark, grader, repeats, seed, in_flight, f"{title}, grading", tolerated)
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
    repeats: int,
    seed: int,
    in_flight: int,
    title: str,
    tolerated: float,
) -> None:
    """Grades what is not graded yet, and again what an outside fault left unscored."""
    log = JsonLines(stage / RESULTS, Result)
    done = log.resume(keep=lambda result: not _owed(result))
    by_id = {labelled.question.id: labelled for labelled in benchmark}
    order = list(in_order(list(by_id), repeats))
    ungraded = (t for t in read_lines(stage / TRAJECTORIES, Trajectory) if t.id not in done)
    lost: list[str] = []

    with progress(title, total=len(order), done=len(done)) as advance:

        async def worker() -> None:
            for trajectory in ungraded:
                labelled = by_id[trajectory.question_id]
                result = await grade(trajectory, labelled, grader, seed=derive_seed(seed, trajectory.id, "grade"))
                log.append(result)
                if _owed(result):
                    lost.append((result.verdict if result.verdict.owed else result.verdict_before_checks).reason)
                advance()

        await together(worker() for _ in range(min(in_flight, len(order) - len(done))))
    log.finish(order)
    if len(lost) > tolerated * len(order):
        raise StageIncomplete(
            f"{title}: {len(lost)} of {len(order)} verdicts could not be had, e.g. {lost[-1]}\n"
            "The others are kept. Run the same command again to do these, or set tolerate_outside_faults to go on."
        )


def _owed(result: Result) -> bool:
    return result.verdict.owed or result.verdict_before_checks.owed


async def grade(trajectory: Trajectory, labelled: LabelledQuestion, grader: Grader, *, seed: int) -> Result:
    """One line of results: the verdicts on the final answer and on the draft."""
    after = await _verdict(trajectory, trajectory.answer, labelled, grader, seed)
    same = trajectory.draft == trajectory.answer
    before = after if same else await _verdict(trajectory, trajectory.draft, labelled, grader, seed)
    finished, usage = trajectory.outcome == "finished", trajectory.usage
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
        for verdict in (result.verdict, result.verdict_before_checks)[: 1 + (result.draft != result.answer)]:
            prompt += verdict.prompt_tokens
            completion += verdict.completion_tokens
    return prompt, completion


def _tokens(path: Path) -> dict[str, int]:
    prompt = completion = 0
    for trajectory in read_lines(path, Trajectory):
        prompt += trajectory.usage.prompt_tokens
        completion += trajectory.usage.completion_tokens
    return {"prompt_tokens": prompt, "completion_tokens": completion}
