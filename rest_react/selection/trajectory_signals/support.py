"""Support: whether a selected passage contains the answer, word for word.

    support(found)           # 1.0: all words of the short answer are in one selected passage
    is_supported(found)      # True; yes, no and choices that the question offers cannot be checked and stay

A small model often answers from its weights, or with a name that no passage has. This is the lexical form of evidence
removal, which asks a model how much less likely the answer is without its passages (benchmarks/trajectory_scores.py).
Source: answer-support filters of synthetic question answering, e.g. roundtrip consistency (Alberti et al. 2019).
"""

import re
from collections.abc import Sequence

from rest_react.search.word_tokenizer import query_words
from rest_react.selection.trajectory_signals.hit_words import words_of_hit
from rest_react.trajectories.parsed import Evidence

_OPEN = re.compile(r"\b(?:who|whom|whose|what|when|where|how)\b", re.IGNORECASE)
_OFFERS_CHOICE = re.compile(r"\b(?:or|between|which|out of)\b|\bof\b.+\band\b", re.IGNORECASE)


def support(found: Evidence) -> float | None:
    """The share of the words of the short answer that one selected passage contains, at most. None if the task does not
    search, or if the answer has no words of its own: it is yes, no, or a choice that the question may offer. An answer
    to an open question that only repeats its words seldom answers it."""
    if not found.short_answer:
        return 0.0
    words = {*query_words(found.short_answer)}
    if words <= {"yes", "no"} or not (found.queries or found.retrieved):
        return None
    if words <= {*query_words(found.question)}:
        return 0.0 if _OPEN.search(found.question) and not _OFFERS_CHOICE.search(found.question) else None
    shares = (len(words & words_of_hit(hit)) / len(words) for hit in found.selected)
    return max(shares, default=0.0)


def supports(found: Sequence[Evidence]) -> list[float | None]:
    """The share for each trajectory of a question."""
    return list(map(support, found))


def is_supported(found: Sequence[Evidence]) -> list[bool]:
    """Whether the answer is there as a whole, or cannot be checked."""
    return [score is None or score == 1.0 for score in supports(found)]
