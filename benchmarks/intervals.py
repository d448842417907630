"""Measures how often intervals of paired differences contain the true difference.

    python -m benchmarks.intervals --sets 20000

Two policies answer the same questions. A question's difficulty is drawn from a Beta distribution; the later policy
raises its log-odds by a shift that varies between questions. The table compares the interval of the package with the
percentile bootstrap that has an imaginary question at -1 and one at +1 (the package's until 2026-11-28), and with
Student's t interval over questions.
Not here: the interval itself (rest_react.metrics.intervals).
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from rest_react.metrics.intervals import NORMAL_QUANTILE, interval_of_differences

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

SIZES = ((40, 1), (60, 3), (100, 1), (100, 2), (125, 10))


@dataclass(frozen=True, slots=True)
class Case:
    """Accuracy of the earlier policy, spread of difficulties (the smaller, the more questions are always right or
    always wrong), and the shift of the log-odds with its standard deviation between questions."""

    accuracy: float
    concentration: float
    shift: float
    varies: float


CASES = (
    Case(0.5, 2.0, 0.0, 0.5),
    Case(0.5, 1.0, 0.6, 0.5),
    Case(0.7, 1.0, 0.2, 0.3),
    Case(0.7, 0.5, 0.3, 0.3),
    Case(0.3, 0.3, 0.4, 1.0),
)
RARE = Case(0.9, 0.2, 0.0, 0.0)  # few questions ever change


def main() -> None:
    """Prints the table as Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sets", type=int, default=20_000, help="simulated evaluations per line")
    sets = parser.parse_args().sets
    names = " | ".join(f"{name} | width" for name in INTERVALS)
    print(f"| questions × repeats | accuracy | true difference | {names} |")
    print("|---" * (3 + 2 * len(INTERVALS)) + "|")
    for questions, repeats in SIZES:
        for case in (*CASES, RARE):
            print(line(case, questions, repeats, sets), flush=True)


def line(case: Case, questions: int, repeats: int, sets: int) -> str:
    """One line of the table: coverage and mean width of each interval."""
    import numpy as np

    rng = np.random.default_rng([questions, repeats, round(1000 * case.concentration)])
    truth = float(np.mean([np.subtract(*chances(case, (1_000_000,), rng)).mean() for _ in range(4)]))
    now, then = chances(case, (sets, questions), rng)
    differences = (rng.binomial(repeats, now) - rng.binomial(repeats, then)) / repeats
    cells = []
    for interval in INTERVALS.values():
        low, high = interval(differences, repeats)
        covered = float(((low <= truth) & (truth <= high)).mean())
        cells += [f"{100 * covered:.1f}%", f"{100 * float((high - low).mean()):.1f}"]
    return f"| {questions} × {repeats} | {case.accuracy} | {100 * truth:+.1f} | {' | '.join(cells)} |"


def chances(case: Case, shape: tuple[int, ...], rng: "np.random.Generator") -> "tuple[Floats, Floats]":
    """The probability of a correct answer, of the later and of the earlier policy."""
    import numpy as np

    a, b = case.concentration * case.accuracy, case.concentration * (1 - case.accuracy)
    then = np.clip(rng.beta(a, b, shape), 1e-9, 1 - 1e-9)
    moved = np.log(then / (1 - then)) + case.shift + case.varies * rng.standard_normal(shape)
    now = 1 / (1 + np.exp(-moved)) if case.shift or case.varies else then
    return now, then


def of_the_package(differences: "Floats", repeats: int) -> "tuple[Floats, Floats]":
    """`interval_of_differences` of each row."""
    import numpy as np

    ends = np.array([interval_of_differences(row, repeats=repeats) for row in differences.tolist()])
    return ends[:, 0], ends[:, 1]


def bootstrap(differences: "Floats", repeats: int) -> "tuple[Floats, Floats]":
    """The percentile bootstrap with an imaginary question at -1 and one at +1, by its normal approximation: the mean
    and the variance of the resampled means are known exactly."""
    import numpy as np

    size = differences.shape[1] + 2
    mean = differences.sum(axis=1) / size
    reach = NORMAL_QUANTILE * np.sqrt((((differences**2).sum(axis=1) + 2) / size - mean**2) / size)
    return mean - reach, mean + reach


def students_t(differences: "Floats", repeats: int) -> "tuple[Floats, Floats]":
    """Student's t interval over questions: cluster-robust, nothing added."""
    import numpy as np
    from scipy.stats import t

    size = differences.shape[1]
    mean = differences.mean(axis=1)
    reach = t.ppf(0.975, size - 1) * differences.std(axis=1, ddof=1) / np.sqrt(size)
    return mean - reach, mean + reach


INTERVALS: "Mapping[str, Callable[[Floats, int], tuple[Floats, Floats]]]" = {
    "this interval": of_the_package, "bootstrap with ±1": bootstrap, "t": students_t,
}  # fmt: skip

if __name__ == "__main__":
    main()
