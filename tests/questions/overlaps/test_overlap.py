import itertools
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.errors import ConfigError
from rest_react.questions import overlap, refuse_overlap, unlabelled
from rest_react.questions.overlaps.overlap import _Words
from rest_react.records import Question
from rest_react.tasks.search_qa.world import build_world
from tests.questions.sets import NOVEL, RIVER


def benchmark(*texts: str) -> list[Question]:
    return [Question(f"b{i}", text) for i, text in enumerate(texts)]


def overlapping(grow: str, other: str) -> bool:
    return bool(overlap([Question("g", grow)], benchmark(other)))


def test_overlap_ignores_case_accents_punctuation_and_spaces() -> None:
    known = benchmark("Who founded Café Zürich, the café?", "who wrote  MIDDLEMARCH", "Who wrote Middlemarch 2?")
    decomposed = Question("g2", unicodedata.normalize("NFD", "who founded CAFÉ ZÜRICH the café"))
    assert overlap([NOVEL.question, decomposed, RIVER.question], known) == [
        (NOVEL.question, known[1]), (decomposed, known[0]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "other", ["When was İstanbul founded?", "when was i\u0307stanbul FOUNDED", "When was Istanbul founded?"]
)
def test_a_capital_of_two_characters_in_lower_case_does_not_hide_an_overlap(other: str) -> None:
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
def test_overlap_finds_a_short_question_with_one_word_inserted(longer: str) -> None:
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
def test_short_questions_that_ask_something_else_do_not_overlap(one: str, other: str) -> None:
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
def test_overlap_finds_a_slightly_reworded_question(near: str) -> None:
    assert overlapping(near, "In which country was the author of The Trial born?")


@pytest.mark.parametrize(
    "other",
    [
        "In which country was the author of The Castle born?",  # the same template, another name
        "In which country was the author of The Trial 2 born?",
        "When was the author of The Trial first married, and to whom?",
        "",
    ],
)
def test_questions_about_something_else_do_not_overlap(other: str) -> None:
    assert not overlapping(other, "In which country was the author of The Trial born?")


def test_questions_of_one_world_do_not_overlap() -> None:
    world = build_world(0, passages=1000, demonstrations=10, train=100, evaluation=100)
    assert overlap(unlabelled([*world.train, *world.demonstrations]), unlabelled(world.evaluation)) == []


@given(st.lists(st.text(max_size=40) | st.text("iIİßŉǅé\u0307 ", max_size=9), max_size=5))
def test_every_question_overlaps_with_itself(texts: list[str]) -> None:
    pairs = overlap([Question(f"b{i}", text) for i, text in enumerate(texts)], benchmark(*texts))
    assert {(f"b{i}", f"b{i}") for i in range(len(texts))} <= {(ours.id, theirs.id) for ours, theirs in pairs}


_WORDS = "who wrote the a Emma Middlemarch 2 born Ada Mell of when İ".split()
_QUESTIONS = st.lists(st.lists(st.sampled_from(_WORDS), max_size=6).map(" ".join), max_size=8)
_NAMELESS = st.lists(st.lists(st.sampled_from("why is the a sky so".split()), max_size=12).map(" ".join), max_size=8)


@given(st.tuples(_QUESTIONS, _QUESTIONS) | st.tuples(_NAMELESS, _NAMELESS))
def test_the_index_misses_no_pair_that_a_comparison_of_every_two_questions_finds(
    sets: tuple[list[str], list[str]],
) -> None:
    ours, its = sets
    grown, known = [Question(f"g{i}", text) for i, text in enumerate(ours)], benchmark(*its)
    every_two = [(a, b) for a in grown for b in known if _Words(a.text).is_near(_Words(b.text))]
    assert overlap(grown, known) == every_two


@pytest.mark.parametrize("text", ["why does {} mean {} so often", "what does {} mean"])
def test_questions_without_names_from_one_template_are_hardly_compared(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[object] = []
    monkeypatch.setattr(_Words, "is_near", lambda self, other: bool(compared.append(other)))
    letters = ["".join(three) for three in itertools.product("abcdefgh", repeat=3)]
    sides = (
        [Question(f"{side}{i}", text.format(one + side, side + one)) for i, one in enumerate(letters)] for side in "gb"
    )
    assert overlap(*sides) == []
    assert len(compared) < len(letters)


def test_without_nearness_texts_of_one_instruction_are_shared_only_if_they_are_equal() -> None:
    asked = "Is the mood of this text good or bad?\n\n{}"
    grown = [Question("g1", asked.format("i love it")), Question("g2", asked.format("The  food was cold!"))]
    known = benchmark(asked.format("i hate it"), asked.format("the food was cold"))
    assert overlap(grown, known, near=False) == [(grown[1], known[1])]
    assert len(overlap(grown, known)) > 1


def test_questions_of_a_benchmark_are_refused_in_grow_unless_allowed_by_name() -> None:
    sets = {"mine": [Question("b", "Who wrote Middlemarch?")], "other": [Question("b", "Who wrote Emma?")]}
    grown_on = [Question("g1", "who wrote middlemarch"), Question("g2", "Is the Nile longer, or the Rhine?")]
    with pytest.raises(ConfigError) as told:
        refuse_overlap(grown_on, sets, ["other"])
    (problem,) = told.value.problems
    facts = ["1 of 2", "evaluate.benchmarks.mine", "'who wrote middlemarch'", "'Who wrote Middlemarch?'"]
    assert [fact for fact in facts if fact not in problem] == []
    assert problem.startswith("grow.questions: ") and "grow.allow_overlap=[mine]" in problem
    with pytest.raises(ConfigError) as told:
        refuse_overlap(grown_on, sets, ["other"], test_only=["mine"])
    assert "allow_overlap" not in told.value.problems[0]
    (note,) = refuse_overlap(grown_on, sets, ["mine"])
    assert problem.startswith(note)
    assert refuse_overlap(grown_on[1:], sets, []) == []
