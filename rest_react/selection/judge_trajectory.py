"""Judges a whole trajectory: is its final answer right, given the question and the cited snippets alone?

    await judge_trajectory("q1.0", task.evidence(trajectory), reward_model, seed=7)  # TrajectoryVerdict(good=True, ...)

The reward model scores yes and no where it can (`improve.reward=options`), and writes its verdict otherwise. It sees no
gold answer: `Evidence` has no field for one. The paper filters no trajectories by a model; this filter is ours.
Not here: which trajectories are judged, and what becomes of the verdicts (stages.improve.judge_trajectories).
"""

from rest_react.errors import ModelFault, OutsideFault
from rest_react.records import TrajectoryVerdict
from rest_react.remote.failures.refusals import ACCEPTED, LOST
from rest_react.selection.opinions import StepJudge
from rest_react.selection.rank_step import REFUSED
from rest_react.trajectories.parsed import Evidence


async def judge_trajectory(id_: str, found: Evidence, judge: StepJudge, *, seed: int) -> TrajectoryVerdict:
    """The verdict on one trajectory. Errors of the model and external errors are recorded, not raised."""
    try:
        judgement = await judge.is_right(found, seed=seed)
    except ModelFault as error:
        return TrajectoryVerdict(id_, "unscored", reply=f"{REFUSED}{error}")
    except OutsideFault as error:
        return TrajectoryVerdict(id_, "errored", reply=f"outside fault: {error}")
    reply = judgement.reply
    return TrajectoryVerdict(
        id_,
        "unscored" if judgement.good is None else "judged",
        judgement.good,
        reply.text,
        judgement.logprobs,
        reply.prompt_tokens,
        reply.tokens,
    )


def answer_of(verdict: TrajectoryVerdict) -> str | None:
    """The outcome of the request, for remote.failures.refusals."""
    if verdict.status == "errored":
        return LOST
    return verdict.reply if verdict.reply.startswith(REFUSED) else ACCEPTED
