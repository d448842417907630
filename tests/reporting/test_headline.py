from typing import Any

import pytest

from rest_react.reporting.headline import headline, headlines
from rest_react.reporting.results.results_json import Difference, ResultRow
from tests.runs import row as result_row


def row(mean: float | None = 0.5, change: tuple[float, float, float] | None = None, **fields: Any) -> ResultRow:
    ends = None if change is None else dict(zip(("mean", "low", "high"), change, strict=True))
    start = ends and Difference(**ends, questions=60, detectable=0.14)
    return result_row(fields.pop("iteration", 1), mean, vs_start=start, **fields)


@pytest.mark.parametrize(
    ("given", "facts"),
    [
        (row(change=(0.23, 0.101, 0.352)), ["Iteration 1", "23.0 points above", "+10.1 to +35.2", "excludes 0"]),
        (row(change=(-0.05, -0.2, -0.01)), ["Iteration 1", "5.0 points below", "-20.0 to -1.0", "excludes 0"]),
        (
            row(change=(0.03, -0.05, 0.11)),
            ["3.0 points above", "-5.0 to +11.0", "includes 0", "14 points"],
        ),
        (row(change=(0.0, -0.05, 0.05)), ["equal to the start", "-5.0 to +5.0", "includes 0", "14 points"]),
        (row(iteration=0), ["Iteration 0", "50.0%", "[40.0, 60.0]"]),
    ],
)
def test_the_sentence_has_the_difference_and_its_interval(given: ResultRow, facts: list[str]) -> None:
    said = headline(given)
    assert [fact for fact in [*facts, "world", "60 questions × 2"] if fact not in said] == []
    assert ("detectable" in said) == ("includes 0" in said)


def test_the_sentence_counts_unscored_answers() -> None:
    for given in (row(change=(0.2, 0.1, 0.3), unscored=7), row(iteration=0, unscored=7)):
        assert "60 questions × 2, 7 answers unscored" in headline(given)


def test_the_sentence_says_if_no_answer_was_scored() -> None:
    assert headline(row(None)).startswith("No answer on world was scored")


def test_each_benchmark_has_one_sentence_about_its_last_row() -> None:
    rows = [row(iteration=0), row(iteration=0, benchmark="other"), row(change=(0.2, 0.1, 0.3))]
    last_of_world, last_of_other = headlines(rows)
    assert "20.0 points above the start on world" in last_of_world
    assert "50.0% of other" in last_of_other
