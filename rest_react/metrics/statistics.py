"""Numbers about answers, all pure: text overlap with the gold answers, and shares with honest intervals.

    >>> f1("The Rhine, according to [link_id=3].", ["Rhine river"])
    0.6666666666666666
    >>> clustered_interval({"w1": [1.0], "w2": [0.0], "w3": [1.0]})     # one value per repeat, None where unscored
    Share(mean=0.6666666666666666, std=None, low=0.2, high=1.0, n=3, repeats=1)

The interval is a percentile bootstrap over *questions*, since the repeats of one question are no independent evidence.
Every resample is drawn from the questions plus one imaginary question at each end of the scale: that is what keeps
0 of 40 from claiming [0, 0], without a special case. docs/metrics.md has the definitions and the measured coverage.
Not here: whether an answer is right (grader), one form for numbers and names (canonical_text), and which results count
(evaluate).
"""

import re
import statistics
import string
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rest_react.metrics.costs import Price
from rest_react.seeds import derive_seed

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


def bill(prices: Mapping[str, Price], **tokens: tuple[int, int]) -> dict[str, object]:
    """What a stage cost: for each role (policy, reward_model, grader) its tokens in and out. Null with a reason where
    tokens were used whose price is unknown.

    >>> bill({"policy": Price(1.0, None)}, policy=(1000, 10))
    {'cost_usd': None, 'cost_reason': 'policy.price is not set'}
    """
    costs = {role: prices[role].usd(*used) for role, used in tokens.items()}
    unknown = [role for role, cost in costs.items() if cost is None]
    if unknown:
        return {"cost_usd": None, "cost_reason": " and ".join(f"{role}.price is not set" for role in unknown)}
    return {"cost_usd": round(sum(cost or 0.0 for cost in costs.values()), 6), "cost_reason": None}


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


def contained(answer: str, golds: Iterable[str]) -> float:
    """1 if a gold answer stands in the answer word for word after `normalise`, else 0; "not Paris" holds Paris."""
    said = f" {normalise(strip_citations(answer))} "
    return float(any(f" {words} " in said for gold in golds if (words := normalise(gold))))


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
    weight = sum(counts) / len(counts)  # an imaginary question weighs as much as an average one
    low, high = _bootstrap([sums, counts], [[weight * scale[0], weight * scale[1]], [weight, weight]], _ratio_of_sums)
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


def detectable_difference(share: Share) -> float | None:
    """The smallest true difference that would leave 0 outside the interval in 80 of 100 evaluations of this size, where
    the answers spread as they did in `share`, a paired difference."""
    from scipy.stats import norm

    if share.low is None or share.high is None:
        return None
    return float((share.high - share.low) / 2 * (1 + norm.ppf(0.8) / norm.ppf(0.975)))


def _mean(values: Iterable[float | None]) -> float | None:
    scored = [value for value in values if value is not None]
    return sum(scored) / len(scored) if scored else None


def _spread_of_repeats(lists: Iterable[Sequence[float | None]], repeats: int) -> float | None:
    rows = list(lists)
    means = [_mean([values[r] for values in rows if r < len(values)]) for r in range(repeats)]
    known = [mean for mean in means if mean is not None]
    return statistics.stdev(known) if len(known) > 1 else None


def cohens_kappa(pairs_by_question: Mapping[str, Sequence[tuple[bool, bool]]]) -> Share:
    """Cohen's kappa of two raters: agreement beyond what their shares of yes would give by chance. One list of pairs
    per question; None where chance alone agrees fully (neither ever said anything else)."""
    import numpy as np

    if not pairs_by_question:
        return Share(None, None, None, None, 0, 0)
    cells = ((True, True), (True, False), (False, True), (False, False))
    table = np.array([[list(pairs).count(cell) for cell in cells] for _, pairs in sorted(pairs_by_question.items())])
    kappa = float(_kappa(*table.sum(axis=0)))
    if np.isnan(kappa):
        return Share(None, None, None, None, len(table), 1)
    # One imaginary question where the two agree and one where they do not, as everywhere.
    half = table.sum() / len(table) / 2
    low, high = _bootstrap([*table.T], [[half, 0], [0, half], [0, half], [half, 0]], _kappa_of_samples)
    return Share(kappa, None, low, high, len(table), 1)


def _kappa(both: Any, first: Any, second: Any, neither: Any) -> Any:
    """From the four cells of the table of counts; numbers or arrays of them."""
    import numpy as np

    n = both + first + second + neither
    observed = (both + neither) / n
    by_chance = ((both + first) * (both + second) + (neither + first) * (neither + second)) / n**2
    with np.errstate(invalid="ignore", divide="ignore"):
        return (observed - by_chance) / (1 - by_chance)


def _kappa_of_samples(*cells: Any, axis: int = -1) -> Any:
    return _kappa(*(cell.sum(axis=axis) for cell in cells))


@dataclass(frozen=True, slots=True)
class Correlation:
    """A correlation coefficient over `n` pairs with its p-value and 95% interval; None where there are too few pairs
    (below 3, for the interval below 4) or one side does not vary."""

    value: float | None
    p: float | None
    low: float | None
    high: float | None
    n: int


def correlation(x: Sequence[float], y: Sequence[float], kind: Literal["pearson", "spearman"]) -> Correlation:
    """Pearson's or Spearman's. Intervals by Fisher's transformation; Spearman's with the variance of Bonett and Wright
    (2000)."""
    import numpy as np
    from scipy.stats import norm, pearsonr, spearmanr

    n = len(x)
    if n < 3 or len(set(x)) == 1 or len(set(y)) == 1:
        return Correlation(None, None, None, None, n)
    found = pearsonr(x, y) if kind == "pearson" else spearmanr(x, y)
    value = float(found.statistic)
    if n == 3:
        return Correlation(value, float(found.pvalue), None, None, n)
    if kind == "pearson":
        low, high = found.confidence_interval(0.95)
    else:
        width = norm.ppf(0.975) * np.sqrt((1 + value**2 / 2) / (n - 3))
        low, high = np.tanh(np.arctanh(np.clip(value, -1 + 1e-12, 1 - 1e-12)) + np.array([-width, width]))
    return Correlation(value, float(found.pvalue), float(low), float(high), n)


def _bootstrap(
    columns: Sequence[Sequence[float]], imaginary: Sequence[Sequence[float]], statistic: Callable[..., Any]
) -> tuple[float, float]:
    """The 2.5% and 97.5% points of a statistic over resampled questions. Each column holds one number per question;
    `imaginary` adds those of the two imaginary ones."""
    import numpy as np
    from scipy.stats import bootstrap

    data = [np.array([*column, *ends], dtype=float) for column, ends in zip(columns, imaginary, strict=True)]
    rows = len(columns[0])
    found = bootstrap(
        data, statistic, paired=True, vectorized=True, n_resamples=_RESAMPLES, method="percentile",
        batch=max(1, 2**22 // (rows + 2)), rng=np.random.default_rng(derive_seed("interval", rows, sum(columns[0]))),
    )  # fmt: skip
    low, high = np.nanquantile(found.bootstrap_distribution, [0.025, 0.975], method="nearest")
    return float(low), float(high)


def _ratio_of_sums(sums: Any, counts: Any, axis: int = -1) -> Any:
    return sums.sum(axis=axis) / counts.sum(axis=axis)
