"""Snapshots of a training: after which steps, and where they are found."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from rest_react.records import ModelRef
from rest_react.training.process.snapshots import earlier_models, snapshot_steps


@given(st.integers(1, 5000), st.integers(1, 50))
def test_snapshots_lie_inside_the_training_in_equal_parts(steps: int, models: int) -> None:
    kept = snapshot_steps(steps, models)
    assert all(0 < step < steps for step in kept)
    assert list(kept) == sorted(set(kept))
    assert len(kept) == min(models, steps) - 1
    gaps = [after - before for before, after in zip((0, *kept), (*kept, steps), strict=True)]
    assert max(gaps) - min(gaps) <= 1


def test_only_published_snapshots_are_models(tmp_path: Path) -> None:
    for name in ("snapshots/5/model", "snapshots/10/model", "snapshots/15/trained", "model"):
        (tmp_path / name).mkdir(parents=True)
    assert earlier_models(tmp_path, ModelRef("iter_2/finetune/model", "local", tuned=True)) == {
        5: ModelRef("iter_2/finetune/snapshots/5/model", "local", tuned=True),
        10: ModelRef("iter_2/finetune/snapshots/10/model", "local", tuned=True),
    }
