"""The judge of answers of `reward_model=trained`, for `judged_good` and `judged_better`: a stage of iteration 0.

    await make_outcome_judge(task, questions, examples, folder.stage(0, "outcome_judge"), folds=3, ...)

A model that is tuned to say whether the answer of a trajectory is right, on the outcomes of the policy on the
demonstrated questions, whose answers the demonstrations give. A policy that was trained on these questions would hardly
err on them, so they are cross-fitted: they are dealt into folds, and those of a fold are answered by a policy that was
tuned on the demonstrations of the other folds. The judge reads the question, the queries, the selected results and the
answer. A share of the questions is held out, and the accuracy on their answers is in summary.json. With
`start_from: policy` that can be too high: those weights have seen the demonstrations of the held-out questions.
No label of a Grow or benchmark question is used. Sources: verifiers trained on outcomes (Cobbe et al. 2021) and
cross-fitting (Chernozhukov et al. 2018). The paper has no such judge; this one is ours.

Files: fold_<n>/policy (a training), fold_<n>/answers (an evaluation), weights (the training of the judge),
held_out.jsonl, summary.json.
Not here: asking it (selection.trained_judge), the judge of steps (step_judge).
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from rest_react.errors import UsageError
from rest_react.judges.grader import Grader
from rest_react.metrics.intervals import clustered_interval
from rest_react.metrics.prices import Price
from rest_react.protocols import LLM, Trainer
from rest_react.records import Example, JudgedOutcome, LabelledQuestion, ModelRef, Result, Trajectory
from rest_react.seeds import derive_seed
from rest_react.selection.trained_judge import NO, YES, TrainedJudge, shown_answer
from rest_react.stages.evaluate import RESULTS, evaluate
from rest_react.stages.executor import StageRecords, run_owed
from rest_react.stages.finetune import finetune
from rest_react.stages.judge.held_out import HELD_OUT, held_out_questions
from rest_react.stages.rollouts import TRAJECTORIES
from rest_react.storage.jsonl import read_lines
from rest_react.storage.summaries import read_summary, write_summary
from rest_react.tasks.protocol import Policy, Task
from rest_react.trajectories.parsed import Evidence, ParsedTrajectory

WEIGHTS = "weights"
_TITLE = "iteration 0: outcome judge"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A trajectory to a demonstrated question: what the judge reads of it, and whether its answer is right."""

    id: str
    question_id: str
    found: Evidence
    right: bool


async def make_outcome_judge(
    task: Task,
    questions: Sequence[LabelledQuestion],
    examples: Sequence[Example],
    stage: Path,
    *,
    folds: int,
    repeats: int,
    held_out: float,
    grader: Grader,
    trainers: Callable[[str], Trainer],
    untuned: ModelRef,
    base: ModelRef,
    open_policy: Callable[[ModelRef], Policy],
    open_judge: Callable[[ModelRef], LLM],
    seed: int,
    in_flight: int,
    prices: Mapping[str, Price],
    tolerated: float = 0.0,
    make_room: bool = False,
) -> None:
    """Has a policy for each of `folds` folds, tuned from `untuned` on the `examples` of the other folds, answer the
    `questions` of the fold, each `repeats` times, and tunes `base` on the outcomes, without the share `held_out` of the
    questions. `trainers` gives the trainer of a fold or of the "weights". Does nothing if the stage is complete. Raises
    UsageError if there are too few questions, or if all answers are right or wrong. `tolerated` and `make_room` are
    those of an evaluation."""
    if read_summary(stage) is not None:
        return
    started, resumed = time.monotonic(), stage.exists() and any(stage.iterdir())
    found: list[Outcome] = []
    for name, fold in deal({one.question.id for one in questions}, folds, seed, stage).items():
        others = [row for row in examples if row.trajectory_id.rpartition(".")[0] not in fold]
        own = derive_seed(seed, name)
        tuned = await finetune(trainers(name), others, untuned, stage / name / "policy", seed=own % 2**31)
        policy, asked = open_policy(tuned), [one for one in questions if one.question.id in fold]
        try:
            await evaluate(
                task, policy, asked, grader, stage / name / "answers",
                repeats=repeats, seed=own, in_flight=in_flight, prices=prices, title=f"{_TITLE}, {name}",
                tolerated=tolerated, make_room=make_room,
            )  # fmt: skip
        finally:
            await policy.llm.aclose()
            await grader.aclose()  # frees its memory for the next training
        found += outcomes(task, stage / name / "answers")
    apart = held_out_questions({one.question.id for one in questions}, held_out, seed)
    rows = training_rows([one for one in found if one.question_id not in apart], stage, seed)
    model = await finetune(
        trainers(WEIGHTS), rows, base, stage / WEIGHTS, seed=derive_seed(seed, WEIGHTS) % 2**31
    )  # fmt: skip
    held = [one for one in found if one.question_id in apart]
    await _score_held_out(open_judge(model), held, stage, in_flight)
    told = {"base": base.name, "model": model.name, "training_rows": len(rows), **_counts(found, stage, folds)}
    write_summary(stage, {**told, "seconds": None if resumed else round(time.monotonic() - started, 1)})


def deal(questions: Collection[str], folds: int, seed: int, stage: Path) -> dict[str, frozenset[str]]:
    """The questions in folds by their name, at random; their sizes differ by one at most. Raises UsageError if there
    are fewer questions than folds.

    >>> {name: len(fold) for name, fold in deal({"a", "b", "c", "d", "e"}, 2, 7, Path("outcome_judge")).items()}
    {'fold_0': 3, 'fold_1': 2}
    """
    if len(questions) < folds:
        raise UsageError(
            f"{stage}: {len(questions)} demonstrated questions are too few for {folds} folds; lower "
            "reward_model.folds, or give more demonstrations in another run"
        )
    order = sorted(questions, key=lambda question: derive_seed(seed, "fold", question))
    return {f"fold_{number}": frozenset(order[number::folds]) for number in range(folds)}


def outcomes(task: Task, answers: Path) -> Iterator[Outcome]:
    """The finished trajectories of a fold that have a verdict."""
    verdicts = {one.id: one.verdict.verdict for one in read_lines(answers / RESULTS, Result)}
    for trajectory in read_lines(answers / TRAJECTORIES, Trajectory):
        verdict = verdicts[trajectory.id]
        if trajectory.outcome == "finished" and verdict != "unscored":
            parsed = ParsedTrajectory(trajectory, tuple(map(task.parse, trajectory.steps)))
            yield Outcome(trajectory.id, trajectory.question_id, task.evidence(parsed), verdict == "correct")


def training_rows(found: Sequence[Outcome], stage: Path, seed: int) -> list[Example]:
    """A row for each outcome; of the rarer verdict some rows are repeated, so that yes and no are equally frequent."""
    by_verdict = [[one for one in found if one.right is right] for right in (True, False)]
    few, many = sorted(by_verdict, key=len)
    if not few:
        verdict = "right" if many and many[0].right else "wrong"
        told = f"all {len(many)} scored answers to demonstrated questions that are not held out are {verdict}"
        told = told if many else "no answer to a demonstrated question that is not held out is finished and scored"
        raise UsageError(
            f"{stage}: {told}, so a judge has nothing to learn; in another run (run=<name> grow.reuse=<this one>) "
            "raise reward_model.repeats, or choose another reward_model"
        )
    repeated = Random(derive_seed(seed, "rows")).choices(few, k=len(many) - len(few))
    return [
        Example(f"{one.id}.{n}", one.id, 0, "answer", shown_answer(one.found), YES if one.right else NO, "outcome")
        for n, one in enumerate([*few, *many, *repeated])
    ]


async def _score_held_out(llm: LLM, held_out: Sequence[Outcome], stage: Path, in_flight: int) -> None:
    judge = TrainedJudge(llm)

    async def score(id_: str, one: Outcome) -> JudgedOutcome:
        judgement = await judge.is_right(one.found, seed=0)
        yes, no = judgement.logprobs
        return JudgedOutcome(id_, one.question_id, one.right, round(yes - no, 4))

    try:
        await run_owed(
            _SCORES, stage / HELD_OUT, [(one.id, one) for one in held_out], score,
            total=len(held_out), in_flight=in_flight, title=f"{_TITLE}, held-out answers",
        )  # fmt: skip
    finally:
        await llm.aclose()


def _counts(found: Sequence[Outcome], stage: Path, folds: int) -> dict[str, object]:
    """The outcomes, the accuracy of the judge's yes or no on held-out questions, where equal scores are wrong, and the
    tokens and costs of the answers."""
    by_question: dict[str, list[float]] = {}
    for one in read_lines(stage / HELD_OUT, JudgedOutcome):
        by_question.setdefault(one.question_id, []).append(float(one.log_odds * (1 if one.right else -1) > 0))
    accuracy = clustered_interval(by_question)
    ends = {name: getattr(accuracy, name) for name in ("mean", "low", "high")}
    told = {name: None if end is None else round(end, 4) for name, end in ends.items()}
    answered = [read_summary(stage / f"fold_{number}" / "answers") or {} for number in range(folds)]
    costs = [one["cost_usd"] for one in answered]
    results = [one for n in range(folds) for one in read_lines(stage / f"fold_{n}" / "answers" / RESULTS, Result)]
    return {
        "trajectories": len(found),
        "right": sum(one.right for one in found),
        "failed": sum(one.outcome == "failed" for one in results),
        "unscored": sum(one.verdict.verdict == "unscored" for one in results),
        "accuracy": {**told, "trajectories": sum(map(len, by_question.values())), "questions": accuracy.n},
        **{name: sum(one[name] for one in answered) for name in ("prompt_tokens", "completion_tokens")},
        "cost_usd": None if None in costs else round(sum(costs), 6),
        "cost_reason": next((one["cost_reason"] for one in answered if one["cost_usd"] is None), None),
    }


_SCORES = StageRecords(JudgedOutcome, noun="answers", role="reward_model")
