import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.model_output.thinking import after_thinking


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("Lyon.", "Lyon."),
        ("<think>Paris? No, Lyon.</think>\nLyon.", "Lyon."),
        ("Paris? No, Lyon.</think>\nLyon.", "Lyon."),
        ("<think>a</think>b<think>c</think>d", "d"),
        ("[THINK]Paris?[/THINK] Lyon.", "Lyon."),
        ("<|channel|>analysis<|message|>Paris?<|end|><|channel|>final<|message|>Lyon.", "Lyon."),
        ('the tag "<think>" is only mentioned', 'the tag "<think>" is only mentioned'),
        ("# <think> in a comment", "# <think> in a comment"),
        ("<think>Paris? No, Ly", None),
        ("<think>a</think>b<think>c", None),
        ("", ""),
    ],
)
def test_the_text_after_the_reasoning_is_the_answer(text: str, rest: str | None) -> None:
    assert after_thinking(text) == rest


@given(st.text(), st.text(st.characters(exclude_characters="<[◁")))
def test_no_reasoning_changes_the_answer(reasoning: str, answer: str) -> None:
    assert after_thinking(f"<think>{reasoning}</think>{answer}") == answer.lstrip()


def test_a_closing_tag_in_a_string_ends_no_reasoning() -> None:
    call = 'Answer(thoughts="t", answer="The HTML </think> tag is closed by [link_id=1].")'
    assert after_thinking(call) == call
    assert after_thinking(f"It is in the link.</think>{call}") == call
    assert after_thinking(f'<think>The "best" one.</think>\n{call}') == call


def test_many_closing_tags_in_one_string_are_read_at_once() -> None:
    text = '"' + "</think>" * 100_000
    started = time.process_time()
    assert after_thinking(text) == text
    assert time.process_time() - started < 5
