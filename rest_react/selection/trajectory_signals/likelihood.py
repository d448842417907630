"""Likelihood: how likely the policy found what it did, over a whole trajectory (`improve.likeliest`).

    mean_perplexity(trajectory)         # 1.08, of the chosen samples; 1.0 is certain
    unlikely(trajectories, 0.5)         # the ids of the less likely half: these do not train

It compares trajectories of different questions, so it prefers kinds of questions that the policy finds easy to answer,
rightly or not. Source: confidence as the filter of self-training, e.g. pseudo-labels (Lee 2013).
Not here: signals that compare the trajectories of one question (the other modules of this folder).
"""

from collections.abc import Iterable
from statistics import fmean

from rest_react.errors import UsageError
from rest_react.records import Trajectory


def mean_perplexity(trajectory: Trajectory) -> float | None:
    """The mean perplexity of the chosen samples; None without log-probabilities."""
    chosen = [step.candidates[step.chosen] for step in trajectory.steps if step.chosen is not None]
    known = [one.perplexity for one in chosen if one.perplexity is not None]
    return fmean(known) if known else None


def unlikely(trajectories: Iterable[Trajectory], share: float) -> frozenset[str]:
    """The ids of the finished trajectories that are less likely than this share of them, which is at least one. Equally
    likely ones stay together. One without log-probabilities cannot be compared and stays. Raises UsageError if all are
    without."""
    finished = [(mean_perplexity(one), one.id) for one in trajectories if one.outcome == "finished"]
    scored = {id_: perplexity for perplexity, id_ in finished if perplexity is not None}
    if finished and not scored:
        raise UsageError(
            "improve.likeliest: the policy gave no log-probabilities, so no trajectory is likelier than another; "
            "set it to null"
        )
    if not scored:
        return frozenset()
    least = sorted(scored.values())[max(1, round(share * len(scored))) - 1]
    return frozenset(id_ for id_, perplexity in scored.items() if perplexity > least)
