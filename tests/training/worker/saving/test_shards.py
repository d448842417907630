"""Whole weights from shards in two processes of a CPU: by PyTorch's own `fully_shard`, and by the packaged fsdp2."""

import os
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from rest_react.records import ModelRef
from rest_react.training.process.job import prepare_job
from rest_react.weights import resolve_weights
from tests.training.test_accelerate_configuration import launched
from tests.training.test_local import EXAMPLES, SETTINGS, losses, tune_here
from tests.training.worker.saving.sharded import PROCESSES, ROWS, load, train_step

ROOT = Path(__file__).parents[4]


@pytest.mark.slow
def test_shards_are_saved_and_published_whole_and_trained_further_like_a_model_in_one_piece(tmp_path: Path) -> None:
    base = small_base(tmp_path / "base")
    command = [sys.executable, "-m", "tests.training.worker.saving.sharded", base, str(tmp_path)]
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    running = [subprocess.Popen([*command, str(rank)], cwd=ROOT) for rank in range(PROCESSES)]
    assert [process.wait(1200) for process in running] == [0, 0]

    alone: Any = load(base)
    for folder in (tmp_path / "first" / "model", tmp_path / "second" / "trained"):
        before = {name: weight.detach().clone() for name, weight in alone.named_parameters()}
        train_step(alone, ROWS, 1)
        saved = dict(load(str(folder)).named_parameters())  # tied weights are one
        assert saved.keys() == before.keys()
        for name, weight in alone.named_parameters():
            torch.testing.assert_close(saved[name], weight, rtol=0, atol=1e-5)
            assert not torch.allclose(saved[name], before[name], rtol=0, atol=1e-3), name  # the step was a large one
    assert LlamaForCausalLM.from_pretrained(tmp_path / "first" / "model").config.architectures == ["LlamaForCausalLM"]


@pytest.mark.slow
def test_fsdp2_trains_and_publishes_what_one_process_does_and_resumes_from_its_checkpoint(tmp_path: Path) -> None:
    settings = replace(SETTINGS, micro_batch_size=1, max_steps=4, save_every=2)
    alone = tune_here(tmp_path, settings, "alone", str(resolve_weights("tiny-random")))
    sharded = replace(settings, num_processes=PROCESSES, accelerate="fsdp2")
    whole, resumed, asked = (tmp_path / name for name in ("whole", "resumed", "asked"))
    asked.mkdir()
    _, variables = launched(asked, num_processes=PROCESSES, accelerate="fsdp2")
    rows = {"examples.jsonl": EXAMPLES}
    assert not prepare_job(rows, ModelRef("tiny-random", "base", tuned=False), whole, 7, sharded, tmp_path)
    resumed.mkdir()
    shutil.copy(whole / "examples.jsonl", resumed)

    command = [sys.executable, "-m", "tests.training.worker.saving.sharded_job", str(whole / "job.json"), str(resumed)]
    given = {name: value for name, value in variables.items() if name.startswith(("ACCELERATE_", "FSDP_"))}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": str(PROCESSES)}
    running = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **given, **meeting, "RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"},
        )
        for rank in range(PROCESSES)
    ]
    assert [process.wait(1200) for process in running] == [0, 0]

    for folder, steps in ((whole, [1, 2, 3, 4]), (resumed, [3, 4])):
        expected = [line for line in losses(alone) if line["step"] in steps]
        assert [line["step"] for line in losses(folder)] == steps
        assert [line["loss"] for line in losses(folder)] == pytest.approx([line["loss"] for line in expected], abs=1e-4)
    trained, published, again = (load_file(place / "model" / "model.safetensors") for place in (alone, whole, resumed))
    assert trained.keys() == published.keys() == again.keys()
    for name, weight in trained.items():
        torch.testing.assert_close(published[name], weight, rtol=0, atol=1e-4)
        torch.testing.assert_close(again[name], published[name], rtol=0, atol=1e-6)


def small_base(folder: Path) -> str:
    """A model with tied embeddings and odd sizes, which do not divide by the processes."""
    tokenizer = AutoTokenizer.from_pretrained(resolve_weights("tiny-random"))
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer) + 1 - len(tokenizer) % 2,
        hidden_size=6, intermediate_size=9, num_hidden_layers=3, num_attention_heads=3, num_key_value_heads=1,
        tie_word_embeddings=True, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)
