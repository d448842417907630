"""Numbers about answers, all pure: text overlap with the gold answers, and shares with honest intervals.

    >>> f1("The Rhine, according to [link_id=3].", ["Rhine river"])
    0.6666666666666666
    >>> clustered_interval({"w1": [1.0], "w2": [0.0], "w3": [1.0]})     # one value per repeat, None where unscored
    Share(mean=0.6666666666666666, std=None, low=0.2, high=1.0, n=3, repeats=1)

The interval is a percentile bootstrap over *questions*, since the repeats of one question are no independent evidence.
Every resample is drawn from the questions plus one imaginary question at each end of the scale: that is what keeps
0 of 40 from claiming [0, 0], without a special case. docs/metrics.md has the definitions and the measured coverage.
Not here: whether an answer is right (grader), and which results count (report).
"""

import re
import string
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rest_react.records import derive_seed

_LINK = r"[\[(]\s*link_?ids?\s*[=:]?\s*\d+(?:\s*,\s*(?:link_?id\s*=\s*)?\d+)*\s*[\])]"
_LINKS = rf"{_LINK}(?:\s*(?:,|and|&)?\s*{_LINK})*"
_CITATION = re.compile(rf"\b(?:according to|based on|as stated in|per)\s+{_LINKS}\s*[,:]?|{_LINKS}", re.IGNORECASE)
_LOOSE = re.compile(r"(?:, ?| )(?=[.;:!?](?!\w))| (?=,)")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Share:
    """A mean over questions with its 95% interval (`low`, `high`); all None where nothing was scored.

    `n` counts the questions with a scored value. `std` is the sample standard deviation of the `repeats` per-repeat
    means, the paper's "±"; None below two repeats.
    """

    mean: float | None
    std: float | None
    low: float | None
    high: float | None
    n: int
    repeats: int


def strip_citations(text: str) -> str:
    """The text without `[link_id=3]` and without "According to [link_id=3],"."""
    # Spaces collapse first: on long runs of them the pattern would take quadratic time.
    bare = _CITATION.sub(" ", " ".join(text.split()))
    return _LOOSE.sub("", " ".join(bare.split())).strip(" ,")


def normalise(text: str) -> str:
    """SQuAD's normalisation: lower case, no ASCII punctuation, no articles, single spaces."""
    bare = text.lower().translate(_NO_PUNCTUATION)
    return " ".join(re.sub(r"\b(?:a|an|the)\b", " ", bare).split())


def exact_match(answer: str, golds: Iterable[str]) -> float:
    """1 if the whole answer, citations aside, is one of the gold answers after `normalise`, else 0."""
    said = normalise(strip_citations(answer))
    return float(any(said == normalise(gold) for gold in golds))


def f1(answer: str, golds: Iterable[str]) -> float:
    """SQuAD's word-overlap F1 after `normalise`, citations aside; the best over the gold answers."""
    said = normalise(strip_citations(answer)).split()
    return max((_overlap(said, normalise(gold).split()) for gold in golds), default=0.0)


def _overlap(said: Sequence[str], gold: Sequence[str]) -> float:
    if not said or not gold:
        return float(said == gold)
    common = sum((Counter(said) & Counter(gold)).values())
    return 2 * common / (len(said) + len(gold))


def clustered_interval(
    values_by_question: Mapping[str, Sequence[float | None]], *, scale: tuple[float, float] = (0.0, 1.0)
) -> Share:
    """Mean, spread and interval of values on a bounded `scale`: one list per question, entry r is repeat r.

    None is unscored and counts nowhere. The mean is over all scored values alike; nothing depends on the order of
    the questions.
    """
    scored = {q: [v for v in values if v is not None] for q, values in sorted(values_by_question.items())}
    scored = {q: values for q, values in scored.items() if values}
    repeats = max(map(len, values_by_question.values()), default=0)
    if not scored:
        return Share(None, None, None, None, 0, repeats)
    sums, counts = [sum(values) for values in scored.values()], [len(values) for values in scored.values()]
    low, high = _bootstrap(sums, counts, scale)
    std = _spread_of_repeats(values_by_question.values(), repeats)
    return Share(sum(sums) / sum(counts), std, low, high, len(scored), repeats)


def paired_difference(
    values_by_question: Mapping[str, Sequence[float | None]],
    reference: Mapping[str, Sequence[float | None]],
    *,
    scale: tuple[float, float] = (0.0, 1.0),
) -> Share:
    """How much higher than `reference`: the mean over questions scored on both sides of the difference of their
    means. Pairing takes the questions' own difficulty out, so the interval is narrower than that of two means."""
    differences: dict[str, list[float | None]] = {}
    for question in values_by_question.keys() & reference.keys():
        ours, theirs = _mean(values_by_question[question]), _mean(reference[question])
        if ours is not None and theirs is not None:
            differences[question] = [ours - theirs]
    width = scale[1] - scale[0]
    return clustered_interval(differences, scale=(-width, width))


def _mean(values: Iterable[float | None]) -> float | None:
    scored = [value for value in values if value is not None]
    return sum(scored) / len(scored) if scored else None


def _spread_of_repeats(lists: Iterable[Sequence[float | None]], repeats: int) -> float | None:
    rows = list(lists)
    means = [_mean([values[r] for values in rows if r < len(values)]) for r in range(repeats)]
    known = [mean for mean in means if mean is not None]
    if len(known) < 2:
        return None
    centre = sum(known) / len(known)
    variance = sum((mean - centre) ** 2 for mean in known) / (len(known) - 1)
    return float(variance**0.5)


def _bootstrap(sums: Sequence[float], counts: Sequence[int], scale: tuple[float, float]) -> tuple[float, float]:
    """The 2.5% and 97.5% points of the resampled mean; the imaginary questions weigh as much as an average one."""
    import numpy as np

    weight = sum(counts) / len(counts)
    totals = np.array([*sums, weight * scale[0], weight * scale[1]])
    sizes = np.array([*counts, weight, weight])
    random = np.random.default_rng(derive_seed("interval", len(counts), sum(counts)))
    draws = (random.integers(len(totals), size=len(totals)) for _ in range(_RESAMPLES))
    means = np.array([totals[draw].sum() / sizes[draw].sum() for draw in draws])
    low, high = np.quantile(means, [0.025, 0.975], method="nearest")
    return float(low), float(high)
