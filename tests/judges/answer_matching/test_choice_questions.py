import pytest

from rest_react.records import LabelledQuestion, Question
from tests.judges.answer_matching.labelled import OLDER, gold, is_right

# This question does not contain the choices: only the options say which answers compete.
FIRST = LabelledQuestion(
    Question("w4", "Who was born first, the mayor of Lund or the teacher of Kay Orr?"),
    ("Ada Mell",),
    ("Ada Mell", "Bo Tarn"),
)


@pytest.mark.parametrize("question", [OLDER, FIRST, LabelledQuestion(OLDER.question, ("Ada Mell",))])
@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("Ada Mell", True),
        ("Ada Mell, not Bo Tarn.", True),
        ("The answer is Ada Mell.", True),
        ("Ada Mell is older than Bo Tarn.", True),
        ("Ada Mell (born 1950) is 10 years older than Bo Tarn (born 1960).", True),
        ("Ada Mell was born first, in 1950 [link_id=1]; the other in 1960 [link_id=2].", True),
        ("Bo Tarn is younger than Ada Mell.", True),
        ("Bo Tarn was born ten years after Ada Mell.", True),
        ("Ada Mell was born in 1950 and Bo Tarn was born in 1960, so Ada Mell is older.", True),
        ("Between Ada Mell and Bo Tarn, the older is Ada Mell.", True),
        ("While Bo Tarn was born in 1960, Ada Mell was born earlier.", True),
        ("It was Ada Mell. Bo Tarn was born in 1960.", True),
        ("Bo Tarn", False),
        ("Bo Tarn, not Ada Mell.", False),
        ("Bo Tarn is older than Ada Mell.", False),
        ("Ada Mell is younger than Bo Tarn.", False),
        ("Ada Mell is not older than Bo Tarn.", False),
        ("It is not Ada Mell.", False),
        ("Ada Mell and Bo Tarn.", False),
        ("Ada Mell or Bo Tarn.", False),
        ("Ada Mell was born in 1950 and Bo Tarn in 1960.", False),
        ("Ada Mell was born in 1950. Bo Tarn was born in 1960.", False),
        ("Ada Mell was born in 1950 and Bo Tarn was born in 1960, so Bo Tarn is older.", False),
        ("Both Ada Mell and Bo Tarn are equally old.", False),
        ("It is unclear whether Ada Mell or Bo Tarn is older.", False),
        ("Ada Mell is older. No wait, Bo Tarn is older.", False),
        ("Ada Mell (born before Bo Tarn).", True),
        ("Ada Mell? No, Bo Tarn is.", False),
        ("Ada Mell. Wait, Bo Tarn.", False),
        ("Ada Mell (actually Bo Tarn)", False),
        ("Ada Mell is older than Bo Tarn? No.", False),
        ("Ada Mell is no older than Bo Tarn.", False),
        ("Ada Mell is older than Bo Tarn. Actually, Bo Tarn was born in 1900.", True),
        ("Ada Mell is older. I mean that she was born before Bo Tarn.", True),
        ("Ada Mell is older. Actually, Bo Tarn is older.", False),
        ("Ada Mell is older by no less than 5 years.", True),
        ("Ada Mell, who wrote Who Goes There?, is older than Bo Tarn.", True),
        ("Ada Mell, host of Who Wants It? and born in 1900, is older than Bo Tarn.", True),
        ("Ada Melling is older.", False),
        ("", False),
    ],
)
def test_the_answer_must_assert_the_gold_choice_and_no_other(question, answer, right):
    assert is_right(question, answer) is right


def test_at_least_in_a_question_compares_nothing():
    ada = gold("Ada Fest", text="Which festival is held at least once a year, Ada Fest or Bo Fest?")
    answer = "Ada Fest is held more often than Bo Fest."
    assert is_right(ada, answer)
    assert not is_right(gold("Bo Fest", text=ada.question.text), answer)


@pytest.mark.parametrize("choices", ["Ada Mell or Bo Tarn", "Bo Tarn or Ada Mell"])
def test_choices_may_follow_the_comparison_without_a_comma(choices):
    question = gold("Bo Tarn", text=f"Who was born first {choices}?")
    assert is_right(question, "Bo Tarn was born first, in 1950.")
    assert not is_right(question, "Ada Mell was born first, in 1950.")


@pytest.mark.parametrize("text", ["Is the Nile or the Amazon longer?", "Which is longer, the Amazon or the Nile?"])
def test_choices_are_taken_from_the_question_if_none_are_given(text):
    answers = {
        "The Nile is longer than the Amazon.": True,
        "The Amazon is shorter than the Nile.": True,
        "The Amazon is longer than the Nile.": False,
        "The Nile and the Amazon.": False,
    }
    assert {answer: is_right(gold("The Nile", text=text), answer) for answer in answers} == answers


def test_a_title_keeps_its_question_mark_and_its_words_of_comparison():
    asked = gold("Would You Marry Mell?", text="Which film is older, The Last Rider or Would You Marry Mell??")
    assert is_right(asked, "Would You Marry Mell?")
    assert not is_right(asked, "Would You Marry Mell??")
    other = gold("Stranger in Ostrim", text="Which film is newer, The Last Rider or Stranger in Ostrim?")
    assert is_right(other, "The answer is Stranger in Ostrim [link_id=1].")
    assert not is_right(other, "The answer is The Last Rider.")


def test_an_option_that_contains_another_option_is_not_confused_with_it():
    towns = LabelledQuestion(Question("w6", "Which has more bridges?"), ("Lund",), ("Lund", "North Lund"))
    assert is_right(towns, "Lund has more bridges than North Lund.")
    assert not is_right(towns, "North Lund has more bridges.")
