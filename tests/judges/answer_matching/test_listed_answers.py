import time

import pytest

from rest_react.judges.answer_matching.canonical_text import cased_words
from rest_react.judges.answer_matching.listed_answers import is_listed, mark_lines


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        ("Ada was born\nin Paris.", "Ada was born | in Paris."),
        ("- Paris\n- Lyon\n", "Paris | Lyon"),
        ("1. Paris 2. Lyon", "Paris | Lyon"),
        ("Option A: Paris. Option B: Lyon.", "Paris. | Lyon."),
        ("1. Paris", "1. Paris"),
        ("A. K. Mell", "A. K. Mell"),
        ("12. March 1931", "12. March 1931"),
        ("", ""),
    ],
)
def test_lines_and_numbered_items_are_separated_by_a_bar(answer, line):
    assert mark_lines(answer) == line


@pytest.mark.parametrize(
    ("answer", "listed"),
    [
        ("Paris", False),
        ("Paris, Lyon", True),
        ("Lyon, Paris", True),
        ("Paris, France", False),
        ("Paris, the capital", False),
        ("Paris, Mayor Tarn", True),
        ("Paris, home of the Louvre", False),
        ("Paris (Lyon is near)", False),
        ("Bo Tarn founded Lyon and Paris", True),
        ("She was born in Paris and Bo Tarn was born in Lyon", False),
        ("Paris and Lyon founded it", True),
        ("Paris, 1931", False),
    ],
)
def test_another_answer_beside_the_mention_makes_a_list(answer, listed):
    text = cased_words(answer)
    at = text.index("Paris")
    assert is_listed(text, at, at + 5, ["Paris"]) is listed


def test_another_gold_answer_beside_the_mention_makes_no_list():
    answer = cased_words("Mumbai, Bombay")
    assert not is_listed(answer, 0, 6, ["Mumbai", "Bombay"])
    assert is_listed(answer, 0, 6, ["Mumbai"])


def test_a_long_run_of_blanks_is_read_once():
    started = time.process_time()
    assert mark_lines("Paris " + "\u00a0" * 50_000 + "x") == "Paris " + "\u00a0" * 50_000 + "x"
    assert mark_lines("Paris" + " \n" * 20_000 + "x") == "Paris | x"
    assert time.process_time() - started < 2.0  # once from each blank takes a minute
