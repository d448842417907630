"""pass@k: how likely at least one of k answers to a question is correct.

    >>> pass_at_k({"w1": [1.0, 0.0, 0.0, None], "w2": [0.0, 0.0]}, 2)      # one value per question
    {'w1': [0.6666666666666667], 'w2': [0.0]}

The unbiased estimator of Chen et al. (2021, arXiv 2107.03374): of all choices of k among the scored answers, the share
with a correct one. Accuracy says how often the policy is right, pass@k what it can solve at all: a loop that only
sharpens raises the first alone.
Not here: the interval over questions (metrics.intervals).
"""

from collections.abc import Mapping, Sequence
from math import comb


def pass_at_k(values_by_question: Mapping[str, Sequence[float | None]], k: int) -> dict[str, list[float | None]]:
    """The estimate for each question, from its scored answers (1, 0, or None if unscored); None for a question with
    fewer than k of them."""
    found: dict[str, list[float | None]] = {}
    for question, values in values_by_question.items():
        scored = [value for value in values if value is not None]
        wrong = len(scored) - round(sum(scored))
        found[question] = [None if len(scored) < k else 1 - comb(wrong, k) / comb(len(scored), k)]
    return found


def reported_sizes(repeats: int) -> list[int]:
    """The values of k that a report shows: the powers of two up to the number of repeats, and that number.

    >>> reported_sizes(10), reported_sizes(1)
    ([2, 4, 8, 10], [])
    """
    return sorted({k for k in (2**power for power in range(1, repeats.bit_length())) if k <= repeats} | {repeats} - {1})
