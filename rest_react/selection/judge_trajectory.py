"""Asks a reward model about a whole trajectory, and records its verdict.

    await judge_trajectory("q1.0", found, reward_model, keep="judged_good", seed=7)  # TrajectoryVerdict(good=True, ...)

judged_good, judged_better: is the final answer right, given the question and the cited snippets alone? The reward model
scores yes and no where it can (`improve.reward=options`), else it writes its verdict. reader_agrees: it answers the
question itself, from the selected passages alone, and the trajectory is good if both answers are the same;
reader_and_judge asks both. The other filters read texts and write nothing (selection.read_trajectory). No gold answer
is shown: `Evidence` has no field for one. The paper filters no trajectories by a model; these filters are ours.
Not here: which trajectories are judged, and what becomes of the verdicts (stages.improve.judge_trajectories).
"""

from collections.abc import Iterable

from rest_react.errors import ModelFault, OutsideFault
from rest_react.records import Completion, TrajectoryVerdict
from rest_react.remote.failures.refusals import ACCEPTED, LOST
from rest_react.selection.opinions import Judgement, StepJudge
from rest_react.selection.option_ranking import with_tokens_of
from rest_react.selection.rank_step import REFUSED
from rest_react.selection.read_trajectory import read_trajectory
from rest_react.selection.trajectory_filters import TRAJECTORY_FILTERS, KeepTrajectories
from rest_react.selection.trajectory_signals.reader_agreement import gives_same_answer
from rest_react.trajectories.parsed import Evidence


async def judge_trajectory(
    id_: str, found: Evidence, judge: StepJudge, *, keep: KeepTrajectories, seed: int
) -> TrajectoryVerdict:
    """The verdict on one trajectory. Errors of the model and external errors are recorded, not raised."""
    filter_ = TRAJECTORY_FILTERS[keep]
    try:
        if filter_.reads is not None:
            judgement = await read_trajectory(keep, found, filter_.reads, judge.llm)
        elif "answer" in filter_.asks:
            judgement = await _answered_again(found, judge, scored="right" in filter_.asks, seed=seed)
        else:
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


async def _answered_again(found: Evidence, judge: StepJudge, *, scored: bool, seed: int) -> Judgement:
    """Good if the reward model gives the answer of the trajectory; with `scored` also the log-probabilities that the
    answer is right, or, if it writes instead, good only if it calls the answer right too. A trajectory without a
    selected passage is not good, and the model is not asked."""
    if not found.selected:
        return Judgement(False, Completion("", 0, None, "stop", 0))
    reply = await judge.answer(found, seed=seed)
    good = gives_same_answer(found, reply.text)
    if not scored:
        return Judgement(good, reply)
    try:
        right = await judge.is_right(found, seed=seed)
    except ModelFault:
        if good is False:  # it is left out, whatever the judge would say
            return Judgement(False, reply)
        raise
    if not right.logprobs:
        good = False if False in (good, right.good) else None if None in (good, right.good) else True
    return Judgement(good, with_tokens_of(reply, right), right.logprobs)


def left_out_by(keep: KeepTrajectories, verdicts: Iterable[TrajectoryVerdict]) -> frozenset[str]:
    """The ids of the trajectories that the verdicts leave out. One without a verdict stays."""
    leaves_out = TRAJECTORY_FILTERS[keep].leaves_out
    return frozenset() if leaves_out is None else leaves_out(verdicts)


def answers_of(verdict: TrajectoryVerdict) -> list[str | None]:
    """The outcome of the request, for remote.failures.refusals; nothing for a verdict that needed no request."""
    if verdict.status == "errored":
        return [LOST]
    if verdict.reply.startswith(REFUSED):
        return [verdict.reply]
    asked = verdict.good is not False or verdict.reply or verdict.logprobs or verdict.prompt_tokens
    return [ACCEPTED] if asked else []
