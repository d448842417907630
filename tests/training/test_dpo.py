"""Direct preference optimisation for real, on the tiny model."""

import asyncio
import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from rest_react.errors import UsageError
from rest_react.records import Preference, Prompt
from rest_react.training.dpo import DpoTrainer, DpoTraining
from rest_react.training.process.job import Job, prepare_resume
from rest_react.training.worker import run_job
from rest_react.training.worker.dpo import PairRow, dpo_trainer, make_pairs
from rest_react.weights import encode_completion, encode_prompt, resolve_weights
from tests.training.test_local import EXAMPLES, SETTINGS, TINY, cache, losses, untimed, weights_of

__all__ = ["cache"]
PREFERENCES = [
    Preference(**asdict(example), rejected=f"ACTION_SELECTED = Terminate({'no' * (1 + i % 2)}) <|im_end|>")
    for i, example in enumerate(EXAMPLES)
]
DPO = DpoTraining(**{**asdict(SETTINGS), "lora_dropout": 0.0}, beta=0.1)


def prefer_here(folder: Path, how: DpoTraining, base: str, checkpoint: str | None = None) -> Path:
    """The worker's own part in this process: it spares the imports of another one."""
    folder.mkdir(exist_ok=True)
    lines = "".join(json.dumps(asdict(preference)) + "\n" for preference in PREFERENCES)
    (folder / "preferences.jsonl").write_text(lines)
    run_job.run(Job(base, str(folder), 7, checkpoint, how), dpo_trainer)
    return folder


def log_probability(model: torch.nn.Module, prompt: tuple[int, ...], completion: tuple[int, ...]) -> float:
    ids = torch.tensor([[*prompt, *completion]])
    with torch.no_grad():
        found = model(ids).logits[0, :-1].log_softmax(-1)
    return sum(float(found[len(prompt) - 1 + i, token]) for i, token in enumerate(completion))


@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_model_learns_to_prefer_the_chosen_completions_to_the_rejected_ones(tmp_path: Path, method: str) -> None:
    base = str(resolve_weights("tiny-random"))
    how = replace(DPO, method=method, epochs=6, learning_rate=1e-2)
    folder = prefer_here(tmp_path / "dpo", how, base)
    curve = losses(folder)
    assert [line["step"] for line in curve] == list(range(1, 16))
    assert curve[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)  # before a step it is the reference model
    assert curve[-1]["loss"] < 0.5 * curve[0]["loss"]
    assert curve[-1]["accuracy"] == 1 and curve[-1]["margin"] > 0
    tokenizer = AutoTokenizer.from_pretrained(base)
    before, after = (AutoModelForCausalLM.from_pretrained(name).eval() for name in (base, folder / "model"))
    for pair in make_pairs(PREFERENCES, tokenizer, how):
        gained = [
            log_probability(after, pair.prompt, text) - log_probability(before, pair.prompt, text)
            for text in (pair.chosen, pair.rejected)
        ]
        assert gained[0] > gained[1]
    assert (folder / "adapter").exists() == (method == "lora")
    assert not (folder / "checkpoints").exists()


def test_the_loss_of_a_step_is_that_of_equation_7_whatever_the_micro_batch(tmp_path: Path) -> None:
    base = str(resolve_weights("tiny-random"))
    how = replace(DPO, epochs=0.8, warmup_ratio=0.0, learning_rate=1e-2)  # two steps of four rows
    one = prefer_here(tmp_path / "one", replace(how, micro_batch_size=1), base)
    four = prefer_here(tmp_path / "four", replace(how, micro_batch_size=4), base)
    assert [line["loss"] for line in losses(one)] == pytest.approx([line["loss"] for line in losses(four)], abs=1e-4)
    assert [line["tokens"] for line in losses(one)] == [line["tokens"] for line in losses(four)]
    assert all(-math.log(1 / (1 + math.exp(-line["margin"]))) <= line["loss"] + 1e-4 for line in losses(four))


def test_a_resumed_training_ends_with_the_weights_of_an_undisturbed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, how = str(resolve_weights("tiny-random")), replace(DPO, epochs=4, save_every=3)
    whole = prefer_here(tmp_path / "whole", how, base)
    with monkeypatch.context() as patch:
        patch.setattr(run_job, "publish", lambda *_: None)  # as a kill before it
        cut = prefer_here(tmp_path / "cut", how, base)
    for step in (9, 10):
        weights = cut / "checkpoints" / f"checkpoint-{step}" / "optimizer.pt"
        if step == 10:
            weights.write_bytes(weights.read_bytes()[:-1])
    checkpoint = prepare_resume(cut)
    assert checkpoint == str(cut / "checkpoints" / "checkpoint-9")
    prefer_here(cut, how, base, checkpoint)
    assert weights_of(cut) == weights_of(whole)
    assert [untimed(line) for line in losses(cut)] == [untimed(line) for line in losses(whole)]


@pytest.mark.slow
def test_two_cpu_processes_train_what_one_does(tmp_path: Path) -> None:
    one = prefer_here(tmp_path / "one", DPO, str(resolve_weights("tiny-random")))
    two = replace(DPO, num_processes=2)
    asyncio.run(DpoTrainer(two, tmp_path).train(PREFERENCES, TINY, tmp_path / "two", 7))
    alone, both = (losses(folder) for folder in (one, tmp_path / "two"))
    assert [line["loss"] for line in both] == pytest.approx([line["loss"] for line in alone], abs=1e-3)
    assert [line["tokens"] for line in both] == [line["tokens"] for line in alone]


def test_both_completions_follow_one_prompt_and_no_text_becomes_a_control_token(tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(resolve_weights("tiny-random"))
    [pair] = make_pairs(PREFERENCES[:1], tokenizer, DPO)
    given = PREFERENCES[0]
    assert pair == PairRow(
        given.trajectory_id,
        tuple(encode_prompt(tokenizer, Prompt("", given.prompt), "completion")),
        tuple(encode_completion(tokenizer, given.completion)),
        tuple(encode_completion(tokenizer, given.rejected)),
    )
    assert pair.rejected.count(tokenizer.eos_token_id) == 1 and pair.rejected[-1] == tokenizer.eos_token_id


def test_a_rejected_completion_that_is_too_long_is_an_error_too() -> None:
    tokenizer = AutoTokenizer.from_pretrained(resolve_weights("tiny-random"))
    long = [replace(PREFERENCES[0], rejected="x" * 600)]
    with pytest.raises(UsageError, match=r"1 of 1 examples are longer than finetune.max_length=512"):
        make_pairs(long, tokenizer, DPO)


def test_examples_without_a_rejected_completion_are_refused(tmp_path: Path) -> None:
    trainer = DpoTrainer(DPO, tmp_path)
    with pytest.raises(UsageError, match=r"10 rows .*have no rejected completion"):
        asyncio.run(trainer.train(EXAMPLES, TINY, tmp_path / "finetune", 7))
