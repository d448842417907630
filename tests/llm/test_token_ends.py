"""Positions of tokens in a text, for every tokenizer and every way a server cuts its text."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from rest_react.llm.token_ends import decoded_pieces, token_ends
from rest_react.weights import resolve_weights

PIECES = st.lists(st.binary(max_size=4), max_size=12)


def test_a_position_is_in_bytes_and_may_be_inside_a_character() -> None:
    assert token_ends("née", [b"n", b"\xc3", b"\xa9e", b"<eos>"]) == (1, 2, 4, 4)


def test_text_that_the_server_removed_has_no_position() -> None:
    pieces = [b"<think>", b"hm", b"</think>", b"\n", b"Search", b"()", b"# [END]"]
    assert token_ends("Search()", pieces) == (0, 0, 0, 0, 6, 8, 8)


def test_tokens_that_do_not_spell_the_text_have_no_positions() -> None:
    assert token_ends("Search()", [b"Find", b"()"]) == ()
    assert token_ends("Search()", []) == ()


@given(st.lists(st.text(max_size=5), max_size=10), st.text(max_size=5))
def test_positions_cut_the_text_where_its_pieces_meet(parts: list[str], after: str) -> None:
    text = "".join(parts)
    ends = token_ends(text, [*(part.encode("utf-8", "replace") for part in parts), after.encode("utf-8", "replace")])
    spelled, starts = text.encode("utf-8", "replace"), (0, *ends)
    assert [spelled[i:j] for i, j in zip(starts, ends, strict=False)][:-1] == [
        part.encode("utf-8", "replace") for part in parts
    ]


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(resolve_weights("tiny-random"))


@given(text=st.text(max_size=40))
@example(text="\ufffd")
@example(text="a\ufffd\ufffd")
def test_the_pieces_of_a_tokenizer_spell_what_it_decodes(tokenizer, text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    ids = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    pieces = decoded_pieces(tokenizer, [*ids, tokenizer.eos_token_id])
    assert len(pieces) == len(ids) + 1
    assert b"".join(pieces).decode() == tokenizer.decode(ids) == text
    assert all(pieces[: len(ids)])  # every token has a part of the text


def test_a_tokenizer_of_another_library_tells_no_pieces() -> None:
    assert decoded_pieces(object(), [1, 2]) == []
