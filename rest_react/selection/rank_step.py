"""Ranks one step: the choice of the selector, and the reward model's yes or no on it (paper section 3.5).

    ranking = await rank_step("q1.0.3", trajectory, 3, (0, 2), selector="reward_model", keep="all",
                              reward_model=reward_model, seed=7)        # Ranking(best=2, order=(2, 0), ...)

A ranking that failed because of an external error is `errored`: the next run retries it, and it filters nothing. After
a refusal or an unusable reply it is a `fallback`: the target is the one chosen without a reward model.
Not here: which steps are ranked (selection.filters), the request to the reward model (selection.reward_model).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rest_react.errors import ModelFault, OutsideFault
from rest_react.records import Completion, OptionRanking, Ranking
from rest_react.remote.failures.refusals import ACCEPTED, LOST
from rest_react.seeds import derive_seed
from rest_react.selection.filters import Keep
from rest_react.selection.opinions import Opinion, StepJudge
from rest_react.selection.option_ranking import DIGITS
from rest_react.selection.selectors import SELECTORS, SelectorName
from rest_react.trajectories.parsed import ParsedTrajectory

REFUSED = "model fault: "


async def rank_step(
    id_: str,
    trajectory: ParsedTrajectory,
    index: int,
    usable: Sequence[int],
    *,
    selector: SelectorName,
    keep: Keep,
    reward_model: StepJudge | None,
    seed: int,
) -> Ranking:
    """Ranks a step. `usable` are the candidates that may train. External errors are recorded, not raised."""
    parsed = trajectory.steps[index]
    state, targets = parsed.step.state, [action.target for action in parsed.actions]
    best = SELECTORS[selector](trajectory, index, usable, seed)
    record = OptionRanking if reward_model is not None and reward_model.by_options else Ranking
    ranking = record(id_, parsed.step.kind, selector, "ranked", best)
    try:
        if selector == "reward_model" and len(usable) > 1:
            assert reward_model is not None
            ranking = await _ranked(ranking, state, targets, usable, reward_model, seed)
        if keep == "judged_good":
            assert reward_model is not None
            ranking = await _judged(ranking, state, targets, reward_model, derive_seed(seed, "good"))
    except OutsideFault as error:
        ranking = replace(ranking, status="errored", reply=f"outside fault: {error}")
    return ranking


def is_decided(ranking: Ranking) -> bool:
    """Whether the ranking is final: no external error, no refusal."""
    replies = (ranking.reply, ranking.good_reply)
    return ranking.status != "errored" and not any(reply.startswith(REFUSED) for reply in replies)


def reward_model_answers(ranking: Ranking) -> Iterator[str | None]:
    """One entry per request to the reward model, for remote.failures.refusals."""
    if ranking.status == "errored":
        yield LOST
    elif ranking.status == "fallback" or ranking.order:
        yield ranking.reply if ranking.reply.startswith(REFUSED) else ACCEPTED
    if ranking.good_reply or ranking.good is not None:
        yield ranking.good_reply if ranking.good_reply.startswith(REFUSED) else ACCEPTED


async def _ranked(
    ranking: Ranking, state: str, targets: Sequence[str], usable: Sequence[int], reward_model: StepJudge, seed: int
) -> Ranking:
    try:
        opinion = await reward_model.rank(state, [targets[i] for i in usable], seed=seed)
    except ModelFault as error:
        return replace(ranking, status="fallback", reply=f"{REFUSED}{error}")
    ranking = _charged(replace(ranking, reply=opinion.reply.text), opinion.reply)
    if isinstance(ranking, OptionRanking):
        ranking = replace(
            ranking, letters=opinion.letters, logprobs=opinion.logprobs, floored=opinion.floored,
            written=not opinion.logprobs,
        )  # fmt: skip
    if not opinion.order:
        return replace(ranking, status="fallback")
    best = _best(opinion, usable, of_rollout=ranking.best)
    order = (best, *(i for i in (usable[place] for place in opinion.order) if i != best))
    return replace(ranking, best=best, order=order)


def _best(opinion: Opinion, usable: Sequence[int], *, of_rollout: int) -> int:
    """The first of the order; of several with its score the one that the rollout had chosen, if that is among them."""
    first = opinion.order[0]
    totals = [round(sum(scores), DIGITS) for scores in zip(*opinion.logprobs, strict=True)]  # none if it was written
    equal = [i for i, total in zip(usable, totals, strict=False) if total == totals[first]]
    return of_rollout if of_rollout in equal else usable[first]


async def _judged(ranking: Ranking, state: str, targets: Sequence[str], reward_model: StepJudge, seed: int) -> Ranking:
    try:
        judgement = await reward_model.is_good(state, targets[ranking.best], seed=seed)
    except ModelFault as error:
        return replace(ranking, good_reply=f"{REFUSED}{error}")
    ranking = _charged(replace(ranking, good=judgement.good, good_reply=judgement.reply.text), judgement.reply)
    if isinstance(ranking, OptionRanking):
        ranking = replace(
            ranking, good_logprobs=judgement.logprobs, floored=ranking.floored + judgement.floored,
            written=ranking.written or not judgement.logprobs,
        )  # fmt: skip
    return ranking


def _charged(ranking: Ranking, reply: Completion) -> Ranking:
    spent = ranking.prompt_tokens + reply.prompt_tokens, ranking.completion_tokens + reply.tokens
    return replace(ranking, prompt_tokens=spent[0], completion_tokens=spent[1])
