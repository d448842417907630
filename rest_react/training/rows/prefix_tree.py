"""Merges rows with common prefixes into one sequence that contains each prefix once: a prefix tree.

    tree = merge_rows([([1, 2, 3, 8], [-100, -100, -100, 8]), ([1, 2, 4], [-100, -100, 4])])
    tree.input_ids      # [1, 2, 3, 8, 4]

The steps of a trajectory share prefixes, so a forward pass over the tree is shorter than one over the rows, with the
same loss. Not here: attention masks and the loss (worker.completion_loss).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rest_react.weights.common_prefix import common_prefix_length
from rest_react.weights.loss_mask import IGNORED


@dataclass(frozen=True, slots=True)
class Tree:
    """Rows as one sequence. A token's position is its index in its row; it attends only to earlier tokens of the row.

    `spans` are (start, end, above): the tokens from start to end follow the tokens at the indexes `above`.
    `targets` are (index, token): `token` is the target after the token at `index`.
    """

    input_ids: list[int]
    positions: list[int]
    spans: list[tuple[int, int, list[int]]]
    targets: list[tuple[int, int]]


def merge_rows(rows: Iterable[tuple[Sequence[int], Sequence[int]]]) -> Tree:
    """The tree of rows, each given as input ids and labels. Its loss is the loss of the rows."""
    tree = Tree([], [], [], [])
    seen: list[tuple[Sequence[int], list[int]]] = []
    for input_ids, labels in rows:
        above = max((path[: common_prefix_length(input_ids, other)] for other, path in seen), key=len, default=[])
        start, end = len(tree.input_ids), len(tree.input_ids) + len(input_ids) - len(above)
        path = [*above, *range(start, end)]
        seen.append((input_ids, path))
        tree.input_ids.extend(input_ids[len(above) :])
        tree.positions.extend(range(len(above), len(input_ids)))
        tree.spans.append((start, end, above))
        tree.targets.extend((path[i - 1], label) for i, label in enumerate(labels) if i and label != IGNORED)
    return tree
