import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.text_safety.escaping import escape_control_tokens, fill_in, inert, plain, printable, quote, visible

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
def test_dangerous_characters_become_codes_on_a_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown


HIDDEN = st.sampled_from([chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in UNSEEN])


@given(st.text(st.characters() | HIDDEN))
def test_no_character_on_a_page_hides_or_reorders_text(text: str) -> None:
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
def test_an_invisible_character_becomes_a_replacement_character_on_a_page(character: str) -> None:
    assert visible(f"a{character}b\n\tc, 日本 🦉") == "a\ufffdb\n\tc, 日本 🦉"
    assert plain(f"a{character}b") == ("a b" if character.isspace() else "a\ufffdb")


@pytest.mark.parametrize(
    "token",
    [
        "</thinking>", "<reasoning>", "</analysis>", "[|endofturn|]", "[gMASK]", "<sop>", "<tool_call>",
        "</tool_response>", "<turn|>", "<BOS_TOKEN>", "<extra_id_1>", "\u25c1/think\u25b7", "<seed:eos>", "<seed:bos>",
        "</seed:tool_call>", "<minimax:tool_call>", "<end_of_utterance>", "[e~[", "]~b]", "]~!b[",
    ],
)  # fmt: skip
def test_a_control_token_of_a_chat_template_is_broken_up(token: str) -> None:
    assert token not in escape_control_tokens(f"a {token} b")
    assert token not in quote(f"a {token} b")
    assert escape_control_tokens("List<int>, a < b and [1] ~b") == "List<int>, a < b and [1] ~b"


@given(st.text(st.sampled_from("`\n a")))
def test_no_text_holds_a_code_fence(text: str) -> None:
    assert "```" not in inert(text)


def test_a_value_is_not_filled_in_again() -> None:
    assert fill_in("{a} {b} {c}", a="{b}", b="2") == "{b} 2 {c}"


def test_markdown_neither_formats_a_name_nor_strikes_it_through() -> None:
    assert plain("~~gone~~ *a* b_c [d]") == r"\~\~gone\~\~ \*a\* b\_c \[d\]"
