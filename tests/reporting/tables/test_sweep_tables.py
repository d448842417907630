"""The main table of a sweep: an arm of several trainings has intervals over items and trainings."""

from collections.abc import Mapping, Sequence

import pytest

from rest_react.metrics.intervals import Share, clustered_interval, paired_difference
from rest_react.metrics.number_formats import percent, points, span
from rest_react.metrics.trainings import change_over_trainings, difference_to_baseline, mean_over_trainings
from rest_react.reporting.results.results_json import BreakEven, ComparedBaseline
from rest_react.reporting.results.rows import RATING
from rest_react.reporting.tables.sweep_arm import Arm
from rest_react.reporting.tables.sweep_tables import costs_table, sweep_table
from tests.runs import row

BASELINE = {f"w{i}": [float(i < 4)] for i in range(10)}


def columns(values: Mapping[str, Sequence[float | None]]) -> list[dict[str, list[float | None]]]:
    """The same values as one mapping a training."""
    return [{item: [given[i]] for item, given in values.items()} for i in range(max(map(len, values.values())))]


def line(
    values: Mapping[str, Sequence[float | None]], **scores: Mapping[str, Sequence[float | None]]
) -> dict[str, str]:
    """The line of an arm with these values, by heading."""
    trainings = columns(values)
    own = {name: columns(given) for name, given in scores.items()}
    arm = Arm(("n=10",), "texts", len(trainings), trainings, own, {"tfidf": [BASELINE] * len(trainings)})
    headings, rows = sweep_table([arm])
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
    assert told["valid"] == f"{percent(valid.mean)} {span(valid)} (n=0 to 1)"


def test_a_score_that_few_items_have_is_the_mean_of_the_trainings_own_means() -> None:
    """In the third training B and C have no list in JSON, so their keys are not scored."""
    values = {item: [0.0, 0.0, 0.0] for item in "ABC"}
    told = line(values, keys={"A": [1.0, 1.0, 1.0], "B": [0.0, 0.0, None], "C": [0.0, 0.0, None]})
    assert told["keys"].startswith("55.6% [")
    assert told["keys"].endswith("] (n=1 to 3)")


def test_a_score_of_one_training_says_of_how_many_items_it_is() -> None:
    values = {item: [0.0] for item in "ABC"}
    told = line(values, keys={"A": [1.0], "B": [0.0], "C": [None]}, all_right={"A": [1.0], "B": [0.0], "C": [0.0]})
    keys, right = clustered_interval({"A": [1.0], "B": [0.0]}), clustered_interval({"A": [1.0], "B": [0.0], "C": [0.0]})
    assert told["keys"] == f"50.0% {span(keys)} (n=2)"
    assert told["all right"] == f"33.3% {span(right)}"


def test_a_baseline_that_differs_between_trainings_is_compared_by_training() -> None:
    values = {f"w{i:03}": [float(i < right) for right in (67, 62, 64)] for i in range(100)}
    own = {f"w{i:03}": [float(i < right) for right in (45, 64, 81)] for i in range(100)}
    never = {item: [0.0] * 3 for item in values}
    arm = Arm(("n=10",), "texts", 3, columns(values), {}, {"tfidf": columns(own), "majority": columns(never)})
    headings, rows = sweep_table([arm])
    told = dict(zip(headings, rows[0], strict=True))
    change = change_over_trainings(columns(values), columns(own))
    assert told["tfidf"] == "63.3%"
    assert told["Minus tfidf"] == f"+1.0 {span(change, '+')}"
    assert (change.low, change.high) == (pytest.approx(-0.48, abs=0.1), pytest.approx(0.48, abs=0.1))
    fixed = difference_to_baseline(columns(values), {item: [0.0] for item in values})
    assert told["Minus majority"] == f"+64.3 {span(fixed, '+')}"


def test_copies_of_a_baseline_count_once_in_the_interval_of_a_difference() -> None:
    ours = ({"a": [1.0], "b": [1.0], "c": [0.0]}, {"a": [1.0], "b": [0.0], "c": [1.0]})
    same = {"a": [0.0], "b": [0.0], "c": [1.0]}
    found = Arm(("n=10",), "texts", 2, ours, {}, {"majority": [same, same]}).minus("majority")
    once = difference_to_baseline(ours, same)
    assert (found.mean, found.low, found.high) == (once.mean, once.low, once.high)


def test_a_baseline_that_failed_once_is_the_same_in_all_trainings() -> None:
    values = {f"w{i}": [float(i < right) for right in (5, 7, 9)] for i in range(10)}
    lost = {item: [given[0], None, given[0]] if item == "w3" else [given[0]] * 3 for item, given in BASELINE.items()}
    arm = Arm(("n=10",), "texts", 3, columns(values), {}, {"tfidf": columns(lost)})
    found = difference_to_baseline(columns(values), BASELINE)
    change = arm.minus("tfidf")
    assert (change.mean, change.std, change.low, change.high) == (found.mean, found.std, found.low, found.high)


def test_a_training_without_a_scored_answer_is_told_beside_the_number_of_trainings() -> None:
    scored, lost = {"w1": [1.0], "w2": [0.0]}, {"w1": [None], "w2": [None]}
    [headings, [cells]] = sweep_table([Arm(("n=10",), "texts", 3, [scored, lost, scored], {}, {})])
    told = dict(zip(headings, cells, strict=True))
    assert (told["Trainings"], told["Accuracy"]) == ("3 (2 scored)", "50.0%")


def test_with_repeats_a_sweep_has_the_intervals_of_a_report() -> None:
    """Ten answers to an item weigh ten times as much as half an added pair of answers."""
    tuned = {f"w{i}": [float(r < 6 + i % 4) for r in range(10)] for i in range(40)}
    baseline = {item: [float(r < 6) for r in range(10)] for item in tuned}
    one = Arm(("n=10",), "texts", 1, [tuned], {}, {"tfidf": [baseline]}, start=[baseline])
    reported = paired_difference(tuned, baseline)
    assert one.minus("tfidf") == one.minus_start() == reported
    assert (one.accuracy.low, one.accuracy.high, one.accuracy.std) == (*_ends(clustered_interval(tuned)), None)
    two = Arm(("n=10",), "texts", 2, [tuned] * 2, {}, {"tfidf": [baseline] * 2}, start=[baseline] * 2)
    change = two.minus_start()
    assert reported.high is not None and change.high is not None
    assert change.high - reported.high == pytest.approx(0, abs=0.01)


def _ends(share: Share) -> tuple[float | None, float | None]:
    return share.low, share.high


def price(training: float | None, saved: float, answers: int | None) -> BreakEven:
    """What a training costs in dollars and saves an answer, and after how many answers it has paid."""
    return BreakEven(
        training_usd=training, saved_usd=saved, answers_usd=answers,
        training_seconds=None, saved_seconds=None, answers_seconds=None,
    )  # fmt: skip


FIVE, NINE, NEVER, UNKNOWN = price(1.0, 0.2, 5), price(1.0, 0.12, 9), price(1.0, -0.1, None), price(None, 0.2, None)


@pytest.mark.parametrize(
    ("trainings", "told"),
    [
        ((NEVER, NEVER), "never"),
        ((FIVE, FIVE), "5 answers"),
        ((NEVER, UNKNOWN), "never in 1 of 2, unknown in 1 of 2"),
        ((NINE, FIVE, NEVER), "5 to 9 answers, never in 1 of 3"),
        ((FIVE, UNKNOWN, UNKNOWN), "5 answers, unknown in 2 of 3"),
    ],
)
def test_in_how_many_trainings_the_price_never_pays_or_is_unknown_is_told(
    trainings: tuple[BreakEven, ...], told: str
) -> None:
    asked = row(0, 0.5, tokens=90.0)
    compared = [ComparedBaseline(name="few_shot", row=asked, last_minus_it=None, break_even=one) for one in trainings]
    headings, [cells] = costs_table([Arm(("n=10",), "texts", len(trainings), [], {}, {}, compared=compared)])
    assert dict(zip(headings, cells, strict=True))["Pays after, USD"] == told
