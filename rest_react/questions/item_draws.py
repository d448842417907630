"""Draws items from a file: the first rows, a random order, or one with every label in the same share.

    draw_items(items, "stratified", seed=0)[:100]       # the first n of the order, so a larger n extends a smaller one

Not here: reading items (`item_files`), samples of question sets (`sampling`).
"""

from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest
from typing import Literal

from rest_react.records import LabelledQuestion
from rest_react.seeds import derive_seed

_MOST_LABELS = 100  # more different answers than this are texts, not labels


def draw_items(
    items: Sequence[LabelledQuestion], draw: Literal["first", "stratified", "random"], seed: int
) -> list[LabelledQuestion]:
    """All items in the order of the draw. `stratified` goes round the labels; a label without further items is passed
    over. The order depends on the ids and the seed only, that of `first` on the file."""
    if draw == "first":
        return list(items)
    shuffled = sorted(items, key=lambda item: (derive_seed("draw", seed, item.question.id), item.question.id))
    if draw == "random":
        return shuffled
    classes: dict[tuple[str, ...], list[LabelledQuestion]] = {label: [] for label in sorted({i.answers for i in items})}
    for item in shuffled:
        classes[item.answers].append(item)
    return [item for turn in zip_longest(*classes.values()) for item in turn if item is not None]


def are_labels(items: Sequence[LabelledQuestion]) -> bool:
    """Whether the answers of these items are labels: few enough different ones. False if they are texts."""
    return len({item.answers for item in items}) <= min(_MOST_LABELS, len(items) // 2)


def unbalanced(items: Sequence[LabelledQuestion]) -> str:
    """The counts of the labels if they differ by more than 1; empty if they do not, or if the answers are texts."""
    counts = Counter(item.answers[0] for item in items)
    if not are_labels(items) or max(counts.values()) - min(counts.values()) <= 1:
        return ""
    return ", ".join(f"{label}: {count}" for label, count in counts.most_common(8))
