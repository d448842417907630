"""The length of the common prefix of two sequences: of tokens, cache slots, or lines of text.

    >>> common_prefix_length([1, 2, 3, 8], [1, 2, 4])
    2

Not here: its uses: one forward pass for rows with a common prefix (training.rows.prefix_tree), one read of the cache
for the samples of a prompt (llm.local_engine.cpu_attention), and states without what they repeat (reporting.packing).
"""

from collections.abc import Sequence


def common_prefix_length(one: Sequence[object], other: Sequence[object]) -> int:
    """The number of equal items at the beginning of both sequences."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
