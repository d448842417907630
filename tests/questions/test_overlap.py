import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.questions import overlap, unlabelled
from rest_react.records import Question
from rest_react.tasks.search_qa.world import build_world
from tests.questions.sets import NOVEL, RIVER


def benchmark(*texts: str) -> list[Question]:
    return [Question(f"b{i}", text) for i, text in enumerate(texts)]


def overlapping(grow: str, other: str) -> bool:
    return bool(overlap([Question("g", grow)], benchmark(other)))


def test_overlap_finds_a_question_whatever_its_spelling() -> None:
    held = benchmark("Who founded Café Zürich, the café?", "who wrote  MIDDLEMARCH", "Who wrote Middlemarch 2?")
    decomposed = Question("g2", unicodedata.normalize("NFD", "who founded CAFÉ ZÜRICH the café"))
    assert overlap([NOVEL.question, decomposed, RIVER.question], held) == [
        (NOVEL.question, held[1]), (decomposed, held[0]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "other", ["When was İstanbul founded?", "when was i\u0307stanbul FOUNDED", "When was Istanbul founded?"]
)
def test_a_capital_that_is_two_characters_in_lower_case_hides_no_overlap(other: str) -> None:
    assert overlapping("When was İstanbul founded?", other)


@pytest.mark.parametrize(
    "longer",
    [
        "Who wrote the novel Middlemarch?",
        "Who really wrote Middlemarch?",
        "So who wrote Middlemarch?",
        "Who wrote Middlemarch first?",
    ],
)
def test_overlap_finds_a_short_question_with_one_word_put_in(longer: str) -> None:
    assert overlapping(longer, "Who wrote Middlemarch?")
    assert overlapping("Who wrote Middlemarch?", longer)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Who wrote Middlemarch?", "Who wrote Middlemarch 2?"),
        ("Who wrote Middlemarch?", "Who read Middlemarch?"),
        ("When was Ada Mell born?", "When was Ada Mell's wife born?"),
        ("When was Ada Mell born?", "When was the wife of Ada Mell born?"),
        ("When was Ada Mell born?", "Where was Ada Mell born?"),
        ("Is the Nile longer, or the Rhine?", "Is the Rhine longer, or the Nile?"),
        ("Who?", "What?"),
    ],
)
def test_overlap_passes_short_questions_that_ask_something_else(one: str, other: str) -> None:
    assert not overlapping(one, other)
    assert not overlapping(other, one)


@pytest.mark.parametrize(
    "near",
    [
        "So in which country was the author of The Trial born?",
        "In which country was the author of the novel The Trial born?",
        "In which country was the writer of The Trial born?",
    ],
)
def test_overlap_finds_a_question_that_was_reworded_a_little(near: str) -> None:
    assert overlapping(near, "In which country was the author of The Trial born?")


@pytest.mark.parametrize(
    "other",
    [
        "In which country was the author of The Castle born?",  # one template, another thing
        "In which country was the author of The Trial 2 born?",
        "When was the author of The Trial first married, and to whom?",
        "",
    ],
)
def test_overlap_passes_questions_about_something_else(other: str) -> None:
    assert not overlapping(other, "In which country was the author of The Trial born?")


def test_no_questions_of_one_world_overlap() -> None:
    world = build_world(0, passages=1000, demonstrations=10, train=100, evaluation=100)
    assert overlap(unlabelled([*world.train, *world.demonstrations]), unlabelled(world.evaluation)) == []


@given(st.lists(st.text(max_size=40) | st.text("iIİßŉǅé\u0307 ", max_size=9), max_size=5))
def test_every_question_overlaps_with_itself(texts: list[str]) -> None:
    found = overlap([Question(f"b{i}", text) for i, text in enumerate(texts)], benchmark(*texts))
    assert {(f"b{i}", f"b{i}") for i in range(len(texts))} <= {(ours.id, theirs.id) for ours, theirs in found}
