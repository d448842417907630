"""The selectors: choose the sample that continues a rollout, and the sample that becomes a training target.

    choose(step.candidates, actions, "perplexity")             # in a rollout: agent.select
    SELECTORS["majority"](trajectory, 3, (0, 2), seed=7)       # in Improve: improve.selector

A selector is a function that sees the whole parsed trajectory, the index of one of its steps, the candidates that may
train (indexes, of equal targets the first) and a seed; it returns one of these candidates. To add one: write it, and
enter it in `SelectorName` and `SELECTORS`.
Not here: which candidates may train (selection.filters), and the reward model (selection.reward_model, rank_step).
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Literal, TypeAlias

from rest_react.records import Candidate
from rest_react.trajectories.parsed import SLIP, ParsedAction, ParsedTrajectory

Select = Literal["verified", "perplexity", "majority", "first"]
SelectorName = Literal["reward_model", "verified", "perplexity", "majority", "random"]
Selector: TypeAlias = Callable[[ParsedTrajectory, int, Sequence[int], int], int]


def choose(
    candidates: Sequence[Candidate],
    actions: Sequence[ParsedAction],
    select: Select,
    among: Sequence[int] | None = None,
) -> int | None:
    """The index of the sample that continues the rollout; None if no sample parses. Only samples in `among` can be
    chosen, if it is given; of equal samples the first is. `verified` is `perplexity` among samples without violations.

    `perplexity` needs the log-probabilities of every sample that can be chosen; without them it is `majority`. In a
    majority vote every parsable sample has a vote, also those that are not in `among`.
    """
    decisions = {i: parsed.decision for i, parsed in enumerate(actions) if parsed.action is not None}
    usable = [i for i in decisions if among is None or i in among]
    if not usable or select == "first":
        return usable[0] if usable else None
    compared = {i: candidates[i] for i in usable}
    if len({one.action_logprob is None for one in compared.values()}) > 1:  # then all by the whole sample
        compared = {i: replace(one, action_logprob=None) for i, one in compared.items()}
    perplexities = {i: p for i, one in compared.items() if (p := one.perplexity) is not None}
    if select in ("perplexity", "verified") and len(perplexities) == len(usable):
        return min(usable, key=perplexities.__getitem__)
    votes = Counter(decisions.values())
    return max(usable, key=lambda i: votes[decisions[i]])


def perplexity(trajectory: ParsedTrajectory, index: int, usable: Sequence[int], seed: int) -> int:
    """The sample with the lowest perplexity; without log-probabilities, the majority's."""
    return _chosen(trajectory, index, usable, "perplexity")


def majority(trajectory: ParsedTrajectory, index: int, usable: Sequence[int], seed: int) -> int:
    """The first sample with the most frequent decision."""
    return _chosen(trajectory, index, usable, "majority")


def random(trajectory: ParsedTrajectory, index: int, usable: Sequence[int], seed: int) -> int:
    """A random sample."""
    return Random(seed).choice(usable)


def rollouts_choice(trajectory: ParsedTrajectory, index: int, usable: Sequence[int], seed: int) -> int:
    """The choice without a reward model: the sample chosen in the rollout, or the one with the lowest perplexity if
    that sample may not train."""
    step = trajectory.steps[index]
    same = [i for i in usable if step.chosen is not None and step.actions[i].target == step.chosen.target]
    return same[0] if same else _chosen(trajectory, index, usable, "perplexity")


# `reward_model`: what stands where the reward model gives no ranking (rank_step asks it). `verified`: perplexity among
# the candidates of filters.candidates_of.
SELECTORS: Mapping[SelectorName, Selector] = {
    "reward_model": rollouts_choice,
    "verified": perplexity,
    "perplexity": perplexity,
    "majority": majority,
    "random": random,
}


def _chosen(trajectory: ParsedTrajectory, index: int, usable: Sequence[int], select: Select) -> int:
    """Chooses among all samples whose target equals that of a usable one, so that the likeliest of several samples with
    one target counts for it."""
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
