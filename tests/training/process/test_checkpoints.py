"""Checkpoints that were cut short, and what a training goes on from."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from rest_react.training.process.checkpoints import last_checkpoint, seal_checkpoint
from rest_react.training.process.job import Job, prepare_resume
from rest_react.training.worker import run_job
from rest_react.training.worker.supervised import supervised_trainer
from rest_react.weights import resolve_weights
from tests.power_cut import recorded
from tests.training.test_local import EXAMPLES, SETTINGS, cache, losses, tune_here, untimed, weights_of

__all__ = ["cache"]
SAVING = replace(SETTINGS, epochs=4, save_every=3)  # ten steps, checkpoints after 3, 6, 9 and 10


def checkpoints(folder: Path, *steps: int) -> Path:
    for step in steps:
        checkpoint = folder / f"checkpoint-{step}"
        checkpoint.mkdir(parents=True)
        for name in ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth"):
            (checkpoint / name).write_bytes(f"{name} {step}".encode())
        (checkpoint / "trainer_state.json").write_text("{}")
        seal_checkpoint(checkpoint)
    return folder


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def changed(path: Path) -> None:
    path.write_bytes(b"x" * path.stat().st_size)


@pytest.mark.parametrize("damage", [cut, emptied, changed, Path.unlink], ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.pt", "rng_state.pth", "trainer_state.json"])
def test_training_resumes_from_the_checkpoint_before_a_damaged_one_with_a_note(
    tmp_path: Path, name: str, damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = checkpoints(tmp_path, 4, 8, 12)
    damage(folder / "checkpoint-12" / name)
    assert last_checkpoint(folder) == folder / "checkpoint-8"
    told = capsys.readouterr().err.replace("\n", "")
    assert f"checkpoint-12: {name} " in told and told.endswith("resumes from checkpoint-8")
    assert not (folder / "checkpoint-12").exists()


def test_without_a_whole_checkpoint_training_begins_at_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = checkpoints(tmp_path, 4, 8)
    for step in (4, 8):
        emptied(folder / f"checkpoint-{step}" / "files.json")
    assert last_checkpoint(folder) is None
    assert capsys.readouterr().err.replace("\n", "").endswith("resumes from the start")
    assert last_checkpoint(tmp_path / "missing") is None


@pytest.mark.parametrize("damaged", [("checkpoint-10",), ("checkpoint-10", "checkpoint-9")])
def test_a_training_with_damaged_checkpoints_ends_with_the_weights_of_an_undisturbed_one(
    tmp_path: Path, damaged: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    base = str(resolve_weights("tiny-random"))
    whole = tune_here(tmp_path, SAVING, "whole", base)
    with monkeypatch.context() as patch:
        patch.setattr(run_job, "publish", lambda *_: None)  # as a kill before it
        folder = tune_here(tmp_path, SAVING, "cut", base)
    assert sorted(path.name for path in (folder / "checkpoints").glob("checkpoint-*")) == [
        "checkpoint-10",
        "checkpoint-9",
    ]
    for name in damaged:
        cut(folder / "checkpoints" / name / "optimizer.pt")
    with (folder / "loss.jsonl").open("a") as file:
        file.write('{"step": 11, "lo')
    checkpoint = prepare_resume(folder)
    assert checkpoint == (str(folder / "checkpoints/checkpoint-9") if len(damaged) == 1 else None)
    run_job.run(Job(base, str(folder), 7, checkpoint, SAVING), supervised_trainer)
    assert weights_of(folder) == weights_of(whole)
    assert [untimed(line) for line in losses(folder)] == [untimed(line) for line in losses(whole)]


def test_a_damaged_line_of_the_loss_curve_is_omitted_with_a_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoints(tmp_path / "checkpoints", 4)
    lines = [json.dumps({"step": step, "loss": 1.0}) for step in range(1, 7)]
    lines[1] = "\0\0\0"
    (tmp_path / "loss.jsonl").write_text("\n".join(lines) + "\n")
    assert prepare_resume(tmp_path) == str(tmp_path / "checkpoints/checkpoint-4")
    assert [line["step"] for line in losses(tmp_path)] == [1, 3, 4]
    assert "1 of 4 steps are missing or damaged" in capsys.readouterr().err.replace("\n", "")


def test_whenever_the_power_is_cut_a_published_model_is_whole(tmp_path: Path) -> None:
    seen: set[bool] = set()

    def look() -> None:
        left = disk.after_power_cut(tmp_path / "left")
        seen.add((left / "model").is_dir())
        if (left / "model").is_dir():
            names = {path.name for path in (left / "model").iterdir() if path.stat().st_size > 0}
            assert {"model.safetensors", "tokenizer.json", "config.json", "generation_config.json"} <= names
        checkpoint = last_checkpoint(left / "checkpoints")
        assert checkpoint is None or (checkpoint / "optimizer.pt").stat().st_size > 0

    base = str(resolve_weights("tiny-random"))
    with recorded(tmp_path / "finetune") as disk:
        disk.watch = look
        lines = "".join(json.dumps(asdict(example)) + "\n" for example in EXAMPLES)
        (tmp_path / "finetune/examples.jsonl").write_text(lines)
        run_job.run(Job(base, str(tmp_path / "finetune"), 7, None, SAVING), supervised_trainer)
    assert seen == {False, True}
