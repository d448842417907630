"""One sentence for each benchmark: its last result compared with the start.

    headlines(compute_rows(Path("outputs/default")))
    # ["Iteration 1 is 23.0 points above the start on world (95% interval +10.1 to +35.2, which excludes 0; 60 questions
    #   × 1, one training run)."]

If the interval includes 0, the sentence says so and gives the detectable difference.
Not here: the numbers (reporting.results.rows) and the tables (reporting.tables).
"""

from collections.abc import Sequence

from rest_react.metrics.number_formats import percent, span
from rest_react.reporting.results.results_json import Difference, ResultRow


def headlines(rows: Sequence[ResultRow]) -> list[str]:
    """A sentence for each benchmark, in the order of the rows (`compute_rows`)."""
    last = {row.benchmark: row for row in rows}
    return [headline(row) for row in last.values()]


def headline(row: ResultRow) -> str:
    """The sentence for one row: the difference from the start if there is one, else the accuracy."""
    unscored = f", {row.unscored} answers unscored" if row.unscored else ""
    name, size = row.benchmark, f"{row.questions} questions × {row.repeats}{unscored}"
    change, accuracy = row.vs_start, row.accuracy
    if accuracy.mean is None:
        return f"No answer on {name} was scored, so iteration {row.iteration} has no accuracy."
    if change is None or change.mean is None or change.low is None or change.high is None:
        who = "Iteration 0 (the start)" if row.iteration == 0 else f"Iteration {row.iteration}"
        return f"{who} answers {percent(accuracy.mean)} of {name} correctly (95% interval {span(accuracy)}; {size})."
    moved = 100 * change.mean
    where = "equal to" if round(moved, 1) == 0 else f"{abs(moved):.1f} points {'above' if moved > 0 else 'below'}"
    ends = f"95% interval {100 * change.low:+.1f} to {100 * change.high:+.1f}"
    if change.low > 0 or change.high < 0:
        says, hint = "which excludes 0", ""
    else:
        says, hint = "which includes 0, so the difference may be chance", f" {detectable_line(change)}"
    compared = f"{change.questions} questions × {row.repeats}{unscored}"
    subject = f"Iteration {row.iteration} is {where} the start on {name}"
    return f"{subject} ({ends}, {says}; {compared}, one training run).{hint}"


def detectable_line(change: Difference) -> str:
    """The smallest difference that an evaluation of this size detects with 80% power (docs/metrics.md,
    `detectable`)."""
    limit = change.detectable
    if limit is None:
        return ""
    return (
        f"With this many questions, differences of about {100 * limit:.0f} points or more are detectable (80% power)."
    )
