import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.errors import ConfigError
from rest_react.questions import sample, unlabelled
from rest_react.records import LabelledQuestion, Question
from tests.questions.sets import NOVEL, RIVER, SET


def numbered(n: int) -> list[LabelledQuestion]:
    return [LabelledQuestion(question=Question(id=f"q{i}", text=f"Who is {i}?"), answers=(str(i),)) for i in range(n)]


@given(order=st.permutations(numbered(12)), n=st.integers(0, 12), seed=st.integers(0, 5))
def test_a_sample_depends_only_on_ids_and_seed(order: list[LabelledQuestion], n: int, seed: int) -> None:
    drawn = sample(order, n, seed)
    assert drawn == sample(numbered(12), n, seed)
    assert len({item.question.id for item in drawn}) == n


def test_another_seed_draws_another_sample_and_a_larger_one_extends_it() -> None:
    questions = numbered(100)
    assert sample(questions, 10, 0) != sample(questions, 10, 1)
    assert sample(questions, 20, 0)[:10] == sample(questions, 10, 0)


def test_a_sample_larger_than_the_set_is_refused() -> None:
    with pytest.raises(ConfigError, match="5 is more than the 3 questions"):
        sample(numbered(3), 5, 0)


def test_unlabelled_questions_have_only_id_and_text() -> None:
    assert unlabelled(SET) == [NOVEL.question, RIVER.question]
