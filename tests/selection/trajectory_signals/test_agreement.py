"""Agreement between trajectories of one question, on answers whose equality a reader would not doubt."""

import pytest

from rest_react.records import Trajectory, Usage
from rest_react.selection.trajectory_signals.agreement import agreement, has_majority, in_band, same_answer
from rest_react.tasks.completion.task import Completion
from rest_react.tasks.search_qa.judging.short_answer import short_answer
from rest_react.trajectories.parsed import Evidence, ParsedTrajectory


def answers(question: str, *texts: str) -> list[Evidence]:
    return [Evidence(question, text, short_answer(question, text)) for text in texts]


TOWN = "In which town was the teacher of Ada Mell born?"
VELL = "The teacher of Ada Mell is Bob Lin [link_id=1]. The town where Bob Lin was born is Vell [link_id=3]."
VELL_AGAIN = "Ada Mell was taught by Bob Lin [link_id=2]. He was born in Vell [link_id=4]."
GAR = "The teacher of Ada Mell is Bob Lin [link_id=1]. The town where Bob Lin was born is Gar [link_id=3]."
EARLY_STOP = "The teacher of Ada Mell is Bob Lin [link_id=1]."


def test_answers_agree_by_what_they_answer_and_not_by_what_they_mention_on_the_way() -> None:
    vell, again, gar, stopped, empty = answers(TOWN, VELL, VELL_AGAIN, GAR, EARLY_STOP, "")
    assert same_answer(vell, again)
    assert not any(same_answer(vell, other) for other in (gar, stopped, empty))
    assert not same_answer(empty, empty)


def test_answers_with_a_name_or_an_amount_of_the_question_agree_with_themselves() -> None:
    father = "Who is the father of Ada Mell?"
    bob, carl = "The father of Ada Mell is Bob Mell [link_id=1].", "The father of Ada Mell is Carl Lin [link_id=1]."
    assert has_majority(answers(father, bob, bob, bob, carl, carl)) == [True, True, True, False, False]
    (paid,) = answers("How many million did it cost?", "It cost 150 million [link_id=1].")
    assert same_answer(paid, paid)


def test_answers_that_nothing_is_known_agree_with_none() -> None:
    unknown = "The teacher of Ada Mell is Bob Lin. Where Bob Lin was born is unknown."
    assert has_majority(answers(TOWN, unknown, unknown, VELL)) == [False, False, False]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1.2 million people live there.", "1.2 billion people live there."), ("It cost $5.", "It cost €5."),
        ("It is 5 km long.", "It is 5 miles long."), ("It is -5 degrees.", "It is 5 degrees."),
        ("It is in C++.", "It is in C#."), ("J. Smith wrote it.", "K. Smith wrote it."),
    ],
)  # fmt: skip
def test_amounts_and_names_differ_by_their_scale_sign_unit_and_initials(one: str, other: str) -> None:
    first, second = answers("What is it?", one, other)
    assert (same_answer(first, first), same_answer(first, second)) == (True, False)


def test_yes_no_and_choice_answers_agree_by_their_choice() -> None:
    yes, also, no = answers("Are Ada Mell and Bob Lin both painters?", "Yes, both are.", "They paint. Yes.", "No.")
    assert (same_answer(yes, also), same_answer(yes, no)) == (True, False)
    ada, older, bob = answers(
        "Who is older, Ada Mell or Bob Lin?", "Ada Mell is older.", "The older one is Ada Mell.", "Bob Lin is older."
    )
    assert (same_answer(ada, older), same_answer(ada, bob)) == (True, False)
    red, black = answers(
        "Which film came out first, Red Sun or Black Sea?",
        "Red Sun: the publication date is 1971 [link_id=3], that of the other is 2014 [link_id=1].",
        "Black Sea: the publication date is 2014 [link_id=1], that of the other is 1971 [link_id=3].",
    )
    assert not same_answer(red, black)


def test_the_majority_needs_two_votes_and_more_than_any_other_answer() -> None:
    assert agreement(answers(TOWN, VELL, GAR, VELL_AGAIN)) == [0.5, 0.0, 0.5]
    assert has_majority(answers(TOWN, VELL, GAR, VELL_AGAIN)) == [True, False, True]
    assert has_majority(answers(TOWN, VELL, GAR, VELL_AGAIN, GAR)) == [False] * 4
    assert has_majority(answers(TOWN, VELL, GAR)) == [False, False]
    assert (agreement(answers(TOWN, VELL)), has_majority(answers(TOWN, VELL))) == ([None], [False])
    assert (agreement([]), has_majority([])) == ([], [])


def test_the_band_leaves_out_questions_on_which_all_agree() -> None:
    assert in_band(answers(TOWN, VELL, VELL_AGAIN, VELL)) == [False] * 3
    assert in_band(answers(TOWN, VELL, VELL_AGAIN, EARLY_STOP)) == [True, True, False]


def test_answers_that_are_no_sentences_agree_if_they_are_equal() -> None:
    texts = ('["A", "A"]', '["B"]', '["A", "B"]', "] ) }", "(A)", "")
    found = [Evidence("Which letters?", text, text, exact=True) for text in texts]
    assert [[same_answer(one, other) for other in found] for one in found] == [
        [one is other and bool(one.answer) for other in found] for one in found
    ]
    assert same_answer(found[0], Evidence("Which letters?", "", '["a",  "a"]', exact=True))


def test_a_task_that_does_not_search_compares_whole_answers() -> None:
    whole = Trajectory("q.0", "q", "TEXT", "finished", None, (), '["A", "A"]', '["A", "A"]', Usage())
    found = Completion().evidence(ParsedTrajectory(whole, ()))
    assert has_majority([found, found]) == [True, True]
