"""Word sorting: words in alphabetical order.

    "Sort these words in alphabetical order: pear, fig, plum"       # fig, pear, plum

Not here: the checker's comparison (problem).
"""

import re
from random import Random

from rest_react.tasks.tool_maker.families.problem import Family, Problem, literal

FUNCTION = '''\
def sorted_words(words):
    """The words in alphabetical order."""
    return sorted(words)
'''
_HEADS = "al bar cen dor el far gil hol in jar kel lom mar nor ol pel quin ros sal tor ul ver wil yar zim".split()
_TAILS = "den ter lin ock ade ine ord usk amp ift ell ows".split()
_TEXTS = ("Sort these words in alphabetical order: {}", "Put the words in the order of a dictionary: {}")


def make(rng: Random) -> Problem:
    """Five to nine different invented words."""
    size = rng.randint(5, 9)
    words: list[str] = []
    while len(words) < size:
        word = rng.choice(_HEADS) + rng.choice(_TAILS)
        if word not in words:
            words.append(word)
    text = rng.choice(_TEXTS).format(", ".join(words))
    return Problem(text, (", ".join(sorted(words)),), f"answer = sorted_words({literal(words)})")


def _key(text: str) -> str:
    return " ".join(re.findall(r"[^\W\d_]+", text.casefold()))


FAMILY = Family("word_sorting", make, _key, FUNCTION)
