"""Logical deduction: five things in a row, statements about their order, and a question about one place.

    "Five books stand in a row: ... The blue book stands directly to the left of the red book. ... Which is leftmost?"

Statements are added until exactly one order is possible, then those that are not needed are removed.
Not here: the checker's comparison (problem).
"""

from collections.abc import Sequence
from itertools import pairwise, permutations
from random import Random

from rest_react.tasks.tool_maker.families.problem import Family, Problem, labelled, listed, literal, option_key, options

FUNCTION = '''\
from itertools import permutations


def thing_at(things, statements, place):
    """The thing at a place (1 is the leftmost) of the only order that fits all statements. A statement is
    ["left", a, b]: a is somewhere left of b; ["next", a, b]: a is directly left of b; ["at", a, n]: a is at place n."""
    for order in permutations(things):
        at = {thing: n for n, thing in enumerate(order, start=1)}
        fits = {
            "left": lambda a, b: at[a] < at[b],
            "next": lambda a, b: at[a] + 1 == at[b],
            "at": lambda a, n: at[a] == n,
        }
        if all(fits[kind](a, b) for kind, a, b in statements):
            return order[place - 1]
    return None
'''
_COLOURS = "red blue green yellow black white grey brown purple orange".split()
_NOUNS = "book jar chair bottle box lamp".split()
_PLACES = ("leftmost", "second from the left", "third from the left", "fourth from the left", "rightmost")
_Statement = tuple[str, str, str | int]


def make(rng: Random) -> Problem:
    """A puzzle with one solution."""
    noun, things = rng.choice(_NOUNS), rng.sample(_COLOURS, 5)
    order = rng.sample(things, 5)
    pairs = [(a, b) for i, a in enumerate(order) for b in order[i + 1 :]]
    every: list[_Statement] = [("left", a, b) for a, b in pairs]
    every += [("next", a, b) for a, b in pairwise(order)]
    every += [("at", a, n) for n, a in enumerate(order, start=1)]
    rng.shuffle(every)
    needed = next(every[:n] for n in range(1, len(every) + 1) if len(solutions(things, every[:n])) == 1)
    for statement in list(needed):
        fewer = [other for other in needed if other != statement]
        if len(solutions(things, fewer)) == 1:
            needed = fewer
    place = rng.randint(1, 5)
    text = " ".join(
        [
            f"Five {noun}s stand in a row: {listed(things)}.",
            *(_sentence(noun, statement) for statement in needed),
            f"Which {noun} is the {_PLACES[place - 1]}?",
        ]
    )
    said = [[*statement] for statement in needed]
    call = f"answer = thing_at({literal(things)}, {literal(said)}, {place})"
    right = order[place - 1]
    letter, thing, both = labelled(things, right)
    answers = (letter, thing, both, f"the {right} {noun}", f"({letter}) the {right} {noun}")
    return Problem(f"{text}\n{options(things)}", answers, call)


def solutions(things: Sequence[str], statements: Sequence[_Statement]) -> list[tuple[str, ...]]:
    """All orders that fit the statements."""
    return [order for order in permutations(things) if all(_fits(order, statement) for statement in statements)]


def _fits(order: Sequence[str], statement: _Statement) -> bool:
    kind, thing, other = statement
    place = order.index(thing) + 1
    if isinstance(other, int):
        return place == other
    distance = order.index(other) + 1 - place
    return distance == 1 if kind == "next" else distance > 0


def _sentence(noun: str, statement: _Statement) -> str:
    kind, thing, other = statement
    if isinstance(other, int):
        return f"The {thing} {noun} is the {_PLACES[other - 1]}."
    where = "directly to the left" if kind == "next" else "somewhere to the left"
    return f"The {thing} {noun} stands {where} of the {other} {noun}."


FAMILY = Family("logical_deduction", make, option_key, FUNCTION)
