"""The order of the training examples, and the number of optimiser steps.

    steps = count_steps(len(rows), batch_size=8, epochs=2, max_steps=None)
    for row in training_order(rows, 8, steps, seed=7): ...        # 8 × steps rows, shuffled anew in each epoch

Not here: what a row is (weights.loss_mask).
"""

import math
from collections.abc import Sequence
from itertools import chain
from random import Random
from typing import Protocol, TypeVar

from rest_react.seeds import derive_seed


class OfTrajectory(Protocol):
    """A training row with the id of its trajectory."""

    @property
    def trajectory(self) -> str: ...


Row = TypeVar("Row", bound=OfTrajectory)


def count_steps(rows: int, batch_size: int, epochs: float, max_steps: int | None) -> int:
    """Optimiser steps: `epochs` passes over the rows rounded up to full batches, or fewer by `max_steps`."""
    steps = math.ceil(rows * epochs / batch_size - 1e-9)  # 100 rows * 1.1 is a little more than 110
    return steps if max_steps is None else min(steps, max_steps)


def training_order(rows: Sequence[Row], batch_size: int, steps: int, seed: int) -> list[Row]:
    """The rows in training order: a new shuffle for each epoch, cut into `steps` full batches.

    Pairs of consecutive steps stay together, because they share a prefix that a micro-batch computes once. Keeping
    whole trajectories together would save more; whether it trains as well is open (docs/log.md).
    The order depends only on the arguments, so a resumed job, or one on more processes, gets the same batches.
    """
    trajectories: dict[str, list[Row]] = {}
    for row in rows:
        trajectories.setdefault(row.trajectory, []).append(row)
    stream: list[Row] = []
    epoch = 0
    while len(stream) < steps * batch_size:
        random = Random(derive_seed(seed, "epoch", epoch))
        pairs = [path[i : i + 2] for path in trajectories.values() for i in range(0, len(path), 2)]
        random.shuffle(pairs)
        lone = [row for pair in pairs if len(pair) == 1 for row in pair]
        pairs = [pair for pair in pairs if len(pair) == 2] + [lone[i : i + 2] for i in range(0, len(lone) - 1, 2)]
        random.shuffle(pairs)
        stream += [*chain.from_iterable(pairs), *lone[len(lone) // 2 * 2 :]]
        epoch += 1
    return stream[: steps * batch_size]
