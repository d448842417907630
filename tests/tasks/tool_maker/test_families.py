"""Each question is solved a second time, from its text alone, by a solver that shares no code with its generator."""

import re
from itertools import permutations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rest_react.tasks.tool_maker.families import FAMILIES
from rest_react.tasks.tool_maker.families.problem import plain_key

PLACES = ["leftmost", "second from the left", "third from the left", "fourth from the left", "rightmost"]
seeds = st.integers(0, 10**9)


def logical_deduction(text: str) -> set[str]:
    things = re.findall(r"^\([A-E]\) (\w+)$", text, re.MULTILINE)
    orders = list(permutations(things))
    for one, how, other in re.findall(r"The (\w+) \w+ stands (\w+) to the left of the (\w+)", text):
        gaps = [1] if how == "directly" else [1, 2, 3, 4]
        orders = [order for order in orders if order.index(other) - order.index(one) in gaps]
    for thing, place in re.findall(rf"The (\w+) \w+ is the ({'|'.join(PLACES)})\.", text):
        orders = [order for order in orders if order[PLACES.index(place)] == thing]
    (asked,) = re.findall(rf"is the ({'|'.join(PLACES)})\?", text)
    return {f"({'ABCDE'[things.index(order[PLACES.index(asked)])]})" for order in orders}


def shuffled_objects(text: str) -> set[str]:
    holds = dict(re.findall(r"(\w+) has the (\w+)", text))
    for one, other in re.findall(r"(\w+) and (\w+) swap", text):
        holds[one], holds[other] = holds[other], holds[one]
    (who,) = re.findall(r"does (\w+) have", text)
    return {f"The {holds[who]}."}


def bracket_closing(text: str) -> set[str]:
    sequence = "".join(re.findall(r"[(){}<>\[\]]", text))
    left = sequence
    for _ in sequence:
        left = re.sub(r"\(\)|\[\]|\{\}|<>", "", left)
    return {left[::-1].translate(str.maketrans("([{<", ")]}>"))}


def word_sorting(text: str) -> set[str]:
    words = text.partition(": ")[2].split(", ")
    return {" ".join(sorted(words))}


def remainders(text: str) -> set[str]:
    (limit,) = map(int, re.findall(r"at most (\d+)", text))
    groups = [(int(d), int(r)) for d, r in re.findall(r"groups of (\d+), (\d+)", text)]
    return {f"{n:,} nuts" for n in range(1, limit + 1) if all(n % d == r for d, r in groups)}


def meeting_schedule(text: str) -> set[str]:
    def minute(clock: str) -> int:
        return int(clock.split(":")[0]) * 60 + int(clock.split(":")[1])

    spans = [re.findall(r"(\d+:\d\d)-(\d+:\d\d)", person) for person in re.findall(r"is free at (.*?)\.", text)]
    (length,) = map(int, re.findall(r"for (\d+) minutes", text))
    free = [{m for a, b in own for m in range(minute(a), minute(b))} for own in spans]
    both = free[0] & free[1]
    for start in sorted(both):
        if all(start + i in both for i in range(length)):
            end = start + length
            return {f"{start // 60:02}:{start % 60:02} - {end // 60:02}:{end % 60:02}"}
    return {"There is no time."}


SOLVERS = {
    solver.__name__: solver
    for solver in (logical_deduction, shuffled_objects, bracket_closing, word_sorting, remainders, meeting_schedule)
}


def called(function: str, call: str) -> str:
    """What the right tool answers. Both texts are this project's own, so they run without a sandbox."""
    scope: dict[str, object] = {}
    exec(function, scope)  # noqa: S102
    exec(call, scope)  # noqa: S102
    answer = scope["answer"]
    return ", ".join(answer) if isinstance(answer, list) else str(answer)


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=8, deadline=None)
@given(seed=seeds)
def test_every_right_answer_is_accepted_and_no_other(name: str, seed: int) -> None:
    family = FAMILIES[name]
    problem = family.make(Random(seed))
    assert problem == family.make(Random(seed))
    solved = SOLVERS[name](problem.text)
    assert solved and all(family.is_right(answer, problem.answers) for answer in {*solved, *problem.answers})
    assert {family.key(answer) for answer in solved} <= set(map(family.key, problem.answers))
    assert family.is_right(called(family.function, problem.call), problem.answers)
    another = family.make(Random(seed + 1))
    if not {*map(family.key, problem.answers)} & {*map(family.key, another.answers)}:
        assert not any(family.is_right(answer, problem.answers) for answer in another.answers)


@pytest.mark.parametrize("name", FAMILIES)
@given(text=st.text(max_size=40) | st.text("0123456789", min_size=1, max_size=9).map(lambda digits: digits * 1000))
@settings(max_examples=20, deadline=None)
def test_no_text_breaks_a_checker(name: str, text: str) -> None:
    family = FAMILIES[name]
    assert family.is_right(text, [text]) == bool(text.strip())
    assert not family.is_right("", ["", "none"])


def test_a_number_problem_can_have_several_right_answers() -> None:
    problems = [FAMILIES["remainders"].make(Random(seed)) for seed in range(20)]
    assert {len(problem.answers) for problem in problems} >= {1, 2}


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("16.0", True), ("16.00", True), ("There are 16.", True), ("There are 16.0 nuts.", True),
        ("16.5", False), ("16.05", False), ("16 0", False), ("160", False), ("16.0.1", False), ("-16.0", False),
    ],
)  # fmt: skip
def test_a_whole_number_may_be_written_as_a_float(answer: str, right: bool) -> None:
    assert FAMILIES["remainders"].is_right(answer, ("16", "100")) == right
    assert (plain_key(answer) == "16") == (answer in ("16.0", "16.00"))


@pytest.mark.parametrize("answer", ["B: red", "(B) the red book", "red book", "**(B)** red", "b", "The red."])
def test_an_option_may_be_named_by_letter_thing_or_both(answer: str) -> None:
    golds = ("B", "red", "(B) red", "the red book", "(B) the red book")
    assert FAMILIES["logical_deduction"].is_right(answer, golds)
    for wrong in ("C: red", "(B) blue", "A"):
        assert not FAMILIES["logical_deduction"].is_right(wrong, golds)


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("There is no such time.", "none"),
        ("no common free slot", "none"),
        ("They cannot meet.", "none"),
        ("They can’t meet for 60 minutes", "none"),
        ("No.", "none"),
        ("It is not possible.", "none"),
        ("1:30-2:00 PM", "13:30-14:00"),
        ("11:30 AM to 12:00 PM", "11:30-12:00"),
        ("11:30-1:00 pm", "11:30-13:00"),
        ("08:00 - 9:30", "8:00-9:30"),
    ],
)
def test_a_span_may_be_written_by_either_clock(answer: str, gold: str) -> None:
    assert FAMILIES["meeting_schedule"].is_right(answer, (gold,))
    assert not FAMILIES["meeting_schedule"].is_right(answer, ("9:00-9:30",))


@pytest.mark.parametrize(
    "answer", ["No idea", "They can meet.", "9:00-9:30, otherwise they cannot meet", "at noon", "x"]
)
def test_an_answer_that_does_not_say_no_is_no_meeting(answer: str) -> None:
    assert not FAMILIES["meeting_schedule"].is_right(answer, ("none",))
