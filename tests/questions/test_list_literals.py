import contextlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.questions.list_literals import read_list_literal


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ('["politician", "writer"]', ["politician", "writer"]),
        ("['Jane Austen', 'J. Austen']", ["Jane Austen", "J. Austen"]),
        ("['Jane Austen' 'J. Austen']", ["Jane Austen", "J. Austen"]),
        ("['Jane Austen'\n 'J. Austen']", ["Jane Austen", "J. Austen"]),
        ("""["Ada's" 'B "C"' 'D\\'s']""", ["Ada's", 'B "C"', "D's"]),
        ("['Paris', nan, None, True, 1998, 1.5]", ["Paris", None, None, True, 1998, 1.5]),
        ("[1998 2000]", [1998, 2000]),
        ("('Paris', 'Lyon')", ["Paris", "Lyon"]),
        ("('Paris',)", ["Paris"]),
        ("{'Paris'}", ["Paris"]),
        ("array(['Paris', 'Lyon'], dtype=object)", ["Paris", "Lyon"]),
        ("array(['Paris'], dtype='<U5')", ["Paris"]),
        ("[np.str_('Paris'), np.str_('Lyon')]", ["Paris", "Lyon"]),
        ("{'value': 'Ada', 'aliases': array(['A. Mell'], dtype=object)}", {"value": "Ada", "aliases": ["A. Mell"]}),
        ("{'text': ['Paris'], 'answer_start': array([3], dtype=int32)}", {"text": ["Paris"], "answer_start": [3]}),
        ('{"text": ["Paris"], "answer_start": [3]}', {"text": ["Paris"], "answer_start": [3]}),
        ("[{'answer': 'Paris'}, {'answer': 'Lyon'}]", [{"answer": "Paris"}, {"answer": "Lyon"}]),
        ("[]", []),
    ],
)
def test_a_list_or_object_written_as_text_is_parsed(text: str, content: object) -> None:
    assert read_list_literal(text) == content
    assert read_list_literal(f"  {text}\n") == content


@pytest.mark.parametrize(
    "text", ["Paris", "", "(or nobody)", "[sic] who?", "Ada (organist)", "array of light", "('", "{", "5 [km]", "(a) b"]
)
def test_any_other_text_stays_as_it_is(text: str) -> None:
    assert read_list_literal(text) is text


@pytest.mark.parametrize(
    "text",
    [
        "['a' 'b' ... 'z']", "[Paris, Lyon]", "[REC]", "['a', 'b]", "['a', 'b'", '["a", "b', "{'a': 'b'",
        "{'a': }", "[__import__('os')]", "[open('x')]",
        "(list (description Ada))", "['a'] ['b']", "[" * 99 + "]" * 98, "['a': 'b', 'c']", "[1.2.3]",
    ],
)  # fmt: skip
def test_a_text_that_looks_like_a_list_but_cannot_be_parsed_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        if read_list_literal(text) is text:
            raise AssertionError(text)


def test_a_member_in_brackets_is_a_text_unless_a_quotation_mark_follows_the_bracket() -> None:
    assert read_list_literal("[REC]", member=True) == "[REC]"
    assert read_list_literal("['Ada']", member=True) == ["Ada"]


NAMES = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12), min_size=1, max_size=5)


@given(NAMES)
def test_json_python_and_numpy_literals_of_a_list_give_the_same_members(names: list[str]) -> None:
    assert (
        read_list_literal(json.dumps(names))
        == read_list_literal(str(names))
        == read_list_literal(repr(tuple(names)))
        == names
    )
    assert read_list_literal(str(np.array(names, dtype=object))) == names
    assert read_list_literal(repr({"value": names[0], "aliases": names})) == {"value": names[0], "aliases": names}


@given(st.text("[](){}'\",: \\n.aN1e+-\n", max_size=20))
def test_no_text_raises_any_other_error(text: str) -> None:
    with contextlib.suppress(ValueError, SyntaxError):
        read_list_literal(text)
