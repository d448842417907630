"""Whether a selected passage contains the answer."""

from dataclasses import replace

from rest_react.records import Hit
from rest_react.selection.trajectory_signals.reconstruction import reconstruction
from rest_react.selection.trajectory_signals.support import is_supported, support
from rest_react.trajectories.parsed import Evidence

BOB, VELL = Hit("p2", "Bob Lin", "He was born in New Vell."), Hit("p3", "Vell", "It has 7 mills.")
FOUND = Evidence("Where was Bob Lin born?", "In New Vell.", "New Vell", ("Bob Lin born",), (BOB, VELL), (BOB, VELL))


def test_all_words_of_the_answer_must_be_in_one_selected_passage() -> None:
    assert support(FOUND) == 1.0
    assert support(replace(FOUND, short_answer="New Gar")) == 0.5
    assert support(replace(FOUND, selected=())) == 0.0
    assert support(replace(FOUND, short_answer="New mills")) == 0.5
    assert is_supported([FOUND, replace(FOUND, selected=(VELL,))]) == [True, False]


def test_numbers_of_one_digit_are_found_in_a_passage() -> None:
    died = Hit("p4", "Gus Orn", "Gus Orn died on 5 May 1890.")
    for said in ("7", "5 May 1890"):
        assert support(replace(FOUND, short_answer=said, selected=(VELL, died))) == 1.0
    assert support(replace(FOUND, short_answer="8 May 1890", selected=(VELL, died))) == 2 / 3
    asked = replace(
        FOUND, question="Which town has 7 mills?", selected=(replace(VELL, snippet="A town with 7 mills."),)
    )
    assert reconstruction(asked) == 1.0


def test_yes_no_and_choices_of_the_question_cannot_be_checked_and_stay() -> None:
    choices = [
        replace(FOUND, question=question, short_answer="Bob Lin")
        for question in (
            "Who is older, Bob Lin or Cy Ray?",
            "Which of Bob Lin and Cy Ray is older?",
            "Who was born first out of Bob Lin and Cy Ray?",
            "Of Bob Lin and Cy Ray, who is older?",
            "Bob LinとCy Rayではどちらが年上ですか",
        )
    ]
    unchecked = [replace(FOUND, short_answer=said) for said in ("yes", "no")] + choices + [Evidence("Q?", "a", "a")]
    assert list(map(support, unchecked)) == [None] * 8
    assert is_supported(unchecked) == [True] * 8


def test_an_answer_that_repeats_words_of_an_open_question_is_not_supported() -> None:
    teacher = Hit("p5", "Ysolt Winley", "The teacher of Ysolt Winley is Bob Lin.")
    asked = replace(
        FOUND, question="Who is the teacher of Ysolt Winley?", short_answer="Ysolt Winley", selected=(teacher,)
    )
    assert (support(asked), is_supported([asked])) == (0.0, [False])
