"""Reconstruction of the question from what a trajectory selected."""

from dataclasses import replace

from rest_react.records import Hit
from rest_react.selection.trajectory_signals.reconstruction import is_reconstructable, mask_names, reconstruction
from rest_react.trajectories.parsed import Evidence

QUESTION = "In which town was the teacher of Ada Mell born?"  # town teacher ada mell born
ADA, BOB = Hit("p1", "Ada Mell", "Her teacher was Bob Lin."), Hit("p2", "Bob Lin", "He was born in Vell, a town.")
FOUND = Evidence(QUESTION, "Vell.", "Vell", ("teacher of Ada Mell", "Bob Lin born"), (ADA, BOB), (ADA, BOB))


def test_a_question_is_reconstructed_by_the_share_of_its_words_in_the_selected_passages() -> None:
    assert reconstruction(FOUND) == 1.0
    assert reconstruction(replace(FOUND, selected=(BOB,))) == 3 / 5
    assert is_reconstructable([FOUND, replace(FOUND, selected=(BOB,))]) == [True, False]


def test_names_count_only_where_a_passage_has_them_and_the_answer_never_counts() -> None:
    assert reconstruction(replace(FOUND, selected=())) == 2 / 5  # teacher and born, from the queries
    in_lower_case = replace(FOUND, selected=(), queries=("teacher of ada mell", "born"), answer=QUESTION)
    assert reconstruction(in_lower_case) == 2 / 5
    assert mask_names("teacher of ada Mell in 1850", QUESTION) == "teacher of [MASK] [MASK] in [MASK]"


def test_where_a_question_has_no_capitals_no_word_of_a_query_counts() -> None:
    lower = replace(FOUND, question=QUESTION.lower(), queries=(QUESTION.lower(),))
    assert reconstruction(replace(lower, selected=())) == 0.0
    assert reconstruction(lower) == 1.0
    japanese = "山田太郎が生まれた町の創設者は誰ですか"
    other = Hit("p3", "Gar", "Gar is a town.")
    assert is_reconstructable([Evidence(japanese, "ベル", "ベル", (japanese,), (other,), (other,))]) == [False]
    assert mask_names("teacher of ada mell", QUESTION.lower()) == "[MASK] of [MASK] [MASK]"


def test_without_searches_or_content_words_there_is_no_score() -> None:
    assert reconstruction(Evidence(QUESTION, "Vell.", "Vell")) is None
    assert reconstruction(replace(FOUND, question="Who is it?")) is None
    assert is_reconstructable([Evidence(QUESTION, "Vell.", "Vell")]) == [False]
