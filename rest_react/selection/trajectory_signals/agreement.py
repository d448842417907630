"""Agreement: how many other trajectories of the question have the same answer (self-consistency).

    agreement([vell, vell, gar])          # [0.5, 0.5, 0.0]: the share of the others with the same answer
    has_majority([vell, vell, gar])       # [True, True, False]
    in_band([vell, vell, vell])           # [False, False, False]: all agree, so the question teaches little

Source: self-consistency (Wang et al. 2023); as a filter of training data without labels, e.g. Huang et al. 2023. The
band leaves out questions on which all agree, because they are too easy or wrong in the same way.
Answers with one short form, but for case and spaces, are the same. Other answers in sentences are compared by the rules
that grade them (judges.answer_matching): each must be correct if the short form of the other were the gold answer.
Other labels, lists in JSON and results of code (`Evidence.exact`) differ: the rules would find ["B"] in ["A", "B"].
"""

from collections.abc import Sequence

from rest_react.judges.grader import rule_verdict
from rest_react.records import LabelledQuestion, Question
from rest_react.trajectories.parsed import Evidence


def same_answer(one: Evidence, other: Evidence) -> bool:
    """Whether two trajectories of one question have the same answer. An empty answer equals none."""
    if _plain(one) == _plain(other) or (one.exact and other.exact):
        return bool(_plain(one)) and _plain(one) == _plain(other)
    return asserts(one.question, one.answer, other.short_answer) and asserts(
        other.question, other.answer, one.short_answer
    )


def _plain(found: Evidence) -> str:
    return " ".join(found.short_answer.casefold().split())


def asserts(question: str, answer: str, other: str) -> bool:
    """Whether an answer would be correct if the short answer `other` were the gold answer."""
    return rule_verdict(LabelledQuestion(Question("", question), (other,)), answer).verdict == "correct"


def votes(found: Sequence[Evidence]) -> list[list[bool]]:
    """Row i says which trajectories have the answer of trajectory i; each has its own."""
    same = [[i == j for j in range(len(found))] for i in range(len(found))]
    for i, one in enumerate(found):
        for j in range(i):
            same[i][j] = same[j][i] = same_answer(one, found[j])
    return same


def agreement(found: Sequence[Evidence]) -> list[float | None]:
    """The share of the other trajectories of the question with the same answer; None for the only one."""
    others = len(found) - 1
    return [(sum(row) - 1) / others if others else None for row in votes(found)]


def has_majority(found: Sequence[Evidence]) -> list[bool]:
    """Whether the answer has more votes than every other answer, and at least two."""
    same = votes(found)
    counts = [sum(row) for row in same]
    return [
        count > 1 and all(agrees or count > other for agrees, other in zip(row, counts, strict=True))
        for row, count in zip(same, counts, strict=True)
    ]


def in_band(found: Sequence[Evidence]) -> list[bool]:
    """Whether the answer has the majority and not all trajectories agree."""
    unanimous = all(map(all, votes(found)))
    return [majority and not unanimous for majority in has_majority(found)]
