"""Dyck language: the closing brackets that complete a sequence.

    "Write the brackets that are missing at the end, so that all of them are closed in the right order: [ { }"      # ]

Not here: the checker's comparison (problem).
"""

from random import Random

from rest_react.tasks.tool_maker.families.problem import Family, Problem, literal

FUNCTION = '''\
def closing_brackets(sequence):
    """The brackets that close all open ones of a sequence, separated by spaces."""
    closes = {"(": ")", "[": "]", "{": "}", "<": ">"}
    waiting = []
    for bracket in sequence:
        if bracket in closes:
            waiting.append(closes[bracket])
        elif waiting and bracket == waiting[-1]:
            waiting.pop()
    return " ".join(reversed(waiting))
'''
_CLOSES = {"(": ")", "[": "]", "{": "}", "<": ">"}
_TEXTS = (
    "Write the brackets that are missing at the end, so that all of them are closed in the right order: {}",
    "Which brackets complete this sequence? Give only those that are missing: {}",
)


def make(rng: Random) -> Problem:
    """A sequence of 5 to 14 brackets with at least one open one."""
    sequence: list[str] = []
    waiting: list[str] = []
    length = rng.randint(5, 14)
    while len(sequence) < length or not waiting:
        if waiting and rng.random() < 0.45:
            sequence.append(waiting.pop())
        else:
            bracket = rng.choice(list(_CLOSES))
            sequence.append(bracket)
            waiting.append(_CLOSES[bracket])
    shown = " ".join(sequence)
    text = rng.choice(_TEXTS).format(shown)
    return Problem(text, (" ".join(reversed(waiting)),), f"answer = closing_brackets({literal(shown)})")


def _key(text: str) -> str:
    """The brackets alone; all of them with an x in front if there is anything else."""
    bare = "".join(text.replace(",", " ").split()).strip("'\"`")
    return bare if set(bare) <= set("()[]{}<>") else f"x{bare}"


FAMILY = Family("bracket_closing", make, _key, FUNCTION)
