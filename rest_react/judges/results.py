"""One line of results.jsonl: a trajectory, its labels and the verdicts on it.

    verdict = fault_verdict(trajectory) or await grader.grade(labelled, trajectory.answer, seed=7)
    result_of(labelled, trajectory, verdict, before=verdict)

Not here: who says what is right (grader), and what a task asks the grader (each task).
"""

from rest_react.metrics.text_match import exact_match, f1
from rest_react.records import LabelledQuestion, Result, Trajectory, Verdict


def fault_verdict(trajectory: Trajectory) -> Verdict | None:
    """The verdict on a trajectory that did not finish: incorrect by a fault of the model, unscored by one of the
    outside; None on a finished one."""
    if trajectory.fault is None:
        return None
    if trajectory.fault.whose == "outside":
        return Verdict("unscored", f"outside fault: {trajectory.fault.message}", owed=True)
    return Verdict("incorrect", f"the model's fault: {trajectory.fault.message}")


def result_of(
    labelled: LabelledQuestion,
    trajectory: Trajectory,
    verdict: Verdict,
    *,
    before: Verdict,
    rule_verdict: Verdict | None = None,
) -> Result:
    """The result. `before` is the verdict on the draft, `rule_verdict` that of the rule where another grader was
    asked."""
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
        verdict=verdict,
        verdict_before_checks=before,
        em=exact_match(trajectory.answer, labelled.answers) if finished else 0.0,
        f1=f1(trajectory.answer, labelled.answers) if finished else 0.0,
        searches=usage.searches,
        calls=usage.calls,
        tokens=usage.prompt_tokens + usage.completion_tokens,
        question=trajectory.question,
        golds=labelled.answers,
        rule_verdict=rule_verdict,
    )
