"""Reconstruction: how much of the question can be read from what the trajectory selected, without its answer.

    reconstruction(found)         # 0.8: four of five content words of the question
    is_reconstructable(found)     # whether all but one in ten of them are there

A trajectory that found the right passages has the question's subject matter in them. Its queries repeat words of the
question, so their names and numbers are masked: a name counts only where a selected passage has it. Where a question
has no capitals (Japanese, Arabic, lower case), names cannot be told, and all its words are masked. The answer is left
out, because a model can write the question into it.
Source: Cycle-Consistent Search, which has a model rewrite the question from such a trajectory. This is its lexical
form: the share of the question's content words, compared by their first letters. For the form with log-probabilities,
which needs a model, see benchmarks/trajectory_scores.py.
"""

from collections.abc import Iterable, Sequence

import regex

from rest_react.search.word_tokenizer import query_words
from rest_react.selection.trajectory_signals.hit_words import words_of_hit
from rest_react.trajectories.parsed import Evidence

ENOUGH = 0.9  # of the content words
_STEM = 4  # founder, founded and founding agree in their first four letters
_NAME_OR_NUMBER = regex.compile(r"\b(?:\p{Lu}|\p{N})\w*")
_HAS_NAMES = regex.compile(r"\w\W.*\p{Lu}", regex.DOTALL)  # a capital behind the first word
_ASKING_WORDS = frozenset(
    "who whom whose which what when where why how did does do has have had many much were than from between".split()
)


def reconstruction(found: Evidence) -> float | None:
    """The share of the question's content words that the selected passages, or the queries without names and numbers,
    contain. None if the task does not search, or if the question has no content word."""
    wanted = _stems(query_words(found.question))
    if not wanted or not (found.queries or found.retrieved):
        return None
    names = _stems(query_words(" ".join(_NAME_OR_NUMBER.findall(" ".join((found.question, *found.queries))))))
    asked = found.queries if _HAS_NAMES.search(found.question) else ()
    given = _stems(word for query in asked for word in query_words(query)) - names
    for hit in found.selected:
        given |= _stems(words_of_hit(hit))
    return len(wanted & given) / len(wanted)


def mask_names(query: str, question: str) -> str:
    """The query with [MASK] for each of its names and numbers, and for each word that is a name in the question."""
    content = {*query_words(question)} - _ASKING_WORDS
    names = {name.casefold() for name in _NAME_OR_NUMBER.findall(question)} & content
    if not _HAS_NAMES.search(question):
        names = content

    def masked(word: regex.Match[str]) -> str:
        return "[MASK]" if _NAME_OR_NUMBER.match(word[0]) or word[0].casefold() in names else word[0]

    return str(regex.sub(r"\w+", masked, query))


def reconstructions(found: Sequence[Evidence]) -> list[float | None]:
    """The share for each trajectory of a question."""
    return list(map(reconstruction, found))


def is_reconstructable(found: Sequence[Evidence]) -> list[bool]:
    """Whether the share is at least `ENOUGH`."""
    return [score is not None and score >= ENOUGH for score in reconstructions(found)]


def _stems(words: Iterable[str]) -> set[str]:
    return {word[:_STEM] for word in words if word not in _ASKING_WORDS}
