"""A choice among the models of a training is refused where a model is missing, before anything is asked."""

import asyncio
from pathlib import Path

import pytest

from rest_react.build import Parts
from rest_react.build.benchmarks import Benchmarks
from rest_react.config.compose import compose
from rest_react.errors import RunFolderError
from rest_react.records import ModelRef
from rest_react.storage.run_folder import RunFolder
from tests.conftest import SMALL

HOSTED = (
    "policy=openai", "finetune=hosted", "start=prompted", "agent.max_tokens=256", "agent.select=perplexity",
    "improve.keep=all", "improve.keep_trajectories=supported", "evaluate.choose_by=world",
)  # fmt: skip


def benchmarks(root: Path, *overrides: str) -> Benchmarks:
    settings = compose([*overrides, f"output={root}"])
    return Benchmarks(settings, Parts(settings, RunFolder(root)))


def test_without_a_benchmark_that_chooses_the_last_model_goes_on(tmp_path: Path) -> None:
    last = ModelRef("iter_1/finetune/model", "local", tuned=True)
    assert asyncio.run(benchmarks(tmp_path, *SMALL).run_choose(1, last)) == last


def test_a_missing_snapshot_is_named_with_what_to_delete(tmp_path: Path) -> None:
    training = tmp_path / "iter_1" / "finetune"
    (training / "snapshots" / "1" / "model").mkdir(parents=True)
    (training / "loss.jsonl").write_text("".join(f'{{"step": {step}, "loss": 1.0}}\n' for step in (1, 2, 3)))
    last = ModelRef("iter_1/finetune/model", "local", tuned=True)
    chooses = benchmarks(tmp_path, *SMALL, "finetune.snapshots=3", "evaluate.choose_by=world")
    with pytest.raises(RunFolderError, match=rf"the model after 2 steps is missing; delete {training} and run"):
        asyncio.run(chooses.run_choose(1, last))


def test_a_job_whose_provider_listed_no_other_model_is_refused_with_both_ways_out(tmp_path: Path) -> None:
    last = ModelRef("ft:gpt:abc", "hosted", tuned=True)
    with pytest.raises(RunFolderError, match=r"checkpoints\.jsonl there .* set evaluate\.choose_by=null"):
        asyncio.run(benchmarks(tmp_path, *HOSTED).run_choose(1, last))
