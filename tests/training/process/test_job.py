"""The folder of a training: what an interrupted one leaves, and when that is of another training."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from rest_react.records import Example, ModelRef
from rest_react.training.dpo import DpoTraining
from rest_react.training.process import job as job_module
from rest_react.training.process.checkpoints import seal_checkpoint
from rest_react.training.process.job import LocalTraining, prepare_job, read_job
from tests.training.test_local import SETTINGS

ROWS = [Example(f"q{i}.0.0", f"q{i}.0", 0, "decide", f"state {i}", f"Search({i})", "perplexity") for i in range(4)]
BASE = ModelRef("tiny-random", "base", tuned=False)
AUTO = replace(SETTINGS, dtype="auto")


def begun(folder: Path, base: ModelRef = BASE) -> None:
    """A training that was interrupted after its fourth step."""
    assert not prepare_job({"examples.jsonl": ROWS}, base, folder, 7, SETTINGS, folder)
    checkpoint = folder / "checkpoints" / "checkpoint-4"
    checkpoint.mkdir(parents=True)
    (checkpoint / "trainer_state.json").write_text("{}")
    seal_checkpoint(checkpoint)


@pytest.mark.parametrize(
    ("rows", "seed", "changed", "starts_again"),
    [
        (ROWS, 7, {}, False),
        (ROWS, 7, {"micro_batch_size": 1, "threads": 2, "save_every": 3}, False),
        (ROWS[:3], 7, {}, True),
        (ROWS, 8, {}, True),
        (ROWS, 7, {"learning_rate": 0.5}, True),
    ],
)
def test_a_checkpoint_of_other_rows_or_settings_is_not_resumed(
    rows: list[Example],
    seed: int,
    changed: dict[str, float],
    starts_again: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    begun(tmp_path)
    assert not prepare_job({"examples.jsonl": rows}, BASE, tmp_path, seed, replace(SETTINGS, **changed), tmp_path)
    told = "the rows, the settings or the base of this training have changed" in " ".join(
        capsys.readouterr().err.split()
    )
    assert (told, (tmp_path / "checkpoints").exists()) == (starts_again, not starts_again)
    assert (read_job(tmp_path / "job.json", LocalTraining).checkpoint is None) is starts_again


@pytest.mark.parametrize("replaced", [False, True])
def test_a_checkpoint_of_another_base_under_the_same_path_is_not_resumed(replaced: bool, tmp_path: Path) -> None:
    weights, folder = tmp_path / "base", tmp_path / "finetune"
    weights.mkdir()
    (weights / "model.safetensors").write_bytes(b"weights")
    base = ModelRef(str(weights), "base", tuned=False)
    begun(folder, base)
    if replaced:
        (weights / "model.safetensors").write_bytes(b"others!")
    assert not prepare_job({"examples.jsonl": ROWS}, base, folder, 7, SETTINGS, folder)
    assert (read_job(folder / "job.json", LocalTraining).checkpoint is None) is replaced


def published(folder: Path, rows: Sequence[Example] = ROWS, field: str = "", cut: int = 0) -> None:
    """A training of these rows whose model is there, without its summary; `field` is one that another version wrote,
    `cut` the bytes that the file of rows has lost."""
    begun(folder)
    lines = "".join(json.dumps({**asdict(row), **({field: 1} if field else {})}) + "\n" for row in rows)
    (folder / "examples.jsonl").write_text(lines[: len(lines) - cut])
    for name in ("model", "adapter", "snapshots/2/model"):
        (folder / name).mkdir(parents=True)
        (folder / name / "model.safetensors").write_bytes(b"weights")


@pytest.mark.parametrize("left", [{}, {"field": "teacher"}, {"cut": 9}], ids=["same", "of another version", "torn"])
def test_a_published_model_is_never_trained_again_on_the_same_rows(left: dict[str, Any], tmp_path: Path) -> None:
    published(tmp_path, **left)
    assert prepare_job({"examples.jsonl": ROWS}, BASE, tmp_path, 7, SETTINGS, tmp_path)
    assert (tmp_path / "model/model.safetensors").read_bytes() == b"weights"
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize("others", [ROWS[:3], [*ROWS, ROWS[0]], [*ROWS[:3], replace(ROWS[3], completion="Other")]])
def test_a_published_model_of_other_rows_is_trained_again(
    others: list[Example], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    published(tmp_path, others)
    assert not prepare_job({"examples.jsonl": ROWS}, BASE, tmp_path, 7, SETTINGS, tmp_path)
    assert "the model there was trained on other rows" in " ".join(capsys.readouterr().err.split())
    assert {path.name for path in tmp_path.iterdir()} == {
        "accelerate.json",
        "examples.jsonl",
        "job.json",
        "loss.jsonl",
    }
    assert [row["completion"] for row in map(json.loads, (tmp_path / "examples.jsonl").open())] == [
        row.completion for row in ROWS
    ]


@pytest.mark.parametrize("how", [AUTO, DpoTraining(**asdict(AUTO), beta=0.1)])
def test_a_resumed_training_keeps_its_type_of_number_on_a_machine_that_would_choose_another(
    how: LocalTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepared(machine: str, training: LocalTraining = how) -> tuple[str, bool]:
        monkeypatch.setattr(job_module, "compute_type_here", lambda asked: machine)
        prepare_job({"examples.jsonl": ROWS}, BASE, tmp_path, 7, training, tmp_path)
        job = read_job(tmp_path / "job.json", type(training))
        return job.training.dtype, job.checkpoint is not None

    assert prepared("float32") == ("float32", False)
    assert prepared("bfloat16") == ("bfloat16", False)  # nothing was trained yet
    checkpoint = tmp_path / "checkpoints" / "checkpoint-4"
    checkpoint.mkdir(parents=True)
    (checkpoint / "trainer_state.json").write_text("{}")
    seal_checkpoint(checkpoint)
    assert prepared("float32") == ("bfloat16", True)
    assert prepared("bfloat16", replace(how, dtype="float32")) == ("float32", False)
