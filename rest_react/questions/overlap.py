"""Finds questions that two sets share. A benchmark measures nothing if Grow used its questions.

    overlap(grown, benchmark)      # [(Question("g7", "Who wrote the novel Emma?"), Question("b2", "Who wrote Emma?"))]

Not here: what happens to them (`grow.allow_overlap`).
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from rest_react.records import Question

_NEAR = 0.5


def overlap(grow: Sequence[Question], benchmark: Sequence[Question]) -> list[tuple[Question, Question]]:
    """Pairs of equal or nearly equal questions, (from `grow`, from `benchmark`), in the order of `grow`.

    Case, accents, punctuation and spacing do not count. Questions are nearly equal if they share half of all their word
    trigrams, or if one is the other with one word and an article inserted; and if each contains all names and numbers
    of the other.
    """
    benchmark_words = [_Words(question.text) for question in benchmark]
    by_trigram: dict[tuple[str, ...], list[int]] = {}
    for number, other in enumerate(benchmark_words):
        for trigram in other.trigrams:
            by_trigram.setdefault(trigram, []).append(number)
    pairs = []
    for question in grow:
        words = _Words(question.text)
        shared = Counter(number for trigram in words.trigrams for number in by_trigram.get(trigram, ()))
        for number, count in sorted(shared.items()):
            other = benchmark_words[number]
            near = count / (words.size + other.size - count) >= _NEAR
            # An insertion at one place breaks two trigrams of the shorter text.
            near = near or (count + 2 >= min(words.size, other.size) and abs(words.length - other.length) <= 1)
            if near and words.names <= other.words and other.names <= words.words:
                pairs.append((question, benchmark[number]))
    return pairs


class _Words:
    """A question's words, without case and accents.

    `names` are the words with a capital or a digit, except the first: questions from one template differ only in them.
    `trigrams` are padded at both ends, so that each word is in three. `length` does not count articles.
    """

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
