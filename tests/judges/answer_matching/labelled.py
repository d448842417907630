"""Questions about invented people, and the verdict of the rule grader on an answer to them."""

from rest_react.judges.answer_matching.rule_grader import rule_verdict
from rest_react.records import LabelledQuestion, Question

PLACE = LabelledQuestion(Question("w1", "Where was Ada Mell born?"), ("Paris",))
SAME = "Were Ada Mell and Bo Tarn born in the same town?"
YES = LabelledQuestion(Question("w2", SAME), ("Yes",), ("Yes", "No"))
NO = LabelledQuestion(Question("w2", SAME), ("no",))
OLDER = LabelledQuestion(Question("w3", "Who is older, Ada Mell or Bo Tarn?"), ("Ada Mell",), ("Ada Mell", "Bo Tarn"))


def gold(*answers: str, text: str = "What is it?") -> LabelledQuestion:
    return LabelledQuestion(Question("w5", text), answers)


def is_right(question: LabelledQuestion, answer: str) -> bool:
    verdict = rule_verdict(question, answer)
    assert verdict.verdict != "unscored"
    assert verdict.reason
    return verdict.verdict == "correct"
