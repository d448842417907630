"""A generated question with all its right answers, and the family that it belongs to.

    Problem("Sort these words: pear, fig", ("fig, pear",), 'answer = sort_words(["pear", "fig"])')

Not here: the generators (one module each).
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

_WORD = re.compile(r"[^\W_]+")
_WHOLE_FLOAT = re.compile(r"^(-?\d+)\.0+$")


@dataclass(frozen=True, slots=True)
class Problem:
    """`answers` are all right answers; `call` is the code that calls the family's right tool for this question."""

    text: str
    answers: tuple[str, ...]
    call: str


@dataclass(frozen=True, slots=True)
class Family:
    """One class of questions. `make` draws a problem, `key` is the form in which answers are compared, `function` is
    the source of a right tool."""

    name: str
    make: Callable[[Random], Problem]
    key: Callable[[str], str]
    function: str

    def is_right(self, answer: str, answers: Sequence[str]) -> bool:
        """Whether an answer is one of the right ones."""
        return bool(answer.strip()) and self.key(answer) in map(self.key, answers)


def plain_key(text: str) -> str:
    """An answer without case, and without what stands around it: `(B)`, `"b".` and `b` are the same, so are `16.0` and
    `16`."""
    return whole_float(" ".join(text.casefold().strip(" \t\n.,:;'\"()[]").split()))


def whole_float(text: str) -> str:
    """The text of a whole float as that of a whole number; other texts as they are."""
    return _WHOLE_FLOAT.sub(r"\1", text)


def option_key(text: str) -> str:
    """An answer to lettered options as its words, without `the`: `(B) red`, `**B**: the red` are the same."""
    return " ".join(word for word in _WORD.findall(text.casefold()) if word != "the")


def literal(value: str | int | Sequence[object] | dict[str, str]) -> str:
    """A text, number, list or dictionary as a Python literal with double quotes."""
    return json.dumps(value, ensure_ascii=False)


def options(things: Sequence[str]) -> str:
    """Lettered options, one a line."""
    return "\n".join(f"({letter}) {thing}" for letter, thing in zip("ABCDE", things, strict=True))


def labelled(things: Sequence[str], right: str) -> tuple[str, str, str]:
    """The forms of an answer that is one of lettered options: letter, thing, and both."""
    letter = "ABCDE"[things.index(right)]
    return letter, right, f"({letter}) {right}"


def listed(things: Sequence[str]) -> str:
    """The things as an English list."""
    return f"{', '.join(things[:-1])} and {things[-1]}"
