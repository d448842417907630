import subprocess
import sys

import pytest

from rest_react.terminal import progress as module
from rest_react.terminal.progress import progress, steps_progress


def test_away_from_a_terminal_progress_is_one_line_at_the_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([100.0, 101.0, 102.0, 106.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    with progress("grow", total=5, done=2) as advance:
        advance()
        advance()
        advance(note="1 outside faults")
    assert capsys.readouterr().err == "grow: 5/5, 30.0/min, 6 s  1 outside faults\n"


def test_a_long_stage_tells_every_fifteen_seconds_what_is_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 10.0, 20.0, 30.0, 40.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    with progress("grow", total=100) as advance:
        for _ in range(4):
            advance()
    assert capsys.readouterr().err.splitlines() == [
        "grow: 2/100, 6.0/min, 16.3 min left",
        "grow: 4/100, 6.0/min, 16.0 min left",
    ]


def test_resumed_training_starts_where_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    on_step = steps_progress("finetune")
    on_step(26, 27, 0.5)
    on_step(27, 27, 0.25)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("finetune: 27/27, ")
    assert line.endswith("loss 0.250")


def test_a_bar_is_drawn_on_a_terminal_and_the_cursor_comes_back_after_a_failure() -> None:
    failing = (
        "from rest_react.terminal.progress import progress, steps_progress\n"
        "with progress('[grow]', total=2) as advance: advance(note='[note]'); advance(note='[note]')\n"
        "on_step = steps_progress('finetune'); on_step(1, 9, 0.5); raise SystemExit(1)"
    )
    drawn = subprocess.run(
        [sys.executable, "-c", failing],
        env={"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "TTY_INTERACTIVE": "1", "COLUMNS": "120", "TERM": "xterm"},
        capture_output=True, text=True, check=False, timeout=60,
    ).stderr  # fmt: skip
    assert "[grow]" in drawn
    assert "[note]" in drawn
    assert "2/2" in drawn
    assert drawn.count("\x1b[?25l") == drawn.count("\x1b[?25h") == 2
    assert drawn.rindex("\x1b[?25h") > drawn.rindex("loss 0.500")
