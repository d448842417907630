"""After how many answers fine-tuning has paid, by hand, and what is unknown after an interruption."""

from pathlib import Path
from typing import Any

import pytest

from rest_react.reporting.results.results_json import BreakEven, ComparedBaseline, ResultRow
from rest_react.reporting.results.rows import compute_baselines, compute_rows
from rest_react.reporting.tables.baseline_table import baseline_table
from rest_react.reporting.tables.breakdowns import benchmark_views
from rest_react.reporting.tables.results_table import COLUMNS
from rest_react.reporting.tables.stage_tables import stage_table
from rest_react.storage.files import write_json
from tests.runs import result, write_evaluation

TUNED = {"cost_usd": 9.0, "answering_usd": 0.5, "seconds": 8.0}
FEW_SHOT = {"cost_usd": 3.0, "answering_usd": 1.5, "seconds": 40.0}
TRAINING = {"cost_usd": 1.2, "seconds": 90.0}
KNOWN = BreakEven(
    training_usd=1.2, saved_usd=0.25, answers_usd=5, training_seconds=90.0, saved_seconds=8.0, answers_seconds=12
)


def compared(
    run: Path, tuned: dict[str, Any] = TUNED, few_shot: dict[str, Any] = FEW_SHOT, training: dict[str, Any] = TRAINING
) -> tuple[ResultRow, ComparedBaseline]:
    """The row of four answers of a tuned model, and the baseline of few-shot ones, whose grader is paid."""
    answers = [result(f"w{i}") for i in range(4)]
    write_evaluation(run, 0, answers, **{"grader": "llm:judge", **tuned})
    beside = write_evaluation(run / "elsewhere", 0, answers, **{"grader": "llm:judge", **few_shot})
    (run / "baselines" / "few_shot").mkdir(parents=True)
    beside.rename(run / "baselines" / "few_shot" / "world")
    write_json(run / "iter_0" / "finetune" / "summary.json", {"schema": 1, "files": {}, **training})
    (row,) = compute_rows(run)
    (baseline,) = compute_baselines(run, [row])
    return row, baseline


def cells(row: ResultRow, baseline: ComparedBaseline) -> dict[str, list[str]]:
    """What the table of baselines says of both, by heading."""
    headings, *lines = baseline_table([row], [baseline])
    return {heading: list(column) for heading, *column in zip(headings, *lines, strict=True)}


def test_what_a_paid_grader_costs_is_no_cost_of_answering(tmp_path: Path) -> None:
    row, baseline = compared(tmp_path)
    assert baseline.break_even == KNOWN
    table = cells(row, baseline)
    assert (table["USD/answer"], table["s/answer"]) == (["0.375000", "0.125000"], ["10.000", "2.000"])
    assert table["Tuning pays after, USD"] == ["5 answers", ""]
    assert table["Tuning pays after, time"] == ["12 answers", ""]
    assert (row.cost_usd, row.per_correct.cost_usd) == (9.0, 2.25)  # of the evaluation, the grader included


@pytest.mark.parametrize(("grader", "known"), [("rule", True), ("llm:judge", False)])
def test_an_older_summary_tells_the_cost_of_answering_only_where_no_model_graded(
    tmp_path: Path, grader: str, known: bool
) -> None:
    older = {"grader": grader, "cost_usd": 0.5, "seconds": 8.0}
    row, baseline = compared(tmp_path, tuned=older)
    assert row.usd_per_answer == (0.125 if known else None)
    assert baseline.break_even is not None
    assert baseline.break_even.answers_usd == (5 if known else None)


def test_seconds_of_an_answer_are_unknown_where_several_processes_made_the_answers(tmp_path: Path) -> None:
    row, baseline = compared(tmp_path, few_shot={**FEW_SHOT, "seconds": None})
    assert baseline.break_even == BreakEven(
        training_usd=1.2, saved_usd=0.25, answers_usd=5, training_seconds=90.0, saved_seconds=None, answers_seconds=None
    )
    table = cells(row, baseline)
    assert (table["s/answer"], table["Tuning pays after, time"]) == (["resumed", "2.000"], ["", ""])


def test_an_evaluation_that_was_resumed_has_no_time_in_any_table(tmp_path: Path) -> None:
    row, _ = compared(tmp_path, tuned={**TUNED, "seconds": None})
    assert (row.seconds, row.per_correct.seconds) == (None, None)
    assert dict(COLUMNS)["Minutes"](row) == "resumed"
    (view,) = benchmark_views([row])
    tables = {table["name"]: dict(table["rows"]) for table in view["tables"]}
    assert tables["Cost per answer"]["seconds of the evaluation"] == "resumed"
    assert tables["Cost per correct answer"]["seconds of the evaluation"] == "n/a"


def test_a_training_of_unknown_time_has_no_break_even_in_time(tmp_path: Path) -> None:
    _, baseline = compared(tmp_path, training={**TRAINING, "seconds": None})
    assert baseline.break_even == BreakEven(
        training_usd=1.2, saved_usd=0.25, answers_usd=5, training_seconds=None, saved_seconds=8.0, answers_seconds=None
    )
    table = stage_table(tmp_path, "finetune")
    assert table is not None
    assert ["minutes", "resumed"] in table["rows"]
