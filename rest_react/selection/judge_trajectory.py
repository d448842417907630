"""Asks a reward model about a whole trajectory, and records its verdict.

    await judge_trajectory("q1.0", found, reward_model, keep="judged_good", seed=7)  # TrajectoryVerdict(good=True, ...)

judged_good, judged_better: is the final answer right, given the question and the cited snippets alone? The reward model
scores yes and no where it can (`improve.reward=options`), else it writes its verdict. The other filters read texts and
write nothing (selection.read_trajectory). No gold answer is shown: `Evidence` has no field for one. The paper filters
no trajectories by a model; these filters are ours.
Not here: which trajectories are judged, and what becomes of the verdicts (stages.improve.judge_trajectories).
"""

from collections.abc import Iterable

from rest_react.errors import ModelFault, OutsideFault
from rest_react.records import TrajectoryVerdict
from rest_react.remote.failures.refusals import ACCEPTED, LOST
from rest_react.selection.opinions import StepJudge
from rest_react.selection.rank_step import REFUSED
from rest_react.selection.read_trajectory import read_trajectory
from rest_react.selection.trajectory_filters import TRAJECTORY_FILTERS, KeepTrajectories
from rest_react.trajectories.parsed import Evidence


async def judge_trajectory(
    id_: str, found: Evidence, judge: StepJudge, *, keep: KeepTrajectories, seed: int
) -> TrajectoryVerdict:
    """The verdict on one trajectory. Errors of the model and external errors are recorded, not raised."""
    reads = TRAJECTORY_FILTERS[keep].reads
    try:
        if reads is None:
            judgement = await judge.is_right(found, seed=seed)
        else:
            judgement = await read_trajectory(keep, found, reads, judge.llm)
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


def left_out_by(keep: KeepTrajectories, verdicts: Iterable[TrajectoryVerdict]) -> frozenset[str]:
    """The ids of the trajectories that the verdicts leave out. One without a verdict stays."""
    leaves_out = TRAJECTORY_FILTERS[keep].leaves_out
    return frozenset() if leaves_out is None else leaves_out(verdicts)


def answer_of(verdict: TrajectoryVerdict) -> str | None:
    """The outcome of the request, for remote.failures.refusals."""
    if verdict.status == "errored":
        return LOST
    return verdict.reply if verdict.reply.startswith(REFUSED) else ACCEPTED
