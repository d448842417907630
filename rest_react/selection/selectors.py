"""The selectors: which sample of a step moves a trajectory on, and which becomes its training target.

    choose(step.candidates, actions, "perplexity")             # while a trajectory is sampled: agent.select
    SELECTORS["majority"](trajectory, 3, (0, 2), seed=7)       # afterwards, in Improve: improve.selector

A selector is a function that sees the whole parsed trajectory, the index of one of its steps, the candidates that may
train (indexes, of equal targets the first) and a seed; it returns one of these candidates. To add one: write it, and
enter it in `SelectorName` and `SELECTORS`.
Not here: which candidates may train (filters), and what a reward model is asked (reward_model, rank_step).
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Literal, TypeAlias

from rest_react.parsed_trajectories import SLIP, ParsedAction, ParsedTrajectory
from rest_react.records import Candidate

Select = Literal["perplexity", "majority", "first"]
SelectorName = Literal["reward_model", "verified", "perplexity", "majority", "random"]
Selector: TypeAlias = Callable[[ParsedTrajectory, int, Sequence[int], int], int]


def choose(
    candidates: Sequence[Candidate],
    actions: Sequence[ParsedAction],
    select: Select,
    among: Sequence[int] | None = None,
) -> int | None:
    """The index of the sample that moves on: a parsable one, from `among` where given, the first of equals.

    `perplexity` needs log-probabilities of all of them and is `majority` where a provider gives none. Every parsable
    sample has a vote, whether it can win or not.
    """
    decisions = {i: parsed.decision for i, parsed in enumerate(actions) if parsed.action is not None}
    usable = [i for i in decisions if among is None or i in among]
    if not usable or select == "first":
        return usable[0] if usable else None
    perplexities = {i: p for i in usable if (p := candidates[i].perplexity) is not None}
    if select == "perplexity" and len(perplexities) == len(usable):
        return min(usable, key=perplexities.__getitem__)
    votes = Counter(decisions.values())
    return max(usable, key=lambda i: votes[decisions[i]])


def perplexity(trajectory: ParsedTrajectory, index: int, usable: Sequence[int], seed: int) -> int:
    """The likeliest sample."""
    return _chosen(trajectory, index, usable, "perplexity")


def majority(trajectory: ParsedTrajectory, index: int, usable: Sequence[int], seed: int) -> int:
    """The first sample of the decision that most samples share."""
    return _chosen(trajectory, index, usable, "majority")


def random(trajectory: ParsedTrajectory, index: int, usable: Sequence[int], seed: int) -> int:
    """Any sample."""
    return Random(seed).choice(usable)


def rollouts_choice(trajectory: ParsedTrajectory, index: int, usable: Sequence[int], seed: int) -> int:
    """What stands where no reward model decides: the sample that the rollout went on with, or the likeliest where that
    one may not train."""
    step = trajectory.steps[index]
    same = [i for i in usable if step.chosen is not None and step.actions[i].target == step.chosen.target]
    return same[0] if same else _chosen(trajectory, index, usable, "perplexity")


# `verified` is perplexity among the candidates that filters.candidates_of leaves it.
SELECTORS: Mapping[SelectorName, Selector] = {
    "reward_model": rollouts_choice,
    "verified": perplexity,
    "perplexity": perplexity,
    "majority": majority,
    "random": random,
}


def _chosen(trajectory: ParsedTrajectory, index: int, usable: Sequence[int], select: Select) -> int:
    """Chooses among all samples whose target is that of a usable one, so that each of them counts."""
    parsed = trajectory.steps[index]
    first_with = {parsed.actions[i].target: i for i in usable}
    among = [
        i
        for i, (candidate, action) in enumerate(zip(parsed.step.candidates, parsed.actions, strict=True))
        if action.target in first_with and candidate.finish != SLIP
    ]
    best = choose(parsed.step.candidates, parsed.actions, select, among=among)
    assert best is not None
    return first_with[parsed.actions[best].target]
