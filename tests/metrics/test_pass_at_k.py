"""pass@k against all choices of k answers, counted one by one."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.metrics.pass_at_k import pass_at_k, reported_sizes


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=7), st.integers(1, 7))
def test_the_estimate_is_the_share_of_all_choices_with_a_correct_answer(values: list[float], k: int) -> None:
    choices = [any(chosen) for chosen in combinations(values, k)]
    (found,) = pass_at_k({"w": values}, k)["w"]
    assert found == (pytest.approx(sum(choices) / len(choices)) if choices else None)


def test_unscored_answers_do_not_count_and_a_question_with_too_few_answers_has_no_estimate() -> None:
    answers = {"a": [1.0, None, 0.0], "b": [None, 0.0, None], "c": [None]}
    assert pass_at_k(answers, 2) == {"a": [1.0], "b": [None], "c": [None]}


def test_a_report_shows_powers_of_two_and_the_number_of_repeats() -> None:
    assert [reported_sizes(repeats) for repeats in (1, 2, 3, 8, 10)] == [[], [2], [2, 3], [2, 4, 8], [2, 4, 8, 10]]
