"""The main table of a sweep: an arm of several trainings has intervals over items and trainings."""

from collections.abc import Mapping, Sequence

from rest_react.metrics.intervals import clustered_interval, paired_difference
from rest_react.metrics.trainings import difference_to_baseline, mean_over_trainings
from rest_react.reporting.number_formats import percent, points, span
from rest_react.reporting.results.rows import RATING
from rest_react.reporting.tables.sweep_tables import Arm, sweep_table

BASELINE = {f"w{i}": [float(i < 4)] for i in range(10)}


def line(
    values: Mapping[str, Sequence[float | None]], **scores: Mapping[str, Sequence[float | None]]
) -> dict[str, str]:
    """The line of an arm with these values, by heading."""
    trainings = max(map(len, values.values()))
    headings, rows = sweep_table([Arm(("n=10",), "texts", trainings, values, scores, {"tfidf": BASELINE})])
    return dict(zip(headings, rows[0], strict=True))


def test_the_intervals_of_several_trainings_are_over_items_and_trainings() -> None:
    rights = (5, 7, 9)
    told = line({f"w{i}": [float(i < right) for right in rights] for i in range(10)})
    trainings = [{f"w{i}": [float(i < right)] for i in range(10)} for right in rights]
    mean, change = mean_over_trainings(trainings), difference_to_baseline(trainings, BASELINE)
    assert (told["Trainings"], told["Items"], told["Accuracy"]) == ("3", "10", "70.0%")
    assert (told["95% interval"], told["Std over trainings"]) == (span(mean), "20.0")
    assert told["Minus tfidf"] == f"{points(change.mean)} {span(change, '+')}"


def test_the_interval_of_one_training_is_over_items_alone() -> None:
    values = {f"w{i}": [float(i < 6)] for i in range(10)}
    told, change = line(values), paired_difference(values, BASELINE)
    assert (told["95% interval"], told["Std over trainings"]) == (span(clustered_interval(values)), "")
    assert told["Minus tfidf"] == f"{points(change.mean)} {span(change, '+')}"


def test_a_score_has_the_trainings_in_which_it_was_given_and_its_own_scale() -> None:
    values = {"w0": [1.0, 1.0, 0.0], "w1": [1.0, 0.0, 0.0]}
    told = line(values, **{RATING: {"w0": [5.0, None, 4.0], "w1": [3.0, None, 4.0]}, "valid": {"w0": [1.0, 1.0, None]}})
    assert told[RATING.replace("_", " ")].startswith("4.00 [")
    valid = mean_over_trainings([{"w0": [1.0]}, {"w0": [1.0]}])
    assert told["valid"] == f"{percent(valid.mean)} {span(valid)}"
