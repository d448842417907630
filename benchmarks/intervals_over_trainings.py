"""Measures how often intervals over questions and trainings contain the true difference of two arms.

    python -m benchmarks.intervals_over_trainings --sets 2000

Each training of an arm shifts the log-odds of all questions by a draw of its own, and of each question by another
draw. The table compares the package's interval with that over questions alone and with the two-level bootstrap, which
resamples questions and trainings.
Not here: the interval itself (rest_react.metrics.trainings), and trainings (nothing is trained).
"""

import argparse
from typing import TYPE_CHECKING, TypeAlias

from rest_react.metrics.intervals import interval_of_differences
from rest_react.metrics.trainings import difference_over_trainings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

DESIGNS = ((100, 2, 3, 3), (100, 1, 3, 3), (125, 10, 3, 3), (100, 2, 4, 4), (100, 2, 3, 1))
SPREADS = (0.0, 0.15, 0.35)  # standard deviation of a training's shift of the log-odds
BASE, OF_QUESTIONS, SHIFT = 2.0, 0.7, 0.5
RESAMPLES = 500


def main() -> None:
    """Prints the table as Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sets", type=int, default=2000, help="simulated pairs of arms per line")
    sets = parser.parse_args().sets
    print("| questions × repeats | trainings | SD of a training | over questions alone | two-level bootstrap "
          "| this interval | its width |")  # fmt: skip
    print("|---|---|---|---|---|---|---|")
    for design in DESIGNS:
        for spread in SPREADS:
            print(line(design, spread, sets), flush=True)


def line(design: tuple[int, int, int, int], spread: float, sets: int) -> str:
    """One line of the table: coverage of each interval, and the median width of the package's."""
    import numpy as np

    questions, repeats, ours, theirs = design
    rng = np.random.default_rng([*design, round(100 * spread)])
    truth = true_difference(rng, spread)
    covered, widths, variances = np.zeros(3), [], []
    for _ in range(sets):
        base = BASE * rng.standard_normal(questions)
        one, two = (
            rng.binomial(repeats, chances(rng, base, trainings, shift, spread)) / repeats
            for trainings, shift in ((ours, SHIFT), (theirs, 0.0))
        )
        found = difference_over_trainings(*([by_question(row, repeats) for row in arm] for arm in (one, two)))
        alone = interval_of_differences((one.mean(0) - two.mean(0)).tolist(), repeats=repeats * min(ours, theirs))
        ends = (alone, bootstrap(rng, one, two), (found.low or 0.0, found.high or 0.0))
        covered += [low <= truth <= high for low, high in ends]
        widths.append(ends[-1][1] - ends[-1][0])
        variances.append(one.mean(1).var(ddof=1))
    shares = " | ".join(f"{100 * share:.1f}%" for share in covered / sets)
    size, sd = f"{questions} × {repeats} | {ours} and {theirs}", 100 * float(np.sqrt(np.mean(variances)))
    return f"| {size} | {sd:.1f} | {shares} | {100 * float(np.median(widths)):.1f} |"


def chances(rng: "np.random.Generator", base: "Floats", trainings: int, shift: float, spread: float) -> "Floats":
    """The probability of a correct answer, by training and question."""
    import numpy as np

    moved = (
        shift
        + spread * rng.standard_normal((trainings, 1))
        + OF_QUESTIONS * rng.standard_normal((trainings, base.size))
    )
    return 1 / (1 + np.exp(-(base + moved)))


def true_difference(rng: "np.random.Generator", spread: float) -> float:
    """The difference of the two arms over all questions and trainings."""
    means = [
        sum(float(chances(rng, BASE * rng.standard_normal(5000), 1, shift, spread).mean()) for _ in range(2000)) / 2000
        for shift in (SHIFT, 0.0)
    ]
    return means[0] - means[1]


def by_question(row: "Floats", repeats: int) -> dict[str, list[float]]:
    """The scores of one training: as many repeats of each question, with the right mean."""
    return {str(i): [1.0] * round(mean * repeats) + [0.0] * round((1 - mean) * repeats) for i, mean in enumerate(row)}


def bootstrap(rng: "np.random.Generator", one: "Floats", two: "Floats") -> tuple[float, float]:
    """The percentiles of the difference over resampled questions and resampled trainings."""
    import numpy as np

    drawn = rng.integers(0, one.shape[1], (RESAMPLES, one.shape[1]))
    ours, theirs = (arm[rng.integers(0, len(arm), (RESAMPLES, len(arm)))].mean(1) for arm in (one, two))
    means = np.take_along_axis(ours - theirs, drawn, 1).mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    main()
