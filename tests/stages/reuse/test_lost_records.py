from dataclasses import replace
from pathlib import Path

import pytest

from rest_react.records import Fault, Ranking, TrajectoryVerdict, Verdict
from rest_react.stages.reuse.lost_records import lost_records
from tests.runs import result, trajectory, write_lines

OUTSIDE, MODEL = Fault("outside", "an outage"), Fault("model", "no action")
OWED = replace(result("q3"), verdict_before_checks=Verdict("unscored", "an outage", owed=True))
RANKINGS = [Ranking(f"q.{i}", "decide", "reward_model", status, 0) for i, status in enumerate(("ranked", "errored"))]
VERDICTS = [TrajectoryVerdict("q1", "judged", True), TrajectoryVerdict("q2", "unscored")]


@pytest.mark.parametrize(
    ("file", "records", "counts"),
    [
        (
            "trajectories",
            [trajectory("q1"), *(replace(trajectory("q2"), fault=one) for one in (OUTSIDE, MODEL))],
            (1, 3),
        ),
        ("results", [result("q1"), replace(result("q2"), verdict=Verdict("unscored", "refused")), OWED], (1, 3)),
        ("rankings", RANKINGS, (1, 2)),
        ("verdicts", VERDICTS, (0, 2)),  # a refusal is a result
        ("verdicts", [replace(VERDICTS[0], status="errored"), *VERDICTS], (1, 3)),
        ("texts", [], (0, 0)),
    ],
)
def test_the_records_that_external_errors_cost_are_counted(
    file: str, records: list[object], counts: tuple[int, int], tmp_path: Path
) -> None:
    write_lines(tmp_path / f"{file}.jsonl", records)
    assert lost_records(tmp_path) == counts
