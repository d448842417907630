from pathlib import Path

import pytest

from rest_react.errors import RunFolderError
from rest_react.storage.summaries import read_summary, write_summary


def test_a_summary_marks_a_stage_complete(tmp_path: Path) -> None:
    assert read_summary(tmp_path) is None
    write_summary(tmp_path, {"examples": 3})
    assert read_summary(tmp_path) == {"schema": 1, "examples": 3}


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff", '{"schema": 1}'])
def test_a_damaged_summary_says_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "summary.json").write_text(text, encoding="latin-1")
    with pytest.raises(RunFolderError, match=r"summary\.json is damaged .*; delete it"):
        read_summary(tmp_path)


def test_a_number_that_is_not_finite_is_null_and_the_summary_can_be_read(tmp_path: Path) -> None:
    write_summary(tmp_path, {"held_out_loss": float("nan"), "rows": [1.5, float("-inf")], "more": {"x": float("inf")}})
    summary = read_summary(tmp_path)
    assert summary is not None
    assert (summary["held_out_loss"], summary["rows"], summary["more"]) == (None, [1.5, None], {"x": None})
