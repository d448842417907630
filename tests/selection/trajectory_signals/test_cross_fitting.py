"""Agreement across halves of the documents."""

from rest_react.records import Hit
from rest_react.selection.trajectory_signals.cross_fitting import cross_agreement, halves, is_confirmed
from rest_react.trajectories.parsed import Evidence


def answer(said: str, *sources: str) -> Evidence:
    return Evidence("Where was Ada born?", said, said, selected=tuple(Hit(source, source, "") for source in sources))


def test_an_answer_is_confirmed_only_by_trajectories_that_used_the_other_half() -> None:
    one, other = answer("Vell", "p1"), answer("Vell", "p2")
    assert halves([one, other, answer("Vell")]) in ([0, 1, None], [1, 0, None])
    assert halves([one, other, answer("Vell", "p1", "p2")])[2] is None
    assert cross_agreement([one, answer("Gar", "p1"), other, answer("Vell", "p2"), answer("Vell")]) == [
        1.0, 0.0, 0.5, 0.5, None,
    ]  # fmt: skip
    assert is_confirmed([one, answer("Gar", "p1"), other, answer("Vell", "p2")]) == [True, False, False, False]


def test_agreement_within_one_half_confirms_nothing() -> None:
    assert cross_agreement([answer("Vell", "p1"), answer("Vell", "p1")]) == [None, None]
    assert is_confirmed([answer("Vell", "p1")] * 3) == [False] * 3
    assert cross_agreement([]) == []
