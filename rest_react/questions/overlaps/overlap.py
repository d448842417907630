"""Finds questions that two sets share. A benchmark measures nothing if Grow used its questions.

    overlap(grown, benchmark)      # [(Question("g7", "Who wrote the novel Emma?"), Question("b2", "Who wrote Emma?"))]

Questions of a pair contain each other's names, so an index of names finds the few questions to compare; questions
without any name are compared if one has a rare trigram of the other. So the time is linear in the number of questions.
`refuse_overlap` checks what Grow answers against every benchmark, but for those that `grow.allow_overlap` names;
`refuse_overlap_of_demonstrations` checks a user's own demonstrations against Grow and every benchmark.
Not here: overlap of passages; where the questions are from.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

from rest_react.errors import ConfigError
from rest_react.records import Question

_NEAR = 0.5
_Trigram: TypeAlias = tuple[str, ...]


def overlap(
    grow: Sequence[Question], benchmark: Sequence[Question], *, near: bool = True
) -> list[tuple[Question, Question]]:
    """Pairs of equal or nearly equal questions, (from `grow`, from `benchmark`), in the order of `grow`.

    Case, accents, punctuation and spacing do not count. Questions are nearly equal if they share half of all their word
    trigrams, or if one is the other with one word and an article inserted; and if each contains all names and numbers
    of the other. Without `near` only equal ones count: texts with one common instruction differ little in their words.
    """
    if not near:
        equal: defaultdict[tuple[str, ...], list[Question]] = defaultdict(list)
        for question in benchmark:
            equal[_plain(question.text)].append(question)
        return [(question, other) for question in grow for other in equal.get(_plain(question.text), ())]
    index = _Index(benchmark)
    return [(question, benchmark[number]) for question in grow for number in index.near(_Words(question.text))]


def refuse_overlap(
    questions: Sequence[Question],
    benchmarks: Mapping[str, Sequence[Question]],
    allowed: Collection[str],
    test_only: Collection[str] = (),
    *,
    setting: str = "grow.questions",
    near: bool = True,
) -> list[str]:
    """Raises ConfigError if Grow has questions of a benchmark that is not `allowed`. Returns a note for each `allowed`
    one. `setting` names the questions in messages. A message does not suggest to allow a `test_only` benchmark, because
    the settings refuse that."""
    told, alike = {}, "equal or nearly equal" if near else "equal"
    for name, benchmark in benchmarks.items():
        if pairs := overlap(questions, benchmark, near=near):
            ours, theirs = pairs[0]
            told[name] = (
                f"{setting}: {len({q.id for q, _ in pairs})} of {len(questions)} questions {alike} "
                f"questions of evaluate.benchmarks.{name}, e.g. {ours.text!r:.120} and {theirs.text!r:.120}"
            )
    by_name = ", or allow it with grow.allow_overlap=[{}]"
    if refused := [
        f"{note}; use other questions there{'' if name in test_only else by_name.format(name)}"
        for name, note in told.items()
        if name not in allowed
    ]:
        raise ConfigError(refused)
    return list(told.values())


def refuse_overlap_of_demonstrations(
    shown: Sequence[Question], grown: Sequence[Question], benchmarks: Mapping[str, Sequence[Question]]
) -> None:
    """Raises ConfigError if Grow or a benchmark has a question of the demonstrations, whose answers are trained on."""
    others = {"grow.questions": grown} | {f"evaluate.benchmarks.{name}": one for name, one in benchmarks.items()}
    problems = []
    for path, questions in others.items():
        if pairs := overlap(shown, questions):
            ours, theirs = pairs[0]
            problems.append(
                f"demonstrations.questions: {len({q.id for q, _ in pairs})} of {len(shown)} questions equal or nearly "
                f"equal questions of {path}, e.g. {ours.text!r} and {theirs.text!r}; use others there. Parts of one "
                f"file: demonstrations.questions.part=[0,0.3] {path}.part=[0.3,1]"
            )
    if problems:
        raise ConfigError(problems)


def _written(text: str) -> list[str]:
    """The words without accents."""
    bare = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    return re.findall(r"\w+", bare)


def _plain(text: str) -> tuple[str, ...]:
    return tuple(word.casefold() for word in _written(text))


class _Words:
    """A question's words, without case and accents.

    `names` are the words with a capital or a digit, except the first: questions from one template differ only in them.
    `trigrams` are padded at both ends, so that each word is in three. `length` does not count articles.
    """

    def __init__(self, text: str) -> None:
        written = _written(text)
        words = [word.casefold() for word in written]
        padded = ["", "", *words, "", ""]
        self.words = set(words)
        self.names = {w.casefold() for w in written[1:] if w != w.lower() or any(map(str.isdigit, w))}
        self.trigrams = {tuple(padded[i : i + 3]) for i in range(len(padded) - 2)}
        self.size = len(self.trigrams)
        self.length = sum(word not in ("a", "an", "the") for word in words)

    def is_near(self, other: "_Words") -> bool:
        """Whether the two questions are equal or nearly equal."""
        if not (self.names <= other.words and other.names <= self.words):
            return False
        count = len(self.trigrams & other.trigrams)
        near = count / (self.size + other.size - count) >= _NEAR
        # An insertion at one place breaks two trigrams of the shorter text.
        return near or (0 < count >= min(self.size, other.size) - 2 and abs(self.length - other.length) <= 1)


class _Index:
    """The questions of a benchmark: by each word, those with names by their rarest name, the others by each trigram and
    by their rare ones."""

    def __init__(self, benchmark: Sequence[Question]) -> None:
        self._words = [_Words(question.text) for question in benchmark]
        self._by_word: defaultdict[str, list[int]] = defaultdict(list)
        self._by_name: defaultdict[str, list[int]] = defaultdict(list)
        self._by_trigram: defaultdict[_Trigram, list[int]] = defaultdict(list)
        self._by_rare_trigram: defaultdict[_Trigram, list[int]] = defaultdict(list)
        for number, words in enumerate(self._words):
            for word in words.words:
                self._by_word[word].append(number)
            for trigram in () if words.names else words.trigrams:
                self._by_trigram[trigram].append(number)
        for number, words in enumerate(self._words):
            if words.names:
                self._by_name[self._rarest(words.names)].append(number)
                continue
            for trigram in self._rare(words.trigrams):
                self._by_rare_trigram[trigram].append(number)

    def near(self, words: "_Words") -> list[int]:
        """The numbers of the questions that are equal or nearly equal to this one, in order."""
        if words.names:
            found = set(self._by_word.get(self._rarest(words.names), ()))
        else:
            found = {number for word in words.words for number in self._by_name.get(word, ())}
            found.update(n for trigram in words.trigrams for n in self._by_rare_trigram.get(trigram, ()))
            found.update(n for trigram in self._rare(words.trigrams) for n in self._by_trigram.get(trigram, ()))
        return sorted(number for number in found if words.is_near(self._words[number]))

    def _rarest(self, names: Collection[str]) -> str:
        return min(names, key=lambda name: (len(self._by_word.get(name, ())), name))

    def _rare(self, trigrams: Collection[_Trigram]) -> list[_Trigram]:
        """The rarest trigrams, one more than the smaller of two nearly equal questions has and the other lacks: at most
        two, or a third."""
        order = sorted(trigrams, key=lambda trigram: (len(self._by_trigram.get(trigram, ())), trigram))
        return order[: max(2, len(order) // 3) + 1]
