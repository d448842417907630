"""The table of a stage, and notes on the trainings of a run from untuned weights whose loss did not halve."""

from pathlib import Path

import pytest

from rest_react.reporting.tables.stage_tables import convergence_notes, stage_table
from rest_react.storage.settings_file import lock_settings
from rest_react.storage.summaries import write_summary
from tests.runs import write_lines


@pytest.mark.parametrize(
    ("start", "start_from", "named"),
    [
        ("prompted", "previous", [1]),
        ("prompted", "base", [1, 2]),
        ("demonstrations", "previous", [0]),
        ("demonstrations", "base", [0, 1, 2]),
    ],
)
def test_a_training_from_untuned_weights_whose_loss_stays_up_is_named(
    tmp_path: Path, start: str, start_from: str, named: list[int]
) -> None:
    lock_settings(tmp_path, {"start": start, "finetune.start_from": start_from}, {"python": "3"})
    (tmp_path / "iter_0").mkdir()
    for k in (1, 2) if start == "prompted" else (0, 1, 2):
        losses = [{"step": step, "loss": 2.0} for step in range(1, 11)]
        write_lines(tmp_path / f"iter_{k}" / "finetune" / "loss.jsonl", losses)
    assert list(convergence_notes(tmp_path)) == [
        f"iteration {k}: the training loss did not halve: 2.00 over the first tenth of the steps, 2.00 over the last "
        "fifth"
        for k in named
    ]


def test_a_cost_below_a_cent_is_shown_with_its_digits(tmp_path: Path) -> None:
    for k, cost in enumerate((0.0042, 0.0, 1234.5)):
        write_summary(tmp_path / f"iter_{k}" / "grow", {"cost_usd": cost})
    table = stage_table(tmp_path, "grow")
    assert table is not None
    assert ["cost usd", "0.004200", "0.00", "1,234.50"] in table["rows"]
