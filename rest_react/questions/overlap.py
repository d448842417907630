"""Questions that two sets share: whoever grows on a benchmark's questions measures nothing.

    overlap(grown, benchmark)      # [(Question("g7", "Who wrote the novel Emma?"), Question("b2", "Who wrote Emma?"))]

Not here: what is done about them (`grow`).
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from rest_react.records import Question

_NEAR = 0.5


def overlap(grow: Sequence[Question], benchmark: Sequence[Question]) -> list[tuple[Question, Question]]:
    """Pairs of questions of both sets that are the same, whatever their case, accents, punctuation and spacing, or
    nearly so: half of all their trigrams of words are shared, or one word and an article put in make one the other; and
    each holds the other's names and numbers."""
    held = [_Words(question.text) for question in benchmark]
    where: dict[tuple[str, ...], list[int]] = {}
    for number, other in enumerate(held):
        for trigram in other.trigrams:
            where.setdefault(trigram, []).append(number)
    pairs = []
    for question in grow:
        own = _Words(question.text)
        shared = Counter(number for trigram in own.trigrams for number in where.get(trigram, ()))
        for number, count in sorted(shared.items()):
            other = held[number]
            near = count / (own.size + other.size - count) >= _NEAR
            # What is put in at one place breaks two trigrams of the shorter text.
            near = near or (count + 2 >= min(own.size, other.size) and abs(own.length - other.length) <= 1)
            if near and own.names <= other.words and other.names <= own.words:
                pairs.append((question, benchmark[number]))
    return pairs


class _Words:
    """A question's words, case and accents aside. `names` have a capital or a digit, the first word aside: questions
    from one template differ in nothing else. In `trigrams` the ends are padded, so that each word is in three."""

    def __init__(self, text: str) -> None:
        bare = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
        written = re.findall(r"\w+", bare)
        words = [word.casefold() for word in written]
        padded = ["", "", *words, "", ""]
        self.words = set(words)
        self.names = {w.casefold() for w in written[1:] if w != w.lower() or any(map(str.isdigit, w))}
        self.trigrams = {tuple(padded[i : i + 3]) for i in range(len(padded) - 2)}
        self.size = len(self.trigrams)
        self.length = sum(word not in ("a", "an", "the") for word in words)
