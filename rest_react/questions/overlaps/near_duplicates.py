"""Finds texts that nearly repeat each other, by their runs of 8 characters. Case and spacing do not count.

    similarity(runs("Paid on 3 May at the desk."), runs("Paid on 4 May at the desk."))      # 0.41
    near_duplicates(training, validation)      # [(Question("train-3", ...), Question("validation-7", ...))]

Two complaints that differ in their dates alone are near. In questions of one line a name or a number makes another
question, so these are compared otherwise (`overlap`).
Runs that many texts share are their form, such as an instruction that stands before each of them, and do not count.
Not here: what happens to near-duplicates (build.shared_questions, stages.synthesise).
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from heapq import nsmallest
from itertools import chain
from zlib import crc32

from rest_react.records import Question

NEAR = 0.5  # texts are near if they share more of all their runs than this
_RUN = 8  # characters
_SAMPLE = 100  # texts from which their form is known
# So many runs of a text are indexed, those with the smallest hashes. Each of the smallest of two near texts together is
# in both with a chance above NEAR, so about one near pair in a million shares less than an eighth of them.
_INDEXED = 32


def runs(text: str) -> frozenset[str]:
    """The runs of a text; of a short one the whole text."""
    plain = " ".join(text.casefold().split())
    return frozenset(plain[i : i + _RUN] for i in range(max(len(plain) - _RUN + 1, 1)))


def similarity(ours: frozenset[str], theirs: frozenset[str]) -> float:
    """The share of all runs that both texts have (Jaccard)."""
    return len(ours & theirs) / len(ours | theirs)


def near_duplicates(ours: Sequence[Question], theirs: Sequence[Question]) -> list[tuple[Question, Question]]:
    """Each of `theirs` that nearly repeats one of `ours`, with the first of these: (ours, theirs), in the order of
    `theirs`. The time is linear in the number of texts, unless many share their rarest runs."""
    form = _form(ours)
    index: defaultdict[int, list[int]] = defaultdict(list)
    for number, one in enumerate(ours):
        for key in _keys(runs(one.text) - form):
            index[key].append(number)
    pairs = []
    for one in theirs:
        own = runs(one.text) - form
        keys = _keys(own)
        shared = Counter(chain.from_iterable(index.get(key, ()) for key in keys))
        likely = sorted(number for number, count in shared.items() if 8 * count >= len(keys))
        near = (ours[number] for number in likely if similarity(runs(ours[number].text) - form, own) > NEAR)
        if (found := next(near, None)) is not None:
            pairs.append((found, one))
    return pairs


def _form(texts: Sequence[Question]) -> set[str]:
    """The runs of more than a tenth of the texts, and of more than two."""
    sample = texts[:_SAMPLE]
    counts = Counter(chain.from_iterable(runs(one.text) for one in sample))
    return {run for run, count in counts.items() if count > max(2, len(sample) / 10)}


def _keys(own: frozenset[str]) -> list[int]:
    return nsmallest(_INDEXED, {crc32(run.encode("utf-8", "surrogatepass")) for run in own})
