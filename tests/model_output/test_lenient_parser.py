import ast
import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.model_output.lenient_parser import (
    DEEPEST,
    Unreadable,
    bracket_span,
    read_call,
    read_object,
    repair_call,
)


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ('Search(query="Ada")', "Search(query='Ada')"),
        ('Search(query="Ada") I hope this helps', "Search(query='Ada')"),
        ('Search(query="the "Beagle"")', "Search(query='the \"Beagle\"')"),
        ("Search(query=“Ada”)", "Search(query='Ada')"),
        ('Search(query="Ada', "Search(query='Ada')"),
        ('Search(query="Ada"', "Search(query='Ada')"),
        ('Search(query="two\nlines")', "Search(query='two\\nlines')"),
        ('Wrapper(action=Search(query="Ada"), # a remark\n)', "Wrapper(action=Search(query='Ada'))"),
    ],
)
def test_a_call_is_parsed_with_its_usual_errors_repaired(text: str, call: str) -> None:
    assert ast.unparse(read_call(text, 0)[0]) == call


@pytest.mark.parametrize("text", ["Search(query=)", "no call", "f(" * (DEEPEST + 1), "(1, 2)", ""])
def test_a_text_that_is_not_a_call_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        read_call(text, 0)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": true, "b": null, "c": [1]} and more', {"a": True, "b": None, "c": [1]}),
        ("{'a': True, 'b': None,}", {"a": True, "b": None}),
    ],
)
def test_an_object_is_parsed_as_json_or_as_a_python_dictionary(text: str, value: object) -> None:
    assert ast.literal_eval(read_object(text, 0)[0]) == value


def test_a_bracket_span_ends_after_the_closing_bracket_and_lists_the_strings() -> None:
    text = 'f("a)", (1)) rest'
    assert bracket_span(text, 0) == (12, [(2, 6)])


@given(st.text("f(x=\"'“”)[]{},# \n\\", max_size=40))
def test_no_text_raises_any_other_error(text: str) -> None:
    for parse in (read_call, read_object, repair_call, bracket_span):
        with contextlib.suppress(Unreadable):
            parse(text, 0)


@pytest.mark.parametrize("piece", ['f("', "f('a',", '"a" ', "x=“", "f(x)#"])
def test_a_long_repetitive_text_is_parsed_within_two_seconds(piece: str) -> None:
    start = time.process_time()
    with contextlib.suppress(Unreadable):
        read_call("f(" + piece * 20_000, 0)
    assert time.process_time() - start < 2.0
