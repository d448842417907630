"""Training in this process, for tests of other things: it spares the imports of another, which take seconds.

    @pytest.fixture(autouse=True)
    def training_here(monkeypatch): train_in_this_process(monkeypatch)

The weights are those of a process of its own, to the byte (test_integrity compares them).
Not here: the process (training/test_local).
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch

from rest_react.records import Example, ModelRef
from rest_react.training import local
from rest_react.training.local import LocalTraining
from rest_react.training.process.job import prepare_job, read_job
from rest_react.training.process.launch import OnStep
from rest_react.training.process.loss_curve import loss_lines
from rest_react.training.worker.run_job import run
from rest_react.training.worker.supervised import supervised_trainer


async def train_here(
    module: str,
    rows: Mapping[str, Sequence[Example]],
    base: ModelRef,
    folder: Path,
    seed: int,
    *,
    training: LocalTraining,
    run_folder: Path,
    on_step: OnStep,
) -> ModelRef:
    """What `train_in_process` does, in a thread."""
    assert module == "rest_react.training.worker.supervised"
    if not prepare_job(rows, base, folder, seed, training, run_folder):
        await asyncio.to_thread(_run, folder / "job.json")
        losses = [line for line, _ in loss_lines(folder / "loss.jsonl", 0)]
        for line in losses:
            on_step(int(line["step"]), len(losses), line["loss"])
    name = (folder / "model").resolve().relative_to(run_folder.resolve()).as_posix()
    return ModelRef(name, "local", tuned=True)


def _run(path: Path) -> None:
    job = read_job(path, LocalTraining)
    threads = torch.get_num_threads()
    torch.set_num_threads(job.training.threads or threads)
    try:
        run(job, supervised_trainer)
    finally:
        torch.set_num_threads(threads)


def train_in_this_process(patch: pytest.MonkeyPatch) -> None:
    """Every LocalTrainer trains here, until `patch` is undone. TRL refuses a process that sees several GPUs."""
    patch.setenv("CUDA_VISIBLE_DEVICES", os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0])
    patch.setattr(local, "train_in_process", train_here)
