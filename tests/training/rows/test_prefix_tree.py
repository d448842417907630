"""Rows that begin alike as one tree."""

from hypothesis import given
from hypothesis import strategies as st

from rest_react.training.rows.prefix_tree import Tree, merge_rows


def test_a_common_prefix_is_in_the_tree_once() -> None:
    state, longer = (1, 2, 3), (1, 2, 4, 5)
    rows = [((*state, 8, 9), (-100,) * 3 + (8, 9)), ((*longer, 7), (-100,) * 4 + (7,))]
    assert merge_rows(rows) == Tree(
        input_ids=[1, 2, 3, 8, 9, 4, 5, 7],
        positions=[0, 1, 2, 3, 4, 2, 3, 4],
        spans=[(0, 5, []), (5, 8, [0, 1])],
        targets=[(2, 8), (3, 9), (6, 7)],
    )


TOKENS = st.lists(st.integers(0, 2), min_size=1, max_size=8)


@given(st.lists(st.tuples(TOKENS, st.lists(st.booleans(), min_size=8, max_size=8)), min_size=1, max_size=6))
def test_every_target_sees_its_own_row_and_nothing_else(given_rows: list[tuple[list[int], list[bool]]]) -> None:
    rows = [
        (ids, [token if counts else -100 for token, counts in zip(ids, flags, strict=False)])
        for ids, flags in given_rows
    ]
    tree = merge_rows(rows)
    before = {
        start + i: [*above, *range(start, start + i + 1)]
        for start, end, above in tree.spans
        for i in range(end - start)
    }
    expected = [(ids[:i], labels[i]) for ids, labels in rows for i in range(1, len(ids)) if labels[i] != -100]
    assert [([tree.input_ids[j] for j in before[at]], token) for at, token in tree.targets] == expected
    assert all(tree.positions[at] == len(path) - 1 for at, path in before.items())
    assert len(tree.input_ids) <= sum(len(ids) for ids, _ in rows)
