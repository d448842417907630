"""In which order rows are trained on."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from rest_react.training.rows.order import count_steps, training_order
from rest_react.weights.loss_mask import Row


def test_steps_are_whole_batches_and_at_most_max_steps() -> None:
    assert count_steps(rows=97, batch_size=8, epochs=4, max_steps=None) == 49
    assert count_steps(rows=97, batch_size=8, epochs=0.5, max_steps=None) == 7
    assert count_steps(rows=97, batch_size=8, epochs=4, max_steps=10) == 10
    assert count_steps(rows=100, batch_size=2, epochs=1.1, max_steps=None) == 55


@given(
    trajectories=st.lists(st.integers(1, 9), min_size=1, max_size=8),
    batch_size=st.integers(1, 7),
    steps=st.integers(1, 20),
    seed=st.integers(0, 2**63 - 1),
)
def test_every_epoch_holds_every_row_once_and_steps_that_follow_each_other_together(
    trajectories: list[int], batch_size: int, steps: int, seed: int
) -> None:
    rows = [
        Row(f"{trajectory}.{step}", str(trajectory), (0,), (0,))
        for trajectory, length in enumerate(trajectories)
        for step in range(length)
    ]
    order = training_order(rows, batch_size, steps, seed)
    assert len(order) == steps * batch_size
    seen = Counter(row.id for row in order)
    assert max(seen.values()) - min(seen[row.id] for row in rows) <= 1
    for first in range(0, min(len(rows), len(order)) // 2 * 2, 2):
        one, other = order[first : first + 2]
        (trajectory, step), (other_trajectory, other_step) = (map(int, row.id.split(".")) for row in (one, other))
        if trajectory == other_trajectory:
            assert step % 2 == 0 and other_step == step + 1
        else:  # what is left over of two trajectories
            assert (step + 1, other_step + 1) == (
                trajectories[trajectory],
                trajectories[other_trajectory],
            ) and step % 2 == other_step % 2 == 0
    assert order == training_order(rows, batch_size, steps, seed)


def test_another_seed_is_another_order() -> None:
    rows = [Row(str(i), str(i), (0,), (0,)) for i in range(20)]
    assert training_order(rows, 4, 5, seed=1) != training_order(rows, 4, 5, seed=2)
