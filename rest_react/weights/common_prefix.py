"""How far two sequences of tokens, or of cache slots, begin alike.

    >>> common_prefix_length([1, 2, 3, 8], [1, 2, 4])
    2

Not here: what is made of it: one forward pass for rows that begin alike (training.prefix_tree), one read of the cache
for the samples of a prompt (llm.local_engine.cpu_attention).
"""

from collections.abc import Sequence


def common_prefix_length(one: Sequence[int], other: Sequence[int]) -> int:
    """How many items both begin with."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
