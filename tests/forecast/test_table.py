from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from rest_react.config.compose import compose
from rest_react.config.settings import Settings
from rest_react.forecast.table import duration_line, forecast_table
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.summaries import write_summary
from tests.forecast.test_estimate import MADE_UP, SMALL, stages


def printed(folder: Path, settings: Settings) -> str:
    console = Console(width=200, record=True, file=StringIO())
    console.print(forecast_table(settings, RunFolder(folder)))
    return console.export_text()


def total(table: str) -> list[str]:
    """The cells of the table's last row."""
    return [cell.strip() for cell in next(line for line in table.splitlines() if "│ total " in line).split("│")[1:-1]]


def test_the_table_ends_with_the_total(tmp_path: Path) -> None:
    fixed = ["speed.prefill=450", "speed.decode=100", "speed.train=50"]
    rows = stages(tmp_path, *fixed)
    table = printed(tmp_path, compose([*SMALL, *fixed]))
    assert "Forecast for the remaining stages of default" in table
    assert total(table) == [
        "total",
        f"{sum(row.calls for row in rows):,}",
        f"{sum(row.prompt_tokens for row in rows):,}",
        f"{sum(row.completion_tokens for row in rows):,}",
        f"{sum(row.minutes or 0 for row in rows):.1f}",
        "0.00",
    ]
    assert not any(tmp_path.iterdir())


def test_the_total_is_unknown_if_a_stage_is_unknown(tmp_path: Path) -> None:
    settings = compose([*SMALL, "policy=openai", "finetune=hosted"])
    assert total(printed(tmp_path, settings))[-2:] == ["unknown", "unknown"]
    known = ["speed.prefill=450", "speed.decode=100", "speed.train=50"]
    made_up = replace(compose([*SMALL, *known]), finetune=MADE_UP)
    cells = total(printed(tmp_path, made_up))
    assert (cells[0], cells[2], cells[4:]) == ("total", "unknown", ["unknown", "unknown"])
    assert duration_line(made_up, RunFolder(tmp_path)) == ""


def test_the_command_prints_the_estimated_duration_at_its_start(tmp_path: Path) -> None:
    fixed = ["speed.prefill=450", "speed.decode=100", "speed.train=50"]
    rows = stages(tmp_path, *fixed)
    settings = compose([*SMALL, *fixed])
    minutes, first = (sum(row.minutes or 0 for row in some) for some in (rows, rows[:2]))
    line = duration_line(settings, RunFolder(tmp_path))
    facts = [f"about {minutes:.0f} minutes", f"about {first:.0f} minutes", "450", "100", "50", "dry_run=true"]
    assert [fact for fact in facts if fact not in line] == []


def test_the_first_row_of_results_waits_for_every_benchmark_of_its_iteration_and_their_grading(tmp_path: Path) -> None:
    fixed = ["speed.prefill=450", "speed.decode=100", "speed.train=50"]
    given = ["grader=same", "+questions@evaluate.benchmarks.again=world_evaluation"]
    rows = stages(tmp_path, *fixed, *given)
    graded = 5
    assert [row.stage for row in rows[:graded]] == ["iteration 0: finetune"] + [
        f"iteration 0: evaluate {stage}" for name in ("world", "again") for stage in (name, f"{name}, grading")
    ]
    first = sum(row.minutes or 0 for row in rows[:graded])
    line = duration_line(compose([*SMALL, *fixed, *given]), RunFolder(tmp_path))
    assert f"the first row of results after about {first:.0f} minutes" in line


def test_a_resumed_command_gives_the_time_of_the_next_row_of_results(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for stage in (("finetune",), ("evaluate", "world")):
        write_summary(folder.stage(0, *stage), {})
    fixed = ["speed.prefill=450", "speed.decode=100", "speed.train=50"]
    assert "the next row of results after about" in duration_line(compose([*SMALL, *fixed]), folder)


@pytest.mark.parametrize(
    "how", [["policy=openai", "finetune=hosted"], ["policy=scripted", "finetune=dry_run"], ["policy=tiny"]]
)
def test_an_unknown_or_very_short_duration_is_not_printed(how: list[str], tmp_path: Path) -> None:
    assert duration_line(compose([*SMALL, *how]), RunFolder(tmp_path)) == ""


def test_brackets_in_the_name_of_a_run_are_shown_in_the_title(tmp_path: Path) -> None:
    assert "stages of a[b] [/x]" in printed(tmp_path, replace(compose(SMALL), run="a[b] [/x]"))
