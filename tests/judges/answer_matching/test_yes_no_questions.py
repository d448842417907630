import pytest

from rest_react.judges.answer_matching.rule_grader import rule_verdict
from rest_react.records import LabelledQuestion, Question
from tests.judges.answer_matching.labelled import NO, SAME, YES, is_right


@pytest.mark.parametrize(
    ("question", "answer", "right"),
    [
        (YES, "Yes, the birthplace of both is Lund [link_id=1] [link_id=4].", True),
        (YES, "Ada was born in Lund, Bo as well, so yes.", True),
        (YES, "According to [link_id=1], yes.", True),
        (YES, "No.", False),
        (YES, "Yes and no.", False),
        (YES, "Yes or no?", False),
        (YES, "Neither yes nor no.", False),
        (YES, "Yes?", False),
        (YES, "Is the answer yes? Yes.", True),
        (YES, "Guess Who and Red Sun are both films. Yes.", True),
        (YES, "It would not be wrong to say yes.", True),
        (NO, "No, is not a town.", True),
        (NO, "It would be wrong to say that she was a painter. No.", True),
        (YES, "Both are word guessing games, so yes.", True),
        (YES, "Yes is not the answer.", False),
        (YES, "It would be wrong to say yes.", False),
        (YES, "I would say yes, but I am guessing.", False),
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
def test_an_answer_must_say_exactly_one_of_yes_and_no(question, answer, right):
    assert is_right(question, answer) is right


@pytest.mark.parametrize(("answer", "right"), [("True.", True), ("True, it is longer.", True), ("False.", False)])
def test_true_and_false_are_yes_and_no(answer, right):
    question = LabelledQuestion(Question("w8", "True or false: the Nile is longer than the Rhine?"), ("True",))
    assert is_right(question, answer) is right


def test_contradictory_gold_answers_are_unscored():
    question = LabelledQuestion(Question("w7", SAME), ("yes", "no"))
    assert rule_verdict(question, "Yes.").verdict == "unscored"
