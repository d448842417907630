"""An answer is corroborated by most trajectories, by a passage, and by passages that have the question's words."""

from dataclasses import replace

from rest_react.records import Hit
from rest_react.selection.trajectory_signals.corroboration import is_corroborated
from rest_react.trajectories.parsed import Evidence

BOOK, BOB = Hit("p1", "The Tide", "A novel by Bob Lin."), Hit("p2", "Bob Lin", "Bob Lin was born in Vell, the author.")
QUESTION = "Where was the author of the novel The Tide born?"
RIGHT = Evidence(QUESTION, "In Vell.", "Vell", ("Tide author", "Bob Lin born"), (BOOK, BOB), (BOOK, BOB))
OTHER = replace(RIGHT, answer="In Gar.", short_answer="Gar")


def test_the_majoritys_answer_in_passages_that_have_the_question_is_kept() -> None:
    assert is_corroborated([RIGHT, OTHER, RIGHT]) == [True, False, True]


def test_each_of_the_three_signs_is_needed() -> None:
    assert is_corroborated([RIGHT, OTHER]) == [False, False]  # no majority
    assert is_corroborated([OTHER, OTHER]) == [False, False]  # no passage has the answer
    halfway = replace(RIGHT, answer="Bob Lin.", short_answer="Bob Lin", selected=(BOOK,))
    assert is_corroborated([replace(halfway, queries=("Tide",))] * 2) == [False, False]  # nothing about a birth
    assert is_corroborated([RIGHT]) == [False]
