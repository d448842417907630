"""Texts that nearly repeat each other."""

import time
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from rest_react.questions import overlap
from rest_react.questions.overlaps.near_duplicates import NEAR, near_duplicates, runs, similarity
from rest_react.records import Question

LETTER = (
    "On {day} I paid the whole balance of my card in the branch at Velmar. The bank has charged me a late fee all the "
    "same, and nobody at the desk could tell me why. I want the fee back."
)
OTHER = "The loan was sold to a company that I do not know, which asks for a payment that I have made already."
IN_MAY, IN_JUNE = LETTER.format(day="3 May 2021"), LETTER.format(day="17 June 2022")


def texts(prefix: str, *told: str) -> list[Question]:
    return [Question(f"{prefix}{i}", text) for i, text in enumerate(told)]


def letters(prefix: str, n: int, seed: int, words: int = 60) -> list[Question]:
    rng = Random(seed)
    known = ["".join(rng.choices("aeioulmnrst", k=rng.randint(3, 9))) for _ in range(800)]
    return texts(prefix, *(" ".join(rng.choices(known, k=words)) for _ in range(n)))


def test_two_complaints_that_differ_in_their_dates_alone_are_near_though_names_and_numbers_differ() -> None:
    trained, asked = texts("t", OTHER, IN_MAY), texts("v", OTHER.upper(), IN_JUNE, "My card was refused.")
    assert near_duplicates(trained, asked) == [(trained[0], asked[0]), (trained[1], asked[1])]
    assert overlap([trained[1]], [asked[1]]) == []


def test_an_instruction_that_stands_before_every_text_makes_none_of_them_near() -> None:
    instruction = f"{LETTER} Which class has the text below? "
    trained = [Question(q.id, instruction + q.text) for q in letters("t", 30, 1, words=8)]
    asked = [Question(q.id, instruction + q.text) for q in letters("v", 30, 2, words=8)]
    assert similarity(runs(trained[0].text), runs(asked[0].text)) > NEAR
    assert near_duplicates(trained, asked) == []
    assert near_duplicates(trained, [trained[4]]) == [(trained[4], trained[4])]


@given(st.lists(st.text("ab ", max_size=40) | st.text(max_size=30), max_size=6), st.text("ab ", max_size=40))
def test_the_index_finds_the_first_text_that_a_comparison_with_each_finds(told: list[str], asked: str) -> None:
    trained, question = texts("t", *dict.fromkeys(told)), Question("v", asked)
    often = {run for run in runs(asked) if sum(run in runs(other.text) for other in trained) > 2}
    if not often:  # else they are the form of these texts
        near = [other for other in trained if similarity(runs(other.text), runs(asked)) > NEAR]
        assert near_duplicates(trained, [question]) == [(other, question) for other in near[:1]]


def test_thousands_of_texts_are_compared_in_seconds() -> None:
    trained, asked = letters("t", 3000, 1), letters("v", 1000, 2)
    copies = [Question(f"copy-{q.id}", f"In May 2021, {q.text}") for q in trained[::30]]
    began = time.process_time()
    pairs = near_duplicates(trained, [*asked, *copies])
    assert [(ours.id, theirs.id) for ours, theirs in pairs] == [(f"t{i}", f"copy-t{i}") for i in range(0, 3000, 30)]
    assert time.process_time() - began < 15
