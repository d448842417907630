"""The rows of results.json, in numbers computed by hand."""

from dataclasses import replace

import pytest
from msgspec import to_builtins

from rest_react.metrics.intervals import clustered_interval, detectable_difference, paired_difference
from rest_react.records import Fault
from rest_react.reporting.results.results_json import Difference, FaultCount, PerCorrect
from rest_react.reporting.results.rows import compute_baselines, compute_rows
from rest_react.reporting.tables.baseline_table import baseline_table
from rest_react.reporting.tables.breakdowns import benchmark_views
from rest_react.storage.summaries import write_summary
from tests.runs import reported_run, result, write_evaluation, write_lines

ROW_KEYS = {
    "iteration", "benchmark", "grader", "questions", "repeats", "unscored", "unscored_share", "failed",
    "failed_share", "faults", "accuracy", "rule_disagreement", "before_checks", "checks", "vs_start", "vs_previous",
    "by_kind", "by_hops", "em", "f1", "contained", "searches", "calls", "tokens", "correct", "per_correct",
    "cost_usd", "cost_reason", "seconds", "pass_at", "scores", "verdicts", "latency", "lost", "answering_usd",
}  # fmt: skip


@pytest.fixture
def run(tmp_path):
    return reported_run(tmp_path / "demo")


def test_a_row_holds_every_number_of_an_evaluation(run):
    start, later = map(to_builtins, compute_rows(run))
    assert set(start) == set(later) == ROW_KEYS
    share = clustered_interval({f"w{i}": [float(i < 3)] for i in range(4)})
    interval = {"mean": share.mean, "low": share.low, "high": share.high}
    nothing = paired_difference({f"w{i}": [0.0] for i in range(4)}, {f"w{i}": [0.0] for i in range(4)})
    assert {k: later[k] for k in ROW_KEYS - {"vs_start", "vs_previous"}} == {
        "iteration": 1, "benchmark": "world", "grader": "rule",
        "questions": 4, "repeats": 1,
        "unscored": 0, "unscored_share": 0.0, "failed": 0, "failed_share": 0.0, "faults": {},
        "rule_disagreement": None, "accuracy": {**interval, "std": None}, "before_checks": {**interval, "std": None},
        "checks": {
            "mean": 0.0, "low": nothing.low, "high": nothing.high, "questions": 4,
            "detectable": detectable_difference(nothing), "fixed": 0, "broken": 0,
        },
        "by_kind": {"bridge": {**interval, "questions": 4}}, "by_hops": {"2": {**interval, "questions": 4}},
        "em": 0.0, "contained": 0.0, "f1": 0.5, "searches": 2.0, "calls": 9.0, "tokens": 1000.0, "correct": 3,
        "per_correct": {
            "searches": 8 / 3, "calls": 12.0, "tokens": 4000 / 3, "cost_usd": 0.25 / 3, "seconds": 30.0,
        },
        "cost_usd": 0.25, "cost_reason": None, "seconds": 90.0,
        "pass_at": {}, "scores": {}, "latency": {}, "lost": 0, "answering_usd": None,
        "verdicts": dict(zip((f"w{i}#e3b0c442" for i in range(4)), "1110", strict=True)),
    }  # fmt: skip
    assert share.mean == 0.75
    assert (start["vs_start"], start["vs_previous"]) == (None, None)
    assert later["vs_start"] == later["vs_previous"]
    assert (later["vs_start"]["mean"], later["vs_start"]["questions"]) == (0.5, 4)
    assert (start["cost_usd"], start["cost_reason"]) == (None, "no price was recorded")


def test_each_iteration_is_compared_with_the_start_and_with_the_one_before(tmp_path):
    for iteration, right in ((0, 1), (1, 3), (2, 2), (4, 4)):
        verdicts = ["correct" if i < right else "incorrect" for i in range(4)]
        write_evaluation(tmp_path, iteration, [result(f"w{i}", verdict=v) for i, v in enumerate(verdicts)])
    changes = [
        tuple(change and change.mean for change in (row.vs_start, row.vs_previous)) for row in compute_rows(tmp_path)
    ]
    assert changes == [(None, None), (0.5, 0.5), (0.25, -0.25), (0.75, None)]  # iteration 3 is not complete


def test_a_question_whose_text_changed_under_its_id_is_compared_with_no_earlier_answer(tmp_path):
    write_evaluation(tmp_path, 0, [result("a", verdict="incorrect", asked="Who?"), result("b", asked="When?")])
    write_evaluation(tmp_path, 1, [result("a", asked="Who?"), result("b", verdict="incorrect", asked="Where?")])
    changed = compute_rows(tmp_path)[1]
    assert changed.questions == 2
    assert changed.vs_start == changed.vs_previous
    assert (changed.vs_start.mean, changed.vs_start.questions) == (1.0, 1)
    write_evaluation(tmp_path, 1, [result("a", asked="Whose?"), result("b", asked="Where?")])
    other = compute_rows(tmp_path)[1]
    assert other.vs_start == Difference(mean=None, low=None, high=None, questions=0, detectable=None)


def test_an_answer_is_compared_with_no_earlier_one_that_was_graded_against_other_golds(tmp_path):
    def graded(question, verdict, *golds):
        return replace(result(question, verdict=verdict, asked="Who?"), golds=golds)

    old = [graded("a", "incorrect", "Rome"), graded("b", "incorrect", "Oslo"), graded("c", "incorrect")]
    write_evaluation(tmp_path, 0, old)
    write_lines(tmp_path / "baselines/first/world/results.jsonl", old)
    write_summary(tmp_path / "baselines/first/world", {"grader": "rule", "questions": 3, "repeats": 1, "seconds": 1.0})
    write_evaluation(
        tmp_path, 1, [graded("a", "correct", "Paris"), graded("b", "correct", "Oslo"), graded("c", "correct", "Bern")]
    )
    rows = compute_rows(tmp_path)
    (baseline,) = compute_baselines(tmp_path, rows)
    for difference in (rows[1].vs_start, rows[1].vs_previous, baseline.last_minus_it):
        assert (difference.mean, difference.questions) == (1.0, 2)  # "c": an older file, without golds
    assert rows[1].verdicts.keys() == rows[0].verdicts.keys()


def test_the_self_checks_are_measured_on_the_same_trajectories(tmp_path):
    results = [
        result("a", verdict="correct", before="incorrect"),
        result("b", verdict="correct", before="incorrect"),
        result("c", verdict="incorrect", before="correct"),
        result("d", verdict="unscored", before="correct"),
    ]
    write_evaluation(tmp_path, 0, results)
    (row,) = compute_rows(tmp_path)
    assert (row.checks.fixed, row.checks.broken, row.checks.questions) == (2, 1, 3)
    assert row.checks.mean == pytest.approx(1 / 3)
    assert row.checks.low <= 1 / 3 <= row.checks.high


def test_an_answer_that_is_unscored_before_or_after_the_checks_says_nothing_of_their_effect(tmp_path):
    one = result("a", verdict="correct", before="unscored")
    other = replace(result("a", verdict="incorrect", before="incorrect"), id="a.1")
    write_evaluation(tmp_path, 0, [one, other], repeats=2)
    (row,) = compute_rows(tmp_path)
    assert (row.checks.mean, row.checks.fixed, row.checks.broken, row.checks.questions) == (0.0, 0, 0, 1)


def test_accuracy_is_given_by_kind_and_by_hops(tmp_path):
    easy, hard = (replace(result(q), kind=kind, hops=hops) for q, kind, hops in (("a", "bridge", 2), ("b", "date", 4)))
    other = replace(result("c", verdict="incorrect"), kind="date", hops=2)
    unsaid = replace(result("d"), kind="", hops=None)
    write_evaluation(tmp_path, 0, [easy, hard, other, unsaid])
    (row,) = compute_rows(tmp_path)
    by_kind, by_hops = ({name: (g.mean, g.questions) for name, g in of.items()} for of in (row.by_kind, row.by_hops))
    assert by_kind == {"bridge": (1.0, 1), "date": (0.5, 2)}
    assert by_hops == {"2": (0.5, 2), "4": (1.0, 1)}


def test_the_cost_per_correct_answer_includes_incorrect_answers(tmp_path):
    results = [
        result("a", searches=2, calls=8, tokens=100),
        result("b", verdict="incorrect", searches=4, calls=12, tokens=300),
        result("c", verdict="incorrect", fault=Fault("outside", "HTTP 503"), searches=9),
    ]
    write_evaluation(tmp_path, 0, results, cost_usd=0.5)
    (row,) = compute_rows(tmp_path)
    assert row.correct == 1
    assert row.per_correct == PerCorrect(searches=6.0, calls=20.0, tokens=400.0, cost_usd=0.5, seconds=90.0)
    write_evaluation(tmp_path, 0, results[1:])
    (row,) = compute_rows(tmp_path)
    assert row.per_correct == PerCorrect(searches=None, calls=None, tokens=None, cost_usd=None, seconds=None)


def test_failures_are_counted_by_reason(tmp_path):
    faults = [Fault("model", "nothing parsable at step 3"), Fault("model", "nothing parsable at step 5")]
    faults.append(Fault("outside", "HTTP 503: try again"))
    results = [result(f"w{i}", verdict="incorrect", fault=fault) for i, fault in enumerate(faults)]
    write_evaluation(tmp_path, 0, [*results, result("w3")])
    (row,) = compute_rows(tmp_path)
    assert row.faults == {
        "HTTP 503": FaultCount(answers=1, share=0.25), "nothing parsable": FaultCount(answers=2, share=0.5),
    }  # fmt: skip
    assert (row.unscored_share, row.failed_share) == (0.25, 0.5)


def test_unscored_answers_are_excluded_and_failed_ones_are_incorrect(tmp_path):
    results = [
        result("a", verdict="correct"),
        result("b", verdict="correct", before="incorrect", fault=Fault("model", "nothing parsable"), searches=4),
        result("c", verdict="incorrect", fault=Fault("outside", "HTTP 503"), searches=100, em=1.0),
        result("d", verdict="unscored", before="correct"),
    ]
    write_evaluation(tmp_path, 0, results)
    (row,) = compute_rows(tmp_path)
    assert (row.questions, row.unscored, row.failed) == (4, 2, 1)
    assert row.accuracy.mean == 0.5
    assert row.before_checks.mean == pytest.approx(2 / 3)
    assert (row.searches, row.em) == (pytest.approx(8 / 3), 0.0)


def test_costs_of_an_answer_are_not_spread_over_answers_that_were_lost(tmp_path):
    answers = [result("a"), result("b", fault=Fault("model", "too long"))]
    lost = [result(name, fault=Fault("outside", "HTTP 503"), verdict="unscored") for name in "cd"]
    write_evaluation(tmp_path, 1, [*answers, *lost])
    (row,) = compute_rows(tmp_path)
    assert (row.questions, row.lost, row.whole_answers) == (4, 2, 2)
    (_, line) = baseline_table([replace(row, cost_usd=0.5, seconds=8.0)], [])
    assert (line[6], line[7]) == ("4.000", "0.250000")


def test_repeats_are_identified_by_the_id(tmp_path):
    right = {("a.b", 0), ("a.b", 1), ("c", 1)}
    pairs = [(q, r) for q in ("a.b", "c") for r in (0, 1)]
    results = [result(q, r, "correct" if (q, r) in right else "incorrect") for q, r in pairs]
    write_evaluation(tmp_path, 0, results, repeats=2)
    (row,) = compute_rows(tmp_path)
    assert (row.questions, row.repeats, row.accuracy.mean) == (2, 2, 0.75)
    assert row.accuracy.std == pytest.approx(0.125**0.5)  # of 0.5 and 1.0


def test_every_benchmark_is_compared_with_its_own_start(tmp_path):
    for iteration, verdict in ((0, "incorrect"), (1, "correct")):
        write_evaluation(tmp_path, iteration, [result("a", verdict="incorrect")], benchmark="hard")
        write_evaluation(tmp_path, iteration, [result("a", verdict=verdict)], benchmark="world")
    write_evaluation(tmp_path, 1, [result("a")], benchmark="late")
    changes = {(r.iteration, r.benchmark): r.vs_start and r.vs_start.mean for r in compute_rows(tmp_path)}
    assert changes == {
        (0, "hard"): None, (0, "world"): None, (1, "hard"): 0.0, (1, "late"): None, (1, "world"): 1.0,
    }  # fmt: skip


def test_pass_at_k_is_given_where_questions_are_answered_several_times(tmp_path):
    verdicts = {"a": ("correct", "incorrect", "incorrect"), "b": ("incorrect",) * 3, "c": ("correct",) * 3}
    results = [result(q, repeat, verdict) for q, of in verdicts.items() for repeat, verdict in enumerate(of)]
    write_evaluation(tmp_path, 0, results, repeats=3)
    (row,) = compute_rows(tmp_path)
    assert {k: (part.mean, part.questions) for k, part in row.pass_at.items()} == {
        "2": (pytest.approx((2 / 3 + 0 + 1) / 3), 3),
        "3": (pytest.approx(2 / 3), 3),
    }


def test_the_table_of_pass_at_k_is_of_the_questions_that_have_a_verdict(tmp_path):
    verdicts = {"a": ("correct", "incorrect"), "b": ("incorrect",) * 2, "c": ("unscored",) * 2}
    results = [result(q, repeat, verdict) for q, of in verdicts.items() for repeat, verdict in enumerate(of)]
    write_evaluation(tmp_path, 0, results, repeats=2)
    (view,) = benchmark_views(compute_rows(tmp_path))
    (table,) = [table["rows"] for table in view["tables"] if table["rows"][0][0].startswith("k =")]
    assert [cells[-1].rpartition(" of ")[2] for cells in table] == ["2", "2"]
