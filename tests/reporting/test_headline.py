from typing import Any

import pytest

from rest_react.reporting.headline import headline, headlines
from rest_react.reporting.results_json import Difference, ResultRow
from tests.runs import row as result_row


def row(mean: float | None = 0.5, change: tuple[float, float, float] | None = None, **fields: Any) -> ResultRow:
    ends = None if change is None else dict(zip(("mean", "low", "high"), change, strict=True))
    start = ends and Difference(**ends, questions=60, detectable=0.14)
    return result_row(fields.pop("iteration", 1), mean, vs_start=start, **fields)


SURE = "which excludes 0; 60 questions × 2, one training run)."
LUCK = "which includes 0, so this may be chance; 60 questions × 2, one training run)."
DETECTABLE = "With this many questions, differences of about 14 points or more are detectable (80% power)."
SIZE = "60 questions × 2"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            row(change=(0.23, 0.101, 0.352)),
            f"Iteration 1 is 23.0 points above the start on world (95% interval +10.1 to +35.2, {SURE}",
        ),
        (
            row(change=(-0.05, -0.2, -0.01)),
            f"Iteration 1 is 5.0 points below the start on world (95% interval -20.0 to -1.0, {SURE}",
        ),
        (
            row(change=(0.03, -0.05, 0.11)),
            f"Iteration 1 is 3.0 points above the start on world (95% interval -5.0 to +11.0, {LUCK} {DETECTABLE}",
        ),
        (
            row(change=(0.0, -0.05, 0.05)),
            f"Iteration 1 is level with the start on world (95% interval -5.0 to +5.0, {LUCK} {DETECTABLE}",
        ),
        (row(iteration=0), f"The start answers 50.0% of world correctly (95% interval [40.0, 60.0]; {SIZE})."),
        (row(None), "No answer on world was scored, so iteration 1 has no accuracy."),
    ],
)
def test_a_row_is_said_in_a_sentence(given: ResultRow, said: str) -> None:
    assert headline(given) == said


def test_each_benchmark_has_one_sentence_about_its_last_row() -> None:
    rows = [row(iteration=0), row(iteration=0, benchmark="other"), row(change=(0.2, 0.1, 0.3))]
    assert [line.partition(" (")[0] for line in headlines(rows)] == [
        "Iteration 1 is 20.0 points above the start on world",
        "The start answers 50.0% of other correctly",
    ]
