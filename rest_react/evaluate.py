"""Evaluate: the policy answers a labelled benchmark, and a grader says what is right (paper section 4).

    await evaluate(agent, benchmark, grader, folder.stage(1, "evaluate", "world"), repeats=1, seed=7, in_flight=48)

leaves trajectories.jsonl, results.jsonl and summary.json. This is the one verb that holds labels, and they go to the
grader alone: the agent is handed plain questions. Every answer is graded twice, after and before the self-checks, on
the same trajectory. A model's fault is incorrect; an outside fault, or a verdict that could not be had, is unscored.
Not here: the statistics over results (judges.metrics, report).
"""

import time
from collections.abc import Sequence
from pathlib import Path

from rest_react.agent.rollouts import roll_out
from rest_react.agent.search_agent import SearchAgent
from rest_react.console import progress
from rest_react.grow import TRAJECTORIES
from rest_react.judges.grader import Grader
from rest_react.judges.metrics import exact_match, f1
from rest_react.records import LabelledQuestion, Result, Trajectory, Verdict, derive_seed
from rest_react.remote import together
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
    await _grade_all(path, benchmark, grader, stage / RESULTS, repeats, seed, in_flight, f"{title}, grading")
    usage = _usage(path)
    summary = {"grader": grader.name, "questions": len(benchmark), "repeats": repeats, **usage}
    write_summary(stage, {**summary, "seconds": round(time.monotonic() - started, 1)})


async def _grade_all(
    trajectories: Path,
    benchmark: Sequence[LabelledQuestion],
    grader: Grader,
    path: Path,
    repeats: int,
    seed: int,
    in_flight: int,
    title: str,
) -> None:
    """Grades what is not graded yet; a verdict that could not be had is asked for again."""
    log = JsonLines(path, Result)
    done = log.resume(
        keep=lambda result: "unscored" not in (result.verdict.verdict, result.verdict_before_checks.verdict)
    )
    by_id = {labelled.question.id: labelled for labelled in benchmark}
    order = list(in_order(list(by_id), repeats))
    owed = (t for t in read_lines(trajectories, Trajectory) if t.id not in done)
    with progress(title, total=len(order), done=len(done)) as advance:

        async def worker() -> None:
            for trajectory in owed:
                labelled = by_id[trajectory.question_id]
                log.append(await grade(trajectory, labelled, grader, seed=derive_seed(seed, trajectory.id, "grade")))
                advance()

        await together(worker() for _ in range(min(in_flight, max(len(order) - len(done), 0))))
    log.finish(order)


async def grade(trajectory: Trajectory, labelled: LabelledQuestion, grader: Grader, *, seed: int) -> Result:
    """One line of results: the verdicts on the final answer and on the draft."""
    after = await _verdict(trajectory, trajectory.answer, labelled, grader, seed)
    same = trajectory.draft == trajectory.answer
    before = after if same else await _verdict(trajectory, trajectory.draft, labelled, grader, seed)
    usage = trajectory.usage
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
        em=exact_match(trajectory.answer, labelled.answers),
        f1=f1(trajectory.answer, labelled.answers),
        searches=usage.searches,
        calls=usage.calls,
        tokens=usage.prompt_tokens + usage.completion_tokens,
    )


async def _verdict(
    trajectory: Trajectory, answer: str, labelled: LabelledQuestion, grader: Grader, seed: int
) -> Verdict:
    if trajectory.fault is None:
        return await grader.grade(labelled, answer, seed=seed)
    if trajectory.fault.whose == "outside":
        return Verdict("unscored", f"outside fault: {trajectory.fault.message}")
    return Verdict("incorrect", f"the model's fault: {trajectory.fault.message}")


def _usage(path: Path) -> dict[str, object]:
    prompt = completion = 0
    for trajectory in read_lines(path, Trajectory):
        prompt += trajectory.usage.prompt_tokens
        completion += trajectory.usage.completion_tokens
    return {"prompt_tokens": prompt, "completion_tokens": completion}
