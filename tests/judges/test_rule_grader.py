import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.judges.rule_grader import rule_verdict
from rest_react.records import LabelledQuestion, Question

PLACE = LabelledQuestion(Question("w1", "Where was Ada Mell born?"), ("Paris",))
SAME = "Were Ada Mell and Bo Tarn born in the same town?"
YES = LabelledQuestion(Question("w2", SAME), ("Yes",), ("Yes", "No"))
NO = LabelledQuestion(Question("w2", SAME), ("no",))
OLDER = LabelledQuestion(Question("w3", "Who is older, Ada Mell or Bo Tarn?"), ("Ada Mell",), ("Ada Mell", "Bo Tarn"))
# The names do not stand in this question, so only the options say what competes.
FIRST = LabelledQuestion(
    Question("w4", "Who was born first, the mayor of Lund or the teacher of Kay Orr?"),
    ("Ada Mell",),
    ("Ada Mell", "Bo Tarn"),
)


def gold(*answers: str, text: str = "What is it?") -> LabelledQuestion:
    return LabelledQuestion(Question("w5", text), answers)


def is_right(question: LabelledQuestion, answer: str) -> bool:
    verdict = rule_verdict(question, answer)
    assert verdict.verdict != "unscored"
    assert verdict.reason
    return verdict.verdict == "correct"


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("Paris", True),
        ("According to [link_id=3], she was born in PARIS [link_id=4].", True),
        ("It is Paris, not Lyon.", True),
        ("Not Lyon but Paris.", True),
        ("She wasn't born in Lyon. She was born in Paris.", True),
        ("", False),
        ("[link_id=3]", False),
        ("She was born in Parisville.", False),
        ("It is not Paris.", False),
        ("It isn’t Paris.", False),
        ("Lyon, not Paris.", False),
        ("Lyon rather than Paris.", False),
        ("Paris is not her birthplace.", False),
        ("Many think it is Paris, but it is not Paris.", False),
        ("Paris or Lyon.", False),
        ("Either Lyon or Paris.", False),
        ("It might be Paris.", False),
        ("I do not know whether it was Paris.", False),
        ("Although it is often said to be Paris, the capital is Lyon.", False),
        ("Though some believe that it was in Paris, she was born in Lyon.", False),
        ("Despite claims that she comes from Paris [link_id=2], it is Lyon.", False),
        ("Contrary to the belief that it was Paris, it was Lyon.", False),
        ("She was born in Lyon, although many sources say Paris.", False),
        ("Although small, Paris is the capital.", True),
        ("Although it is often said to be Lyon, the capital is Paris.", True),
        ("Although often thought to be small, Paris is the capital.", True),
        ("Although Paris is small, it is the capital.", True),
        ("Although Paris is said to be dirty, it is the capital.", True),
        ("Though she grew up in Lyon, she was born in Paris.", True),
        ("Despite rumours, she was born in Paris.", True),
        ("Contrary to popular belief, it was Paris.", True),
        ("It was Paris, although some say that Paris came later.", True),
        ("She is said to be from Paris.", True),
    ],
)
def test_an_open_question_needs_the_gold_answer_affirmed(answer, right):
    assert is_right(PLACE, answer) is right


@pytest.mark.parametrize(
    ("question", "answer", "right"),
    [
        (gold("320 km/h"), "Its top speed is 200 mph (320 kph) [link_id=4].", True),
        (gold("320 km/h"), "320 kilometres per hour or 200 mph", True),
        (gold("320 km/h"), "320 mph", False),
        (gold("320 km/h"), "1,320 km/h", False),
        (gold("1204"), "It has 1,204 inhabitants.", True),
        (gold("1,204"), "1204", True),
        (gold("204"), "1,204", False),
        (gold("5"), "5.5", False),
        (gold("5 million dollars"), "It cost $5,000,000.", True),
        (gold("-5 °C"), "minus 5 degrees Celsius", True),
        (gold("12"), "The town has twelve bridges.", True),
        (gold("1", "one"), "It has one bridge.", True),
        (gold("1", "one"), "Two; the one in Lund is closed.", False),
        (gold("1973"), "He died on March 12, 1973.", True),
        (gold("1973"), "It was not until 1973 that it opened.", True),
        (gold("1973"), "1973 or 1974", False),
        (gold("1980"), "in the 1980s", False),
        (gold("12 March 1931"), "on March 12th, 1931", True),
        (gold("12 March 1931"), "1931-03-12", True),
        (gold("12 March 1931"), "in March 1931", False),
        (gold("Mumbai", "Bombay"), "Mumbai or Bombay, as it was called.", True),
        (gold("Washington, D.C."), "Washington DC", True),
        (gold("J. K. Rowling"), "JK Rowling wrote it.", True),
        (gold("José"), "Jose", True),
        (gold("The Lord of the Rings"), "Lord of the Rings", True),
        (gold("vitamin A"), "vitamin C", False),
        (gold("C++"), "C", False),
    ],
)
def test_numbers_dates_units_and_names_are_one_spelling(question, answer, right):
    assert is_right(question, answer) is right


@pytest.mark.parametrize(
    ("question", "answer", "right"),
    [
        (YES, "Yes, the birthplace of both is Lund [link_id=1] [link_id=4].", True),
        (YES, "Ada was born in Lund, Bo as well, so yes.", True),
        (YES, "According to [link_id=1], yes.", True),
        (YES, "No.", False),
        (YES, "Yes and no.", False),
        (YES, "Yes or no?", False),
        (YES, "Yes. So the answer is no.", False),
        (YES, "The answer is not yes.", False),
        (YES, "The eyes have it.", False),
        (YES, "They were born in the same town.", False),
        (NO, "No, Ada was born in Lund and Bo in Ystad.", True),
        (NO, "No they were not.", True),
        (NO, "The answer is no.", True),
        (NO, "Yes, not far from each other.", False),
        (NO, "I am not sure.", False),
        (NO, "Not sure, no link says so.", False),
        (NO, "Unclear: no.", False),
        (NO, "No information was found.", False),
        (NO, "There is no record of it.", False),
        (NO, "No. 5 is a perfume.", False),
        (NO, "", False),
    ],
)
def test_yes_and_no_must_be_said_outright_and_alone(question, answer, right):
    assert is_right(question, answer) is right


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
        ("Ada Melling is older.", False),
        ("", False),
    ],
)
def test_a_choice_must_be_put_forward_and_alone(question, answer, right):
    assert is_right(question, answer) is right


@pytest.mark.parametrize("text", ["Is the Nile or the Amazon longer?", "Which is longer, the Amazon or the Nile?"])
def test_choices_are_read_from_the_question_where_none_are_given(text):
    answers = {
        "The Nile is longer than the Amazon.": True,
        "The Amazon is shorter than the Nile.": True,
        "The Amazon is longer than the Nile.": False,
        "The Nile and the Amazon.": False,
    }
    assert {answer: is_right(gold("The Nile", text=text), answer) for answer in answers} == answers


def test_one_option_inside_another_is_told_apart():
    towns = LabelledQuestion(Question("w6", "Which has more bridges?"), ("Lund",), ("Lund", "North Lund"))
    assert is_right(towns, "Lund has more bridges than North Lund.")
    assert not is_right(towns, "North Lund has more bridges.")


def test_a_question_without_a_gold_answer_cannot_be_scored():
    assert rule_verdict(gold(), "Paris").verdict == "unscored"


@given(st.text(), st.text(min_size=1), st.lists(st.text(), max_size=2))
def test_no_answer_makes_the_rule_raise(answer, right, options):
    question = LabelledQuestion(Question("q", f"{answer} or {right}?"), (right,), tuple(options))
    assert rule_verdict(question, answer).verdict in ("correct", "incorrect", "unscored")


@given(st.sampled_from([PLACE, OLDER, gold("320 km/h"), gold("12 March 1931")]))
def test_the_gold_answer_itself_is_right(question):
    assert is_right(question, question.answers[0])


@pytest.mark.parametrize(
    "piece",
    ["Paris not ", "[link_id=1] ", "1,", "((", "a.", "twelve ", "Ada Mell or ", "12 may ", "although said paris "],
)
def test_a_huge_answer_takes_no_more_than_linear_time(piece):
    answer = piece * (300_000 // len(piece))
    for question in (PLACE, YES, OLDER):
        began = time.process_time()
        rule_verdict(question, answer)
        assert time.process_time() - began < 5
