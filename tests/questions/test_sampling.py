import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.errors import ConfigError
from rest_react.questions import sample, unlabelled
from rest_react.questions.sampling import in_part
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


def test_parts_of_a_set_share_no_question_and_hold_all_of_them() -> None:
    every = [LabelledQuestion(Question(f"q{i}", "Who?"), ("Ada",)) for i in range(300)]
    parts = [in_part(every, part, seed=0) for part in ((0, 0.25), (0.25, 0.6), (0.6, 1))]
    assert sorted(item.question.id for part in parts for item in part) == sorted(item.question.id for item in every)
    assert [abs(len(part) / 300 - share) < 0.08 for part, share in zip(parts, (0.25, 0.35, 0.4), strict=True)] == [
        True
    ] * 3
    assert in_part(every[::-1], (0, 0.25), seed=0) == parts[0][::-1]
    assert in_part(every, (0, 0.25), seed=1) != parts[0]
    with pytest.raises(ConfigError, match=r"part: \[0.5, 0.5\] holds none of the 300 questions"):
        in_part(every, (0.5, 0.5), seed=0)
