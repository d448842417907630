"""Fine-tuning for real, on the tiny model, in processes of its own."""

import asyncio
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaForCausalLM,
)

from rest_react.errors import OutsideFault, UsageError
from rest_react.records import Example, ModelRef
from rest_react.storage.files import remove
from rest_react.training.local import LocalTrainer, LocalTraining
from rest_react.training.process.checkpoints import seal_checkpoint
from rest_react.training.process.job import Job, prepare_resume, read_job, read_rows
from rest_react.training.rows.holdout import HELD_OUT, split_rows
from rest_react.training.rows.order import training_order
from rest_react.training.worker.completion_loss import as_padded, as_tree
from rest_react.training.worker.run_job import run
from rest_react.training.worker.saving.snapshot_saver import saved_snapshots
from rest_react.training.worker.supervised import supervised_trainer
from rest_react.weights import make_rows, resolve_weights
from tests.training_here import train_in_this_process

TINY = ModelRef("tiny-random", "base", tuned=False)
SETTINGS = LocalTraining(
    method="full",
    mode="completion",
    epochs=2,
    max_steps=None,
    batch_size=4,
    micro_batch_size=2,
    learning_rate=3e-3,
    warmup_ratio=0.1,
    weight_decay=0.01,
    max_length=512,
    save_every=None,
    lora_r=4,
    lora_alpha=8,
    lora_dropout=0.1,
    optimizer="adamw",
    num_processes=1,
    threads=1,
    dtype="float32",
)
EXAMPLES = [
    Example(
        id=f"w{i}.0.0",
        trajectory_id=f"w{i}.0",
        step_index=0,
        kind="decide",
        prompt=f'ORIGINAL_QUESTION = "Where is {i}?"\n' * (1 + i % 3) + "\n# step: decision\n",
        completion=f'ACTION_SELECTED = ActionWrapper(thoughts="\u2028", action=Search(query="{i * 10**i}"))  # [END]',
        selector="first",
    )
    for i in range(10)
]


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REST_REACT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def tune(run_folder: Path, settings: LocalTraining, name: str, base: ModelRef = TINY) -> ModelRef:
    return asyncio.run(LocalTrainer(settings, run_folder).train(EXAMPLES, base, run_folder / name, seed=7))


def tune_here(run_folder: Path, settings: LocalTraining, name: str, base: str, seed: int = 7) -> Path:
    """The worker's own part in this process: it spares the imports of another one."""
    folder = run_folder / name
    folder.mkdir()
    lines = "".join(json.dumps(asdict(example)) + "\n" for example in EXAMPLES)
    (folder / "examples.jsonl").write_text(lines)
    run(Job(base, str(folder), seed, None, settings), supervised_trainer)
    return folder


def losses(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "loss.jsonl").read_text().splitlines()]


def weights_of(folder: Path) -> bytes:
    return (folder / "model" / "model.safetensors").read_bytes()


def test_a_trained_model_has_learnt_its_targets_and_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A configuration of accelerate on this machine is ignored (test_accelerate_configuration: by its launcher too).
    config = tmp_path / "home" / "accelerate" / "default_config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("distributed_type: MULTI_GPU\nnum_processes: 2\nmixed_precision: fp16\n")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    seen: list[tuple[int, int, float]] = []
    settings = replace(SETTINGS, epochs=6)
    trainer = LocalTrainer(settings, tmp_path, lambda *step: seen.append(step))
    ref = asyncio.run(trainer.train(EXAMPLES, TINY, tmp_path / "iter_1" / "finetune", 7))
    folder = tmp_path / "iter_1" / "finetune"
    assert ref == ModelRef("iter_1/finetune/model", "local", tuned=True)
    curve = losses(folder)
    assert [line["step"] for line in curve] == list(range(1, 16))
    assert seen == [(line["step"], 15, line["loss"]) for line in curve]
    assert curve[-1]["loss"] < 0.7 * curve[0]["loss"]
    assert {path.name for path in folder.iterdir()} == {
        *("accelerate.json", "examples.jsonl", "job.json", "loss.jsonl", "model", "published.json", "train.log")
    }
    before = (folder / "job.json").stat().st_mtime_ns
    assert asyncio.run(trainer.train(EXAMPLES, TINY, folder, 7)) == ref
    assert (folder / "job.json").stat().st_mtime_ns == before


def test_held_out_rows_do_not_train_and_their_loss_is_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    how = replace(SETTINGS, holdout=0.3, epochs=4)
    trained, held_out = split_rows(EXAMPLES, 0.3)
    assert {row.id for row in held_out} == {row.id for row in split_rows(EXAMPLES[::2], 0.3)[1]} | {
        row.id for row in split_rows(EXAMPLES[1::2], 0.3)[1]
    }
    assert trained and held_out and len(trained) + len(held_out) == len(EXAMPLES)

    train_in_this_process(monkeypatch)
    for name, settings, rows in (("aside", how, EXAMPLES), ("alone", replace(how, holdout=0.0), trained)):
        asyncio.run(LocalTrainer(settings, tmp_path).train(rows, TINY, tmp_path / name, seed=7))
    for name, file, given in (
        ("aside", "examples.jsonl", trained), ("aside", HELD_OUT, held_out), ("alone", "examples.jsonl", trained)
    ):  # fmt: skip
        assert read_rows(tmp_path / name / file, Example) == list(given)
    assert not (tmp_path / "alone" / HELD_OUT).exists()
    curve = losses(tmp_path / "aside")
    assert all("held_out_loss" in line for line in curve)  # fewer than 20 steps: after each
    assert weights_of(tmp_path / "aside") == weights_of(tmp_path / "alone")
    assert curve[-1]["held_out_loss"] < curve[0]["held_out_loss"]
    with pytest.raises(UsageError, match=r"finetune\.holdout: 1 leaves none of 10 rows"):
        split_rows(EXAMPLES, 1.0)


def test_snapshots_are_published_like_the_last_model_and_do_not_change_it(tmp_path: Path) -> None:
    base = str(resolve_weights("tiny-random"))
    settings = replace(SETTINGS, epochs=4, method="lora")
    plain = tune_here(tmp_path, settings, "plain", base)
    folder = tune_here(tmp_path, replace(settings, snapshots=2), "kept", base)
    assert weights_of(folder) == weights_of(plain)
    assert [path.name for path in (folder / "snapshots").iterdir()] == ["5"]
    snapshot = folder / "snapshots" / "5"
    assert {path.name for path in snapshot.iterdir()} == {"adapter", "model", "published.json"}
    assert {path.name for path in (snapshot / "model").iterdir()} == {
        path.name for path in (folder / "model").iterdir()
    }
    early, last = (load_file(one / "model" / "model.safetensors") for one in (snapshot, folder))
    assert early.keys() == last.keys() and any(not torch.equal(early[name], last[name]) for name in last)


def test_a_training_that_resumes_behind_a_snapshot_saves_it_again(tmp_path: Path) -> None:
    base = str(resolve_weights("tiny-random"))
    settings = replace(SETTINGS, epochs=4, snapshots=2, save_every=3)
    whole = tune_here(tmp_path, settings, "whole", base)
    cut = shutil.copytree(whole, tmp_path / "cut")
    remove(cut / "model")  # as after a kill while the last model is published, its checkpoints gone
    (cut / "snapshots" / "5" / "model").rename(cut / "snapshots" / "5" / "trained")
    run(Job(base, str(cut), 7, None, settings), supervised_trainer)
    for name in ("model", "snapshots/5/model"):
        assert (cut / name / "model.safetensors").read_bytes() == (whole / name / "model.safetensors").read_bytes()
    assert not (cut / "snapshots" / "5" / "trained").exists()


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_kill_while_a_snapshot_is_published_loses_nothing(method: str, tmp_path: Path) -> None:
    snapshot = tmp_path / "snapshots" / "5"
    (snapshot / "trained").mkdir(parents=True)
    if method == "full":  # killed while `trained` was removed
        (snapshot / "model").mkdir()
        assert saved_snapshots(tmp_path) == []
        assert {path.name for path in snapshot.iterdir()} == {"model"}
    else:  # killed between the last names of the adapter and of the model
        (snapshot / "trained").rename(snapshot / "adapter")
        assert saved_snapshots(tmp_path) == [snapshot / "trained"]
        assert (snapshot / "trained").is_dir()


@pytest.mark.parametrize("counts", [True, False])
def test_the_loss_is_that_of_the_targets_alone_whatever_the_micro_batch(
    counts: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for models whose own loss takes no count of the targets, such as Gemma 4."""
    monkeypatch.setattr(LlamaForCausalLM, "accepts_loss_kwargs", counts, raising=False)
    base = resolve_weights("tiny-random")
    settings = replace(SETTINGS, max_steps=1)
    for size in (1, 4):
        tune_here(tmp_path, replace(settings, micro_batch_size=size), str(size), str(base))
    rows = make_rows(EXAMPLES, AutoTokenizer.from_pretrained(base), "completion", 512)
    model = AutoModelForCausalLM.from_pretrained(base)
    total, count = 0.0, 0
    for row in training_order(rows, 4, 1, seed=7):
        with torch.no_grad():
            logits = model(torch.tensor([row.input_ids])).logits[0, :-1].log_softmax(-1)
        for position, label in enumerate(row.labels[1:]):
            if label != -100:
                total -= float(logits[position, label])
                count += 1
    for size in (1, 4):
        [line] = losses(tmp_path / str(size))
        assert line["loss"] == pytest.approx(total / count, abs=1e-4)
        assert line["tokens"] == sum(len(row.input_ids) for row in training_order(rows, 4, 1, seed=7))


@pytest.mark.parametrize(("accelerate", "collator"), [(None, as_tree), ("fsdp2", as_padded)])
def test_processes_that_hold_shards_pad_their_rows_without_asking_the_model(
    accelerate: str | None, collator: object, tmp_path: Path
) -> None:
    (tmp_path / "examples.jsonl").write_text(json.dumps(asdict(EXAMPLES[0])) + "\n")
    settings = replace(SETTINGS, accelerate=accelerate, max_steps=1)
    trainer, _ = supervised_trainer(Job(str(resolve_weights("tiny-random")), str(tmp_path), 7, None, settings))
    assert trainer.data_collator is collator


def test_killed_with_its_parent_and_run_again_it_ends_with_the_same_bytes(tmp_path: Path) -> None:
    settings = replace(SETTINGS, epochs=48, save_every=10)
    whole = tune_here(tmp_path, settings, "whole", str(resolve_weights("tiny-random")))
    script = tmp_path / "parent.py"
    script.write_text(
        "import asyncio, sys\nfrom pathlib import Path\nfrom tests.training.test_local import *\n"
        f"tune(Path({str(tmp_path)!r}), replace(SETTINGS, epochs=48, save_every=10), 'cut')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd()), "OMP_NUM_THREADS": "1"}
    parent = subprocess.Popen([sys.executable, str(script)], env=environment)
    cut = tmp_path / "cut"
    deadline = time.monotonic() + 60
    while not (cut / "loss.jsonl").is_file() or len(losses_so_far(cut)) < 12:
        assert time.monotonic() < deadline and parent.poll() is None
        time.sleep(0.01)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_until_nobody_trains(cut)
    lost = len(losses_so_far(cut))
    assert 12 <= lost < 120 and not (cut / "model").exists()
    ref = tune(tmp_path, settings, "cut")
    assert ref == ModelRef("cut/model", "local", tuned=True)
    assert "checkpoint-" in str(read_job(cut / "job.json", LocalTraining).checkpoint)
    assert weights_of(cut) == weights_of(whole)
    assert [untimed(line) for line in losses(cut)] == [untimed(line) for line in losses(whole)]


def untimed(line: dict[str, float]) -> dict[str, float]:
    return {key: value for key, value in line.items() if key != "seconds"}


def losses_so_far(folder: Path) -> list[bytes]:
    return (folder / "loss.jsonl").read_bytes().splitlines()


def wait_until_nobody_trains(folder: Path) -> None:
    """No process is left whose command line names the job."""
    job = str(folder / "job.json").encode()
    deadline = time.monotonic() + 10
    while any(job in command for command in map(command_line, Path("/proc").glob("[0-9]*/cmdline"))):
        assert time.monotonic() < deadline, "the training process outlived its parent"
        time.sleep(0.05)


def command_line(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.mark.slow
def test_two_cpu_processes_train_what_one_does(tmp_path: Path) -> None:
    one = tune_here(tmp_path, SETTINGS, "one", str(resolve_weights("tiny-random")))
    tune(tmp_path, replace(SETTINGS, num_processes=2), "two")
    assert (tmp_path / "two" / "train.log").read_text().count("LengthStats") == 2
    alone, both = (losses(folder) for folder in (one, tmp_path / "two"))
    assert [line["step"] for line in both] == [1, 2, 3, 4, 5]
    assert [line["loss"] for line in both] == pytest.approx([line["loss"] for line in alone], abs=1e-3)
    assert [line["tokens"] for line in both] == [line["tokens"] for line in alone]


def test_adafactor_is_another_way_down(tmp_path: Path) -> None:
    base, settings = str(resolve_weights("tiny-random")), replace(SETTINGS, epochs=4)
    adamw = tune_here(tmp_path, settings, "adamw", base)
    adafactor = tune_here(tmp_path, replace(settings, optimizer="adafactor"), "adafactor", base)
    assert losses(adafactor)[-1]["loss"] < losses(adafactor)[0]["loss"] - 0.5
    assert weights_of(adafactor) != weights_of(adamw)


def test_training_in_bfloat16_learns_about_the_same_with_float32_weights(tmp_path: Path) -> None:
    base, settings = str(resolve_weights("tiny-random")), replace(SETTINGS, epochs=2)
    exact = tune_here(tmp_path, settings, "exact", base)
    folders = [tune_here(tmp_path, replace(settings, dtype="bfloat16"), name, base) for name in ("a", "b")]
    assert weights_of(folders[0]) == weights_of(folders[1]) != weights_of(exact)
    for line, other in zip(losses(folders[0]), losses(exact), strict=True):
        assert line["loss"] == pytest.approx(other["loss"], rel=0.05)
    assert {tensor.dtype for tensor in load_file(folders[0] / "model" / "model.safetensors").values()} == {
        tensor.dtype for tensor in load_file(Path(base) / "model.safetensors").values()
    }


def test_a_lora_is_merged_kept_beside_and_can_be_tuned_again(tmp_path: Path) -> None:
    base = Path(resolve_weights("tiny-random"))
    settings = replace(SETTINGS, method="lora", learning_rate=1e-2)
    first = tune_here(tmp_path, settings, "first", str(base))
    second = tune_here(tmp_path, settings, "second", str(first / "model"))
    assert (first / "adapter" / "adapter_model.safetensors").is_file()
    before, after = (load_file(folder / "model.safetensors") for folder in (base, first / "model"))
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if "_proj" in name}
    assert losses(second)[0]["loss"] < losses(first)[0]["loss"]
    ref = asyncio.run(LocalTrainer(settings, tmp_path).train(EXAMPLES, TINY, first, 7))
    assert ref == ModelRef("first/model", "local", tuned=True)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_tuned_model_names_the_end_that_it_was_taught_beside_those_of_its_base(tmp_path: Path, method: str) -> None:
    base = tmp_path / "base"
    shutil.copytree(resolve_weights("tiny-random"), base)
    config = base / "generation_config.json"
    odd = {"eos_token_id": 0, "temperature": 0.9}  # without do_sample, as some models are published
    config.write_text(json.dumps(json.loads(config.read_text()) | odd))
    folder = tune_here(tmp_path, replace(SETTINGS, method=method, max_steps=1), "tuned", str(base))
    published = json.loads((folder / "model" / "generation_config.json").read_text())
    assert AutoTokenizer.from_pretrained(folder / "model").eos_token_id == 2
    assert (published["eos_token_id"], published["do_sample"]) == ([2, 0], True)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_training_that_diverges_ends_with_its_step_and_learning_rate_and_publishes_nothing(
    tmp_path: Path, method: str
) -> None:
    settings = replace(SETTINGS, method=method, learning_rate=1e9, warmup_ratio=0.0, lora_dropout=0.0)
    told = (
        r"(loss|gradient's norm) is (nan|inf) at step [234], learning rate \d.*new run .*lower finetune.learning_rate"
    )
    with pytest.raises(UsageError, match=told):
        tune_here(tmp_path, settings, "diverged", str(resolve_weights("tiny-random")))
    folder = tmp_path / "diverged"
    assert not (folder / "model").exists() and not (folder / "adapter").exists()
    assert all(math.isfinite(line["loss"]) for line in losses(folder))


def test_a_weight_that_is_not_finite_after_the_last_step_is_not_published(tmp_path: Path) -> None:
    settings = replace(SETTINGS, max_steps=1, learning_rate=1e39, warmup_ratio=0.0)
    told = r"of \d+ weight tensors \(model\.\S+, \.\.\.\) hold NaN or infinity at step 1, learning rate 1e\+39"
    with pytest.raises(UsageError, match=told):
        tune_here(tmp_path, settings, "diverged", str(resolve_weights("tiny-random")))
    assert [line["step"] for line in losses(tmp_path / "diverged")] == [1]
    assert not (tmp_path / "diverged" / "model").exists()


def test_another_seed_gives_other_weights_and_the_same_seed_the_same_bytes(tmp_path: Path) -> None:
    base = str(resolve_weights("tiny-random"))
    settings = replace(SETTINGS, max_steps=2)
    a, b, c = (tune_here(tmp_path, settings, name, base, seed) for name, seed in (("a", 7), ("b", 7), ("c", 8)))
    assert weights_of(a) == weights_of(b) != weights_of(c)


def test_an_error_of_the_worker_is_raised_as_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"10 of 10 examples are longer than finetune.max_length=20.*log: .*train.log"):
        tune(tmp_path, replace(SETTINGS, max_length=20), "finetune")


def test_a_process_that_dies_without_a_word_is_an_outside_fault_that_quotes_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = [sys.executable, "-c", "print('out of memory'); raise SystemExit(9)"]
    monkeypatch.setattr("rest_react.training.process.launch._command", lambda module, training, job: silent)
    with pytest.raises(OutsideFault, match=r"ended with status 9; (?s:.)*train\.log(?s:.)*out of memory"):
        tune(tmp_path, SETTINGS, "finetune")


def test_cancelling_ends_the_training_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)", str(tmp_path / "cut" / "job.json")]
    monkeypatch.setattr("rest_react.training.process.launch._command", lambda module, training, job: command)

    async def cancel_soon() -> None:
        async with asyncio.timeout(0.5):
            await LocalTrainer(SETTINGS, tmp_path).train(EXAMPLES, TINY, tmp_path / "cut", 7)

    with pytest.raises(TimeoutError):
        asyncio.run(cancel_soon())
    wait_until_nobody_trains(tmp_path / "cut")


def test_resuming_clears_what_a_kill_left_half_written(tmp_path: Path) -> None:
    for step in (4, 8, 12):
        checkpoint = tmp_path / "checkpoints" / f"checkpoint-{step}"
        checkpoint.mkdir(parents=True)
        (checkpoint / "trainer_state.json").write_text("{}")
        if step < 12:
            seal_checkpoint(checkpoint)
    (tmp_path / "checkpoints" / "checkpoint-16").mkdir()
    lines = [json.dumps({"step": step, "loss": 1.0}) + "\n" for step in range(1, 14)]
    (tmp_path / "loss.jsonl").write_text("".join(lines) + '{"step": 14, "lo')
    assert prepare_resume(tmp_path) == str(tmp_path / "checkpoints" / "checkpoint-8")
    assert (tmp_path / "loss.jsonl").read_text() == "".join(lines[:8])
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["checkpoint-4", "checkpoint-8"]


def test_a_base_that_is_elsewhere_or_gone_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="hosted model and cannot be tuned here"):
        tune(tmp_path, SETTINGS, "a", ModelRef("ft:model", "hosted", tuned=True))
    with pytest.raises(UsageError, match="iter_1/finetune/model, which does not exist"):
        tune(tmp_path, SETTINGS, "a", ModelRef("iter_1/finetune/model", "local", tuned=True))
