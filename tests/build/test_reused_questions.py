"""A run that reuses iterations of another knows the questions that these were grown on."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rest_react.build import Parts
from rest_react.config.compose import compose
from rest_react.errors import ConfigError
from rest_react.loop import Loop
from rest_react.storage.run_folder import RunFolder
from tests.conftest import SMALL

# Grown on the questions of training, which its own settings of Grow do not name.
REUSING = ("run=mine", "iteration=1", "grow.reuse=smoke", "grow.reuse_through=1", "grow.questions=world_evaluation")
OVERLAPPING = "questions@evaluate.benchmarks.world=world_train"


class Stopped(Exception):
    """Ends the loop once questions.json is written."""


@pytest.fixture
def output(smoke_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    def stop(self: Parts) -> None:
        raise Stopped

    monkeypatch.setattr(Parts, "starting_model", stop)
    shutil.copytree(smoke_run, tmp_path / "smoke")
    yield tmp_path


def begin(output: Path, *overrides: str) -> dict[str, object]:
    """Runs the loop until its first model; returns what questions.json tells."""
    settings = compose([f"output={output}", *SMALL, *REUSING, *overrides])
    with pytest.raises(Stopped):
        asyncio.run(Loop(settings, Parts(settings, RunFolder(output / "mine"))).run_to(settings.iteration))
    ids: dict[str, object] = json.loads((output / "mine" / "questions.json").read_text())
    return ids


def test_a_benchmark_with_questions_that_a_reused_iteration_was_grown_on_is_refused(output: Path) -> None:
    with pytest.raises(ConfigError, match=r"  grow\.reuse=smoke: 6 of 6 questions .*allow_overlap=\[world\]"):
        begin(output, OVERLAPPING)
    assert not (output / "mine" / "iter_1").exists()
    begin(output, OVERLAPPING, "grow.allow_overlap=[world]")
    with pytest.raises(ConfigError, match=r"  grow\.reuse=smoke: 6 of 6"):  # reused by the command before
        begin(output, OVERLAPPING)


def test_questions_json_names_what_reused_iterations_were_grown_on(output: Path) -> None:
    train, evaluation = ([f"{name}-{i:03d}" for i in range(6)] for name in ("train", "eval"))
    assert begin(output, OVERLAPPING, "grow.allow_overlap=[world]")["grow"] == train
    both = begin(output, OVERLAPPING, "grow.allow_overlap=[world]", "iteration=2")
    assert both["grow"] == [*train, *evaluation]
