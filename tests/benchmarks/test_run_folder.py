"""The run folder that the benchmark fills with copies, at its smallest."""

from pathlib import Path

from benchmarks.run_folder import STAGES, write_copies
from rest_react.records import Example
from rest_react.reporting.results.results_json import read_results
from rest_react.storage.jsonl import read_lines


def test_improve_and_the_report_take_copied_records_like_those_of_other_questions(tmp_path: Path) -> None:
    for stage in ("grow", "evaluate"):
        write_copies(stage, 12, tmp_path, real=4)
    for name in ("improve", "report"):
        STAGES[name](12, tmp_path)
    (row,) = read_results(tmp_path).rows
    assert (row.questions, row.repeats) == (12, 1)
    assert row.verdicts is not None
    assert len(row.verdicts) == 12
    examples = [
        example.id.partition(".")[0].rpartition("-")
        for example in read_lines(tmp_path / "iter_1/improve/examples.jsonl", Example)
    ]
    per_copy = [[question for question, _, copy in examples if copy == str(i)] for i in range(3)]
    assert per_copy[0] == per_copy[1] == per_copy[2]
    assert per_copy[0]
