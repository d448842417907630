"""How long answers take, by the number of tokens that were written for them.

    >>> found = latency_by_length([(5, 0.2), (7, 0.4), (8, 0.3), (30, 1.5), (0, 0.0)])
    >>> found["1-8"]["answers"], found["1-8"]["median_s"], found["17-32"]["answers"]
    (3, 0.3, 1)

Lengths are in classes that double (1 to 8 tokens, 9 to 16, 17 to 32, ...), the same in every run. An answer for which
no token was written (a baseline that is no language model) has no length and is left out. The interval of the median
is between order statistics, so it needs no assumption about how latencies are distributed.
Not here: measuring the time (stages.rollouts), seconds of a whole stage (its summary).
"""

from collections.abc import Iterable, Sequence
from statistics import median

_SHORTEST = 8  # tokens of the first class


def latency_by_length(answers: Iterable[tuple[int, float]]) -> dict[str, dict[str, float | int | None]]:
    """From the tokens and seconds of each answer, for each class of lengths: the number of answers, the median of their
    seconds and its 95% interval, which is None with fewer than 6 answers."""
    classes: dict[int, list[float]] = {}
    for tokens, seconds in answers:
        if tokens > 0:
            end = _SHORTEST
            while end < tokens:
                end *= 2
            classes.setdefault(end, []).append(seconds)
    return {_name(end): _figures(sorted(classes[end])) for end in sorted(classes)}


def _name(end: int) -> str:
    return f"1-{end}" if end == _SHORTEST else f"{end // 2 + 1}-{end}"


def _figures(seconds: Sequence[float]) -> dict[str, float | int | None]:
    low, high = _ends(seconds)
    return {"answers": len(seconds), "median_s": round(median(seconds), 4), "low": low, "high": high}


def _ends(seconds: Sequence[float]) -> tuple[float | None, float | None]:
    """The k-th smallest and the k-th largest value, where fewer than k of n values are below the median in at most
    2.5% of samples."""
    n = len(seconds)
    k = _few_heads(n)
    return (None, None) if k < 1 else (round(seconds[k - 1], 4), round(seconds[n - k], 4))


def _few_heads(tosses: int) -> int:
    """The 2.5% quantile of the number of heads in so many tosses of a coin, exactly."""
    k, ways, at_most = 0, 1, 1  # of 2**tosses outcomes, how many have k heads, and at most k
    outcomes = 2**tosses
    while 40 * at_most < outcomes:
        ways = ways * (tosses - k) // (k + 1)
        k += 1
        at_most += ways
    return k
