"""Scores of options from the tokens that a server lists."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.llm.option_scores import log_sum, scores_of_listed
from rest_react.records import OptionScores
from rest_react.remote.usage import Tokens

USED = Tokens(9, 1)


def test_spellings_of_an_option_count_together_and_other_tokens_do_not() -> None:
    listed = {"Yes": math.log(0.5), " yes": math.log(0.25), "no": math.log(0.125), "Yesterday": math.log(0.1)}
    assert scores_of_listed(("yes", "no"), listed, USED) == OptionScores(
        (pytest.approx(math.log(0.75)), pytest.approx(math.log(0.125))), (), 9, 1
    )


@pytest.mark.parametrize(
    ("listed", "floor"),
    [
        ({"A": 0.5, "x": 0.4}, 0.1),  # the rest of 1 is less than the smallest listed probability
        ({"A": 0.5, "x": 0.01}, 0.01),
        ({"A": 0.75, "x": 0.26}, 0.26),  # rounded to a sum above 1
    ],
)
def test_an_option_that_is_not_listed_gets_the_least_upper_bound(listed, floor) -> None:
    scores = scores_of_listed(("A", "B"), {text: math.log(p) for text, p in listed.items()}, USED)
    assert scores == OptionScores((math.log(listed["A"]), pytest.approx(math.log(floor))), (1,), 9, 1)


def test_without_any_listed_option_there_are_no_scores() -> None:
    nothing = OptionScores((), (), USED.prompt, USED.completion)
    assert scores_of_listed(("A", "B"), {"<think>": -0.01, "The": -5.0}, USED) == nothing
    assert scores_of_listed(("A", "B"), {}, USED) == nothing


@given(st.lists(st.floats(-60, 0), min_size=1, max_size=6))
def test_the_sum_of_logarithms_is_that_of_the_probabilities(values) -> None:
    assert log_sum(values) == pytest.approx(math.log(sum(map(math.exp, values))))
