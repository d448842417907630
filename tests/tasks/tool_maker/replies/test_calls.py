import ast
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rest_react.tasks.tool_maker.items import How, how_asked
from rest_react.tasks.tool_maker.replies.calls import Code, read_answer, read_call, read_calls, read_function

FUNCTION = """\
import math

def helper(x):
    return x

def area(side, *, unit="m"):
    '''The area
    of a square.'''
    return side ** 2
"""


def test_the_last_function_of_the_fenced_blocks_is_the_tool() -> None:
    code = Code(FUNCTION, "", "area", "def area(side, *, unit='m'):\n    The area of a square.")
    assert read_function(FUNCTION) == code
    assert read_function(f"Here it is:\n```python\n{FUNCTION}```\nIt squares the side.") == code
    assert read_function(f"<think>def no(): pass</think>{FUNCTION}# [END] more") == code


def test_a_reply_without_code_is_never_a_function_or_a_call() -> None:
    for reply in ("", "  \n", "# [END]", "```python\n```", "<think>def f(): pass"):
        assert read_function(reply) == read_call(reply) == Code(problem="the reply has no code")
    assert read_function("x = 1").problem == "the reply defines no function"
    assert read_function("I would square it.").problem.startswith("not Python: ")
    assert read_call("f(3)").problem == "the code does not assign `answer`"
    assert read_call("answer = 9", "f").problem == "the code does not call f"


def test_a_number_that_python_would_not_write_out_is_refused_and_raises_nothing() -> None:
    for number in ("0x" + "f" * 5000, "-0b" + "1" * 9000):
        told = Code(problem="the code has a number of more than 1000 digits")
        assert read_call(f"answer = f({number})", "f") == read_function(f"def f(x={number}):\n    return x") == told
    assert read_call(f"answer = f({'9' * 999})", "f").problem == ""


@pytest.mark.parametrize("character", ["\u00a0", "\u200b"])
def test_a_text_that_an_f_string_cannot_spell_is_no_call_and_raises_nothing(character: str) -> None:
    joined = f"f\"{{'{character}'.join('ab')}}\""
    for read, reply in ((read_call, f"answer = f({joined})"), (read_function, f"def f(x={joined}):\n    return x")):
        code = read(reply)
        if sys.version_info < (3, 12):
            assert code.problem.startswith("the code has no canonical form: ")
        else:
            assert code.problem == "" and code.text
    assert read_function(f"def f(x):\n    return {joined}").name == "f"


def test_calls_that_differ_in_form_only_are_one_call() -> None:
    forms = ['answer = f( [1,2] , "x")', "answer=f([1, 2], 'x')  # sorts", "```\nanswer = f([1, 2], 'x')\n```"]
    assert {read_call(form, "f") for form in forms} == {Code("answer = f([1, 2], 'x')")}


def test_each_question_has_the_call_under_its_heading() -> None:
    reply = "# question 2\nanswer = f(2)\n\n# Question 1:\nanswer = f(1)\n"
    assert [part.strip() for part in read_calls(reply, 3)] == ["answer = f(1)", "answer = f(2)", ""]
    assert read_calls("answer = f(1)", 2) == ["", ""]
    chat = (
        "Here they are.\n\n### Question 1\n```python\nanswer = f(1)\n```\n\n**Question 2**\n```\nanswer = f(2)\n```\n"
    )
    assert [part.strip() for part in read_calls(chat, 2)] == ["answer = f(1)", "answer = f(2)"]


def test_the_answer_of_a_model_alone_is_behind_the_last_answer_line() -> None:
    assert read_answer("First, Answer: no.\nAnswer: a\nSo\n**Answer:** (B)\n") == "(B)"
    assert read_answer("Sorted they are\nfig, pear\n# [END] x") == "fig, pear"
    assert read_answer("The final answer is 42.") == "42."
    assert read_answer("<think>42") == read_answer("") == ""
    assert read_answer("**Answer**: 72") == "72"


def test_a_sentence_that_begins_with_the_word_answer_is_not_the_answer() -> None:
    assert read_answer("Answer: 72\nThe answer follows from 6 times 12.") == "72"
    assert read_answer("Answers vary.\nSo it is\n72") == "72"
    assert read_answer("## Answer\n72\nAnswering took long.") == "72"
    for reply in ("Answer 72", "**Answer** - 72", "Answer = 72", "## Answer\r\n72\r\nDone"):
        assert read_answer(f"I count.\n{reply}\n") == "72"
    assert read_answer("Answer: 72\nAnswer-based checks pass.") == "72"
    assert read_answer("Answer: 7\nThe answer is: 72") == read_answer('"Answer": 72') == "72"


@pytest.mark.parametrize(
    "reply", ["Answer:\n(B)", "**Answer:**\n(B)\nDone", "Answer: \n\n**(B)**", "Answer:\n```\n(B)\n```"]
)
def test_an_answer_may_stand_on_the_line_behind_its_heading(reply: str) -> None:
    assert read_answer(f"Answer: no\n{reply}") == "(B)"
    assert read_answer("It is:\nAnswer:\n") == ""


@given(st.text(max_size=80))
@settings(max_examples=60, deadline=None)
def test_no_reply_breaks_a_reader(reply: str) -> None:
    read_function(reply), read_calls(reply, 2), read_answer(reply), how_asked(reply)
    if text := read_call(reply).text:
        assert ast.unparse(ast.parse(text)) == text


@pytest.mark.parametrize("value", ["1" + "+1" * 900, "-" * 900 + "1", "a" + ".b" * 900, "[" * 150 + "]" * 150])
def test_code_that_is_nested_too_deep_to_be_written_again_is_refused(value: str) -> None:
    assert "nested" in read_call(f"answer = f({value})", "f").problem
    assert "nested" in read_function(f"def f(x={value}):\n    return x").problem
    assert read_call("answer = f(1" + "+1" * 80 + ")", "f").problem == ""


@pytest.mark.parametrize("line", ["```\n", "```a\n", "\n", "* \n"])
def test_a_reply_that_repeats_one_line_is_read_at_once(line: str) -> None:
    started = time.process_time()
    for read in (read_function, read_answer, lambda reply: read_calls(reply, 3)):
        read(line * 15_000)
    assert time.process_time() - started < 5  # patterns that start again in every line take minutes


def test_the_id_of_a_built_in_question_says_how_it_is_asked() -> None:
    assert how_asked("maker_alone:word_sorting-eval-003") == How("maker_alone", "word_sorting")
    assert how_asked("making:word_sorting") == How("making", "word_sorting")
    assert how_asked("word_sorting-train-003") == How("user_with_tool", "word_sorting")
    assert how_asked("someone's own: id-1") == how_asked("my_sorting-1-1") == How("user_with_tool", "")
