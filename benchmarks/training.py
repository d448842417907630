"""Compares the fine-tuning throughput of our worker with a plain SFTTrainer on the same rows, without padding tokens.

    python -m benchmarks.training --examples outputs/default/iter_0/finetune/examples.jsonl

Both train the embedded model for `--steps` steps with the batch sizes of `--finetune` (`lora` or `local`), `--rounds`
times, and take turns in going first. The first two steps of each do not count. The plain SFTTrainer gets tokenised rows
in the same order, with TRL's loss and collator, and the same LoRA.
Not here: the quality of the trained model.
"""

import argparse
import asyncio
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from rest_react.build import Parts
from rest_react.config.compose import compose
from rest_react.records import Example
from rest_react.storage.run_folder import RunFolder
from rest_react.training.local import LocalFinetune
from rest_react.training.process.job import read_rows
from rest_react.training.rows.order import training_order
from rest_react.weights import make_rows, resolve_weights
from rest_react.weights.embedded import EMBEDDED
from rest_react.weights.loss_mask import Row

WARM = 2


def main() -> None:
    """Prints one line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--examples", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--finetune", choices=("lora", "local"), default="lora")
    arguments = parser.parse_args()
    settings = compose([f"finetune={arguments.finetune}"])
    how = settings.finetune
    assert isinstance(how, LocalFinetune)
    limits = {"max_steps": arguments.steps, "save_every": arguments.steps + 1}
    cut = replace(settings, finetune=replace(how, dtype="float32", **limits))
    examples = read_rows(arguments.examples, Example)
    rows = make_rows(examples, AutoTokenizer.from_pretrained(resolve_weights(EMBEDDED)), "completion", 4096)
    order = training_order(rows, how.batch_size, arguments.steps, seed=1)
    found: dict[str, list[int]] = {"ours_tokens_s": [], "bare_tokens_s": []}
    for number in range(arguments.rounds):
        for name in sorted(found, reverse=number % 2 == 0):
            with tempfile.TemporaryDirectory() as folder:
                if name == "ours_tokens_s":
                    rate = through_worker(Parts(cut, RunFolder(Path(folder))), examples, Path(folder))
                else:
                    rate = through_bare_trainer(order, how, Path(folder))
            found[name].append(round(rate))
    print(json.dumps({"finetune": arguments.finetune, "steps": arguments.steps, **found}))


def through_worker(parts: Parts, examples: list[Example], folder: Path) -> float:
    """Tokens/s of our worker, from its log."""
    asyncio.run(parts.trainer(1).train(examples, parts.starting_model(), folder / "ours", 1))
    lines = [json.loads(line) for line in (folder / "ours" / "loss.jsonl").read_text().splitlines()]
    warm, last = lines[WARM - 1], lines[-1]
    return float((last["tokens"] - warm["tokens"]) / (last["seconds"] - warm["seconds"]))


def through_bare_trainer(rows: list[Row], how: LocalFinetune, folder: Path) -> float:
    """Tokens/s of a plain SFTTrainer, on a CPU in float32."""
    lora = LoraConfig(
        r=how.lora_r, lora_alpha=how.lora_alpha, lora_dropout=how.lora_dropout, target_modules="all-linear",
        task_type="CAUSAL_LM",
    )  # fmt: skip
    model: Any = AutoModelForCausalLM.from_pretrained(resolve_weights(EMBEDDED), dtype="float32")
    ends: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            ends.append(time.perf_counter())

    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir=str(folder), per_device_train_batch_size=how.micro_batch_size,
            gradient_accumulation_steps=how.batch_size // how.micro_batch_size, num_train_epochs=1,
            max_length=None, bf16=False, use_cpu=True, gradient_checkpointing=False, report_to="none",
            save_strategy="no", disable_tqdm=True, dataset_kwargs={"skip_prepare_dataset": True},
            dataloader_pin_memory=False, train_sampling_strategy="sequential",
        ),
        train_dataset=Dataset.from_dict(
            {"input_ids": [row.input_ids for row in rows], "labels": [row.labels for row in rows]}
        ),
        processing_class=AutoTokenizer.from_pretrained(resolve_weights(EMBEDDED)),
        callbacks=[Clock()],
        peft_config=lora if how.method == "lora" else None,
    )  # fmt: skip
    trainer.train()
    tokens = sum(len(row.input_ids) for row in rows[WARM * how.batch_size :])
    return tokens / (ends[-1] - ends[WARM - 1])


if __name__ == "__main__":
    main()
