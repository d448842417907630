"""The steps of a training's process. What the process does: training/test_local."""

import asyncio
import json
from pathlib import Path

import pytest

from rest_react.training.process.launch import train_in_process
from tests.training.process.test_job import BASE, ROWS, begun
from tests.training.test_local import SETTINGS

WORKER = """
import json, pathlib, sys
folder = pathlib.Path(json.loads(open(sys.argv[1]).read())["folder"])
with (folder / "loss.jsonl").open("a") as losses:
    for step in (5, 6):
        losses.write(json.dumps({"step": step, "loss": 0.5}) + "\\n")
(folder / "model").mkdir()
"""


def test_the_steps_of_a_resumed_training_begin_behind_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else they count as steps of a moment, and the remaining time is told far too short."""
    folder, steps = tmp_path / "finetune", list[int]()
    (tmp_path / "stub_worker.py").write_text(WORKER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    begun(folder)
    lines = [{"step": step, "loss": 1.0} for step in range(1, 6)]  # the fifth is behind the checkpoint
    (folder / "loss.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    model = asyncio.run(
        train_in_process(
            "stub_worker", {"examples.jsonl": ROWS}, BASE, folder, 7,
            training=SETTINGS, run_folder=tmp_path, on_step=lambda step, total, loss: steps.append(step),
        )
    )  # fmt: skip
    assert (model.name, steps) == ("finetune/model", [5, 6])
