"""Agreement across the halves of the documents: an answer from one half, confirmed by trajectories that used the other.

    cross_agreement([vell_from_a, gar_from_a, vell_from_b])     # [1.0, 0.0, 0.5]
    is_confirmed([vell_from_a, gar_from_a, vell_from_b])        # [True, False, False]

Trajectories that read the same passage repeat its error, so their agreement proves little. The documents that any
trajectory of the question selected are dealt into two halves in the order of a hash. A trajectory belongs to the half
with most of its own selected documents; with as many in each, to none.
Source: cross-fitting (Chernozhukov et al. 2018), applied to answers as pseudo-labels; CrossFit (2026)
judges search agents cross-fitted by documents. An answer that only one passage
of the corpus supports cannot be confirmed, so few trajectories are kept where the corpus says everything once.
"""

from collections.abc import Sequence

from rest_react.seeds import derive_seed
from rest_react.selection.trajectory_signals.agreement import votes
from rest_react.trajectories.parsed import Evidence


def halves(found: Sequence[Evidence]) -> list[int | None]:
    """The half to which each trajectory of a question belongs, 0 or 1; None for neither."""
    sources = {hit.source for one in found for hit in one.selected}
    dealt = {source: place % 2 for place, source in enumerate(sorted(sources, key=lambda s: derive_seed("half", s)))}
    own = [{hit.source for hit in one.selected} for one in found]
    balances = [sum(1 if dealt[source] else -1 for source in sources) for sources in own]
    return [None if balance == 0 else int(balance > 0) for balance in balances]


def cross_agreement(found: Sequence[Evidence]) -> list[float | None]:
    """The share of the trajectories of the other half with the same answer; None where there is none to compare."""
    belongs, same = halves(found), votes(found)
    scores: list[float | None] = []
    for half, row in zip(belongs, same, strict=True):
        others = [] if half is None else [row[j] for j, other in enumerate(belongs) if other == 1 - half]
        scores.append(sum(others) / len(others) if others else None)
    return scores


def is_confirmed(found: Sequence[Evidence]) -> list[bool]:
    """Whether more than half of the trajectories of the other half have the same answer."""
    return [score is not None and score > 0.5 for score in cross_agreement(found)]
