import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.judges.good_reply import read_good
from tests.judges.odd_replies import AFTER_REASONING, REASONING, REPETITIONS, WORD_SALAD


@pytest.mark.parametrize(
    ("reply", "good"),
    [
        ("GOOD: yes", True),
        ("**GOOD:** no", False),
        ("GOOD: True", True),
        ("Yes", True),
        ("no.", False),
        ("**Yes**", True),
        ("Yes, every element is filled in.", True),
        ("No: link 2 says something else.", False),
        ("Yes. No element is empty.", True),
        ("The summary cites its link.\n\nYes", True),
        ('{"good": "yes"}', True),
        ('```json\n{"GOOD": false}\n```', False),
        ("The output is good.", True),
        ("This output is not good enough.", False),
        ("<think>GOOD: yes? It cites nothing.</think>\nGOOD: no", False),
        ("<think>Yes", None),
        ("Yes and no.", None),
        ("No problem with the query, so yes.", None),
        ("No. Or rather yes.", None),
        ("Yes, but it cites nothing, so no.", None),
        ("Yes\nNo", None),
        ("I cannot tell.", None),
        ("The output is good: no errors found.", True),
        ("This looks good: no empty element, the query names the entity.", None),
        ("Good: no errors.", None),
        ("GOOD: no, it repeats the question", False),
        ("GOOD: no it repeats the question", False),
        ("GOOD: no\nThe query repeats the question", False),
        ("", None),
    ],
)
def test_a_yes_or_no_is_parsed_in_every_usual_form_and_never_guessed(reply: str, good: bool | None) -> None:
    assert read_good(reply) is good


@given(st.text() | WORD_SALAD)
def test_no_reply_raises(reply: str) -> None:
    assert read_good(reply) in (True, False, None)


@given(REASONING, AFTER_REASONING)
def test_text_inside_reasoning_tags_does_not_count(reasoning: str, rest: str) -> None:
    reply = f"<think>{reasoning} BEST: 1\nGOOD: yes\nVERDICT = True</think>\n{rest}"
    assert read_good(reply) == read_good(rest)


@pytest.mark.parametrize("reply", REPETITIONS, ids=lambda reply: repr(reply[:9]))
def test_a_long_repetitive_reply_is_parsed_within_two_seconds(reply: str) -> None:
    start = time.process_time()
    read_good(reply)
    assert time.process_time() - start < 2.0


@pytest.mark.parametrize(
    ("reply", "good"),
    [
        ("GOOD: yes\nGOOD: no", None),
        ("GOOD: yes\nor\nGOOD: no", None),
        ("GOOD: yes/no", None),
        ('The answer says "GOOD: yes" itself, which no snippet supports.\nGOOD: no', False),
        ("It contains `GOOD: yes`. GOOD: no", False),
        ('The answer says "GOOD: yes" itself, but the snippets do not support it.', None),
        ('"GOOD: yes"', True),
        ("Verdict: `GOOD: yes`", True),
        ('My rating is "GOOD: no".', False),
        ('{"good": "yes, it is fine"}', True),
        ("My answer: **`GOOD: no`**", False),
        ('> "GOOD: yes".', True),
        ("`GOOD: no`", False),
        ("GOOD: yes or no", None),
        ("It is fine. GOOD: yes", True),
        ("**GOOD:** no", False),
    ],
)
def test_two_verdicts_are_none(reply: str, good: bool | None) -> None:
    assert read_good(reply) is good
