"""The five formatting metrics."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.tasks.completion.formatting import SCORES, formatting_scores, is_gold, leaf_values

LETTERS = ["A", "B", "C", "D"]


@pytest.mark.parametrize(
    ("answer", "scores"),
    [
        ('["A", "B"]', (1, 1, 1, 1, 1)),
        ('["A", "C"]', (1, 1, 1, 0, 0.5)),
        ('["A", "E"]', (1, 1, 0, 0, 0.5)),
        ('["A"]', (1, 0, None, 0, 0.5)),
        ('["A", "B", "C"]', (1, 0, None, 0, 1)),
        ('[["A"], "B"]', (1, 0, None, 0, 0.5)),
        ('{"0": "A", "1": "B"}', (0, None, None, 0, 0)),
        ("Sure: A, B", (0, None, None, 0, 0)),
        ('["A", NaN]', (0, None, None, 0, 0)),
        ("[" * 100_000, (0, None, None, 0, 0)),
    ],
)
def test_each_answer_has_five_scores(answer: str, scores: tuple[float | None, ...]) -> None:
    assert formatting_scores(answer, '["A", "B"]', LETTERS) == dict(zip(SCORES, scores, strict=True))


def test_keys_are_those_of_the_golds_objects_and_values_those_of_the_training_part() -> None:
    golds = ['[{"question": 1, "answer": "A"}]', '[{"question": 2, "answer": "B"}]']
    assert leaf_values(golds) == ["1", "2", "A", "B"]
    assert formatting_scores('[{"question": 1, "answer": "C"}]', golds[0], leaf_values(golds)) == dict(
        zip(SCORES, (1, 1, 0, 0, 0.5), strict=True)
    )
    assert formatting_scores('[{"answer": "A"}]', golds[0], [])["keys"] == 0
    with pytest.raises(ValueError, match="no list in JSON"):
        formatting_scores("[]", "plain", [])


@given(st.text() | st.recursive(st.sampled_from(LETTERS) | st.none() | st.integers(), st.lists).map(json.dumps))
def test_any_answer_has_scores_and_only_an_equal_list_is_all_right(answer: str) -> None:
    scores = formatting_scores(answer, '["A", "B"]', LETTERS)
    assert all(value is None or 0 <= value <= 1 for value in scores.values())
    same = answer.strip().startswith("[") and json.loads(answer) == ["A", "B"] if scores["json_list"] else False
    assert (scores["all_right"] == 1) == same


@pytest.mark.parametrize(
    ("answer", "gold"), [('["1"]', "[1]"), ('["true", null]', '[true, "null"]'), ("[[]]", '["[]"]'), ("[1]", "[1.0]")]
)
def test_values_of_another_type_are_not_right(answer: str, gold: str) -> None:
    assert formatting_scores(answer, gold, [])["all_right"] == 0
    assert formatting_scores(gold, gold, leaf_values([gold])) == dict.fromkeys(SCORES, 1.0)


def test_an_answer_may_be_nested_deeper_than_python_lets_functions_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the JSON parser of Python 3.12 reads it."""
    nested: list[object] = []
    for _ in range(2000):
        nested = [nested]
    monkeypatch.setattr(json, "loads", lambda *_, **__: nested)
    assert formatting_scores("deep", "deep", []) == dict.fromkeys(SCORES, 1.0)


def test_a_gold_answer_is_a_list_or_an_object() -> None:
    assert [is_gold(text) for text in ('["A"]', "{}", '"A"', "Credit card")] == [True, True, False, False]
