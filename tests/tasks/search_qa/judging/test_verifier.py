"""The rule-based verifier: what it reports for each kind of action."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.tasks.search_qa.actions import (
    Answer,
    CheckAnswer,
    LinkSelection,
    ResultItem,
    ReviseAnswer,
    Search,
    SelectLink,
    Terminate,
)
from rest_react.tasks.search_qa.judging.verifier import violations

WINDS = ResultItem(1, "The Winds of Vell", "Ada Mell wrote The Winds of Vell, a novel set in Gar.")
ADA = ResultItem(4, "Ada Mell", "Ada Mell was born in Tor and had Odo Lin as a teacher. The birth year is 1820.")
BORN = "When was the author of The Winds of Vell born?"
AUTHOR = "The author of The Winds of Vell is Ada Mell [link_id=1]."
YEAR = "Ada Mell was born in 1820 [link_id=4]."
PAST = (
    Search("author of The Winds of Vell", "I need the author."),
    SelectLink((WINDS,), AUTHOR, "I keep this link."),
    Search("Ada Mell born", "I need the year."),
    SelectLink((ADA,), YEAR, "I keep this link."),
)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (f"{AUTHOR} {YEAR}", []),
        (f"{AUTHOR} Ada Mell was born in 1820. [link_id=4]", []),
        (f"{AUTHOR} Ada Mell was born in 1820.  [link_id=4]", []),
        (
            f"{AUTHOR} Ada Mell was born in 1820.",
            ["no selected link is cited: Ada Mell was born in 1820.", "only one link supports this"],
        ),
        (
            f"{AUTHOR} Ada Mell was born in 1820 [link_id=2].",
            ["no selected link is cited: Ada Mell was born in 1820.", "only one link supports this"],
        ),
        (
            f"{AUTHOR} She was born in 1820 [link_id=4].",
            [
                "the title of a cited page is missing: She was born in 1820.",
                "no later claim builds on this one: The author of The Winds of Vell is Ada Mell.",
            ],
        ),
        (
            f"{AUTHOR} Ada Mell had Odo Lin as a teacher [link_id=4]. {YEAR}",
            ["no later claim builds on this one: Ada Mell had Odo Lin as a teacher."],
        ),
        (
            f"{AUTHOR} Ada Mell was born in 1830 [link_id=4].",
            ["no cited page says this: Ada Mell was born in 1830."],
        ),
        (
            f"{AUTHOR} Ada Mell was born in Tor [link_id=4].",
            ["the question asks for a number: Ada Mell was born in Tor."],
        ),
        (
            YEAR,
            [
                "only one link supports this",
                "this word is not mentioned: author",
                "this word is not mentioned: winds",
                "this word is not mentioned: vell",
            ],
        ),
        (
            f"{AUTHOR} {AUTHOR} {YEAR}",
            [
                "this was known before: The author of The Winds of Vell is Ada Mell.",
                "no later claim builds on this one: The author of The Winds of Vell is Ada Mell.",
            ],
        ),
    ],
)
def test_an_answer_or_a_check_violates_rules_without_knowing_the_gold_answer(answer, expected):
    assert violations(Answer("t", answer), BORN, PAST) == expected
    assert violations(ReviseAnswer(answer, ("no",)), BORN, PAST) == expected
    assert violations(CheckAnswer(True, ("fine",)), BORN, PAST, answer=answer) == expected
    of_failed_check = [] if expected else ["the check fails an answer that violates no rule"]
    assert violations(CheckAnswer(False, ("no",)), BORN, PAST, answer=answer) == of_failed_check


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("birth of Ada Mell", []),
        ("mother of Ada Mell", ["the query has a word from neither the question nor the results: mother"]),
        ("author of The Winds of Vell", ["the query repeats an earlier one"]),
        ("author of the", ["the query contains no known name: author of the"]),
        ("", ["the query contains no known name: "]),
    ],
)
def test_a_query_is_new_and_contains_known_words_and_a_known_name(query, expected):
    assert violations(Search(query, "t"), BORN, PAST) == expected


def test_a_query_needs_no_name_if_none_is_known_and_may_write_it_in_lower_case():
    assert violations(Search("the highest mountain", "t"), "Which mountain is the highest?", ()) == []
    assert violations(Search("birth of ada mell", "t"), BORN, PAST) == []


@pytest.mark.parametrize(
    ("question", "named", "nameless"),
    [
        ("Einstein was born in which city of Germany?", "einstein born city", "city born"),
        ("When was Google's founder born?", "Googles founder born", "founder born"),
        ("Who won the world cup in 2014?", "who won the world cup", None),  # a number is no name
        ("Где родился отец Эйнштейна?", "родился Эйнштейн", "отец родился"),
        ("What is the highest mountain?", "highest mountain", None),  # nor a word for opening the sentence
    ],
)
def test_a_name_counts_in_any_form_and_at_any_place(question, named, nameless):
    found = [
        message for query in (named, nameless or named) for message in violations(Search(query, "t"), question, ())
    ]
    assert found == ([f"the query contains no known name: {nameless}"] if nameless else [])


def test_terminate_needs_every_word_of_the_question_and_two_links():
    assert violations(Terminate("t"), BORN, PAST) == []
    assert violations(Terminate("t"), BORN, PAST[:2]) == [
        "only one link supports this",
        "this word is not mentioned: born",
    ]


def test_a_summary_cites_the_links_it_selects_and_an_empty_selection_needs_none():
    def summary(text: str, *ids: int) -> list[str]:
        return violations(LinkSelection(text, "t", ids), BORN, PAST[:3], shown=(ADA, WINDS))

    assert summary(YEAR, 4) == []
    assert summary(YEAR, 1) == ["no selected link is cited: Ada Mell was born in 1820."]
    assert summary(AUTHOR, 1) == [
        "this word is not mentioned: born",
        "this was known before: The author of The Winds of Vell is Ada Mell.",
    ]
    assert summary("The teacher of Ada Mell is Odo Lin [link_id=4].", 4) == ["this word is not mentioned: born"]
    assert summary("Nothing helps.") == []


def test_very_long_texts_are_checked_quickly():
    """Other trajectories wait meanwhile: each of these took minutes when a rule compared every pair of words."""
    length = 20_000
    held = ResultItem(1, "Vell", "Vell has mills. " * length)
    past = (Search(" ".join(f"V{i}" for i in range(length))), SelectLink((held,), "Vell has mills [link_id=1].", "t"))
    claims, cited = (f"Vell is W{i} {link}. " for i, link in ((7, ""), (8, "[link_id=1]")))
    assert violations(Answer("t", claims * length), BORN, past)
    assert violations(Answer("t", cited * length), BORN, past)
    assert violations(Search(" ".join(f"W{i}" for i in range(length))), BORN, past)
    assert violations(LinkSelection(" ".join(f"W{i}" for i in range(length)), "t", (1,)), BORN, past, (held,))


@given(st.text(), st.text(), st.text(), st.text())
def test_any_text_can_be_checked(text, question, title, snippet):
    item = ResultItem(1, title, snippet)
    past = (Search(text), SelectLink((item,), text, "t"), Terminate(text))
    for action in (Search(text), Terminate(), LinkSelection(text, "t", (1,)), Answer("t", text), CheckAnswer(True)):
        assert all(isinstance(message, str) for message in violations(action, question, past, (item,), text))


def test_a_number_too_long_for_a_link_id_cites_nothing():
    found = violations(Answer("t", f"{AUTHOR} Ada Mell was born in 1820 [link_id={'4' * 5000}, 7]."), BORN, PAST)
    assert [message.partition(":")[0] for message in found] == [
        "no selected link is cited",
        "only one link supports this",
    ]
