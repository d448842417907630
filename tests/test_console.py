import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react import console as module
from rest_react.console import plain, printable, progress, say, steps_progress, visible

UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(st.text())
def test_no_text_can_move_the_cursor_recolour_or_reorder_a_line(text: str) -> None:
    shown = printable(text)
    assert {unicodedata.category(c) for c in shown if c != "\n"} & UNSEEN == set()
    assert shown.count("\n") == text.count("\n")
    assert shown.encode("utf-8").decode("utf-8") == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, Ünïcödé, 日本, 🦉", "plain, Ünïcödé, 日本, 🦉"),
        ("two\nlines", "two\nlines"),
        ("\x1b[31mred\x1b[0m", "\\u001b[31mred\\u001b[0m"),
        ("\x9b2J\r\b\x07", "\\u009b2J\\u000d\\u0008\\u0007"),
        ("\u202egnp.exe\u2066", "\\u202egnp.exe\\u2066"),
        ("a\u2028b\u2029c", "a\\u2028b\\u2029c"),
        ("10\u00a0km\u3000wide", "10 km wide"),
        ("half \ud83d", "half \\ud83d"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_what_is_dangerous_is_shown_as_its_code(text: str, shown: str) -> None:
    assert printable(text) == shown


HIDDEN = st.sampled_from([chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in UNSEEN])


@given(st.text(st.characters() | HIDDEN))
def test_nothing_on_a_page_hides_or_reorders_text(text: str) -> None:
    shown = visible(text)
    assert len(shown) == len(text)
    assert {c for c in shown if unicodedata.category(c) in UNSEEN} <= {"\n", "\t"}
    assert [c for c in shown if c in "\n\t"] == [c for c in text if c in "\n\t"]
    assert {c for c in plain(text) if unicodedata.category(c) in UNSEEN} == set()


@pytest.mark.parametrize(
    "character",
    [
        *"\x00\x1b\r\x7f\x85\xad\u061c\u180e\u200b\u200d\u200e\u202e\u2060\u2066\u2028\u2029\ufeff\ufff9\ud83d\ue000",
        "\U000e0041",
        "\U000e0001",
        "\U0010ffff",
    ],
)
def test_what_has_no_shape_is_shown_as_a_mark_on_a_page(character: str) -> None:
    assert visible(f"a{character}b\n\tc, 日本 🦉") == "a\ufffdb\n\tc, 日本 🦉"
    assert plain(f"a{character}b") == ("a b" if character.isspace() else "a\ufffdb")


def test_a_line_is_said_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    say("[red]x[/red] [link_id=1] \x1b[2J " + "long " * 60)
    assert capsys.readouterr().err == "[red]x[/red] [link_id=1] \\u001b[2J " + "long " * 60 + "\n"


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
        "from rest_react.console import progress, steps_progress\n"
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
