from pathlib import Path

from rest_react.records import Fault
from rest_react.reporting.failure_notes import failure_notes
from rest_react.reporting.results.rows import compute_rows
from tests.runs import result, write_evaluation


def test_failed_answers_are_reported_with_their_reasons(tmp_path: Path) -> None:
    prose, refused = Fault("model", "no usable sample at step 0 (decide): prose"), Fault("model", "m: refused")
    answers = [result(f"q{i}", fault=prose if i < 2 else None) for i in range(9)] + [result("q9", fault=refused)]
    write_evaluation(tmp_path, 0, answers)
    write_evaluation(tmp_path, 1, [*answers[2:9], *(result(f"p{i}") for i in range(2)), result("q9", fault=refused)])
    assert list(failure_notes(compute_rows(tmp_path))) == [
        "note: iteration 0, world: 3 of 10 answers failed: m: refused (1), no usable sample (2)",
        "note: iteration 1, world: 1 of 10 answers failed: m: refused (1)",
    ]


def test_unscored_answers_are_reported_from_a_tenth_of_all_answers(tmp_path: Path) -> None:
    for iteration, unscored in ((0, 1), (1, 0)):
        lost = [result(f"q{i}", verdict="unscored") for i in range(unscored)]
        write_evaluation(tmp_path, iteration, [*lost, *(result(f"p{i}") for i in range(10 - unscored))])
    assert list(failure_notes(compute_rows(tmp_path))) == [
        "note: iteration 0, world: 1 of 10 answers are unscored; results.jsonl gives the reasons"
    ]
