"""The process that trains: reads a job, runs TRL's SFTTrainer, leaves weights behind. Started by `local`, as

    python -m accelerate.commands.launch ... -m rest_react.training.worker <folder>/job.json

Rows arrive tokenised and in their final order (`weights`), so nothing here shuffles, cuts or masks. The same job on
the same number of threads gives the same bytes on a CPU, interrupted or not. Weights are trained in float32 (under
bfloat16 autocast on a GPU, where a LoRA's frozen base is bfloat16 as well) and saved in the base's own type.

A loss, gradient or weight that is not finite ends the job with its step and learning rate; nothing of it is published.

Two savings. The steps of a trajectory begin alike, so the rows of a micro-batch become one tree in which that stands
once (`weights.merge_rows`); models whose attention cannot do that (recurrent layers, sliding windows) get them padded.
And the output layer runs only where there is a target: with a vocabulary of 49,152 the logits of the prompts would cost
more than the rest of the forward pass. Not here: process control, resuming decisions (`local`).
"""

import json
import math
import os
import stat
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from rest_react.errors import RestReactError, UsageError, disk_errors, outside
from rest_react.storage.files import flush, flush_tree, remove, write_file
from rest_react.training.checkpoints import KEPT, seal_checkpoint
from rest_react.training.local import Job, read_examples, read_job
from rest_react.weights import IGNORED, Row, count_steps, example_length_stats, make_rows, merge_rows, training_order
from rest_react.weights.end_tokens import end_tokens

Features: TypeAlias = Sequence[Mapping[str, Sequence[int]]]
_ALIKE = 0.02

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer


def main(path: Path) -> int:
    """Runs the job; what went wrong is told in `error.json`, its traceback printed."""
    _die_with_parent()
    job = read_job(path)
    try:
        with outside("fine-tuning"), disk_errors(job.folder):
            run(job)
    except RestReactError as error:
        traceback.print_exception(error)
        fault = "usage" if isinstance(error, UsageError) else "outside"
        for draft in ("model.tmp", "trained"):  # on a full disk they leave no room for the reason
            remove(Path(job.folder) / draft)
        told = json.dumps({"fault": fault, "message": str(error)})
        write_file(Path(job.folder) / "error.json", told)
        return 1
    return 0


def run(job: Job) -> None:
    """Trains, then publishes `model/` (and `adapter/`)."""
    from transformers import AutoTokenizer

    folder, how = Path(job.folder), job.training
    tokenizer = AutoTokenizer.from_pretrained(job.base)
    rows = make_rows(
        read_examples(folder / "examples.jsonl"), tokenizer, how.mode, how.max_length, how.chat_template_kwargs
    )
    steps = count_steps(len(rows), how.batch_size, how.epochs, how.max_steps)
    order = training_order(rows, how.batch_size, steps, job.seed)
    print(example_length_stats(rows), f"steps={steps}", flush=True)
    trainer = _trainer(job, order, steps, tokenizer)
    trainer.train(resume_from_checkpoint=job.checkpoint)
    trained = folder / "trained"
    trainer.save_model(str(trained))
    if trainer.is_world_process_zero():
        del trainer
        _publish(job, trained, tokenizer)


def _trainer(job: Job, order: Sequence[Row], steps: int, tokenizer: "PreTrainedTokenizerBase") -> "SFTTrainer":
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM

    how, gpu = job.training, torch.cuda.is_available()
    frozen = how.method == "lora" and gpu
    # Two targets may follow one token of a tree; adding up their gradients in any order would differ in the last bit.
    torch.use_deterministic_algorithms(not gpu)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    model = AutoModelForCausalLM.from_pretrained(job.base, dtype=torch.bfloat16 if frozen else torch.float32)
    lora = LoraConfig(
        r=how.lora_r,
        lora_alpha=how.lora_alpha,
        lora_dropout=how.lora_dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    collator = as_tree if how.micro_batch_size > 1 and reads_trees(model) else as_padded
    print(f"rows: {collator.__name__}", flush=True)
    columns = {"input_ids": [row.input_ids for row in order], "labels": [row.labels for row in order]}
    losses = _loss_log(Path(job.folder) / "loss.jsonl", _tokens_after_steps(order, how.batch_size))
    return _completion_trainer()(
        model=model,
        args=_arguments(job, steps, gpu),
        train_dataset=Dataset.from_dict(columns),
        processing_class=tokenizer,
        peft_config=lora if how.method == "lora" else None,
        callbacks=[losses, _checkpoint_seal()],
        data_collator=collator,
    )


def _arguments(job: Job, steps: int, gpu: bool) -> "SFTConfig":
    from trl.trainer.sft_config import SFTConfig

    how = job.training
    return SFTConfig(
        output_dir=str(Path(job.folder) / "checkpoints"),
        seed=job.seed % 2**32,
        # The rows are ready and in order: TRL neither cuts them nor prepares them, the Trainer does not shuffle them.
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        train_sampling_strategy="sequential",
        num_train_epochs=1,
        per_device_train_batch_size=how.micro_batch_size,
        gradient_accumulation_steps=how.accumulation,
        learning_rate=how.learning_rate,
        optim={"adamw": "adamw_torch_fused", "adafactor": "adafactor"}[how.optimizer],
        lr_scheduler_type="linear",
        warmup_steps=math.ceil(how.warmup_ratio * steps),
        weight_decay=how.weight_decay,
        # Recomputing activations saves the memory a GPU lacks; on a CPU it only costs time, and so does bfloat16.
        gradient_checkpointing=gpu,
        bf16=gpu,
        use_cpu=not gpu,
        dataloader_pin_memory=gpu,
        ddp_find_unused_parameters=False,
        logging_steps=1,
        logging_nan_inf_filter=False,  # it shows a finite loss where there is none
        save_strategy="steps" if how.save_every else "no",
        save_steps=how.save_every or steps,
        save_total_limit=KEPT,
        report_to="none",
        disable_tqdm=True,
    )


def _completion_trainer() -> "type[SFTTrainer]":
    from torch.nn.functional import cross_entropy
    from trl.trainer.sft_trainer import SFTTrainer

    class CompletionTrainer(SFTTrainer):
        """SFTTrainer whose loss needs logits only where there are targets. TRL's own does that on GPUs alone."""

        def compute_loss(
            self,
            model: "torch.nn.Module",
            inputs: "dict[str, torch.Tensor]",
            return_outputs: bool = False,
            num_items_in_batch: "torch.Tensor | int | None" = None,
        ) -> Any:
            """Mean over the targets of the whole batch: `num_items_in_batch` counts them over all micro-batches and
            processes, and data-parallel training averages over the processes."""
            targets, columns = _taken_out(inputs)
            outputs = model(**inputs, logits_to_keep=columns, use_cache=False)
            logits = outputs.logits.flatten(0, 1).float()
            total = cross_entropy(logits, targets, ignore_index=IGNORED, reduction="sum")
            count = (targets != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
            loss = total * self.accelerator.num_processes / count
            return (loss, outputs) if return_outputs else loss

    return CompletionTrainer


def as_tree(rows: Features) -> "dict[str, torch.Tensor]":
    """Rows as one sequence, each token with its own view of what comes before it."""
    import torch

    tree = merge_rows([(row["input_ids"], row["labels"]) for row in rows])
    size = len(tree.input_ids)
    sees = torch.zeros(size, size, dtype=torch.bool)
    for start, end, above in tree.spans:
        sees[start:end, above] = True
        sees[start:end, start:end] = torch.ones(end - start, end - start, dtype=torch.bool).tril()
    columns, targets = zip(*tree.targets, strict=True)
    return {
        "input_ids": torch.tensor([tree.input_ids]),
        "position_ids": torch.tensor([tree.positions]),
        "attention_mask": sees[None, None],
        "columns": torch.tensor([columns]),
        "labels": torch.tensor([targets]),
        "shift_labels": torch.tensor([targets]),
    }


def as_padded(rows: Features) -> "dict[str, torch.Tensor]":
    """Rows below each other, padded at their ends."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    def padded(name: str, filler: int) -> "torch.Tensor":
        return pad_sequence([torch.tensor(row[name]) for row in rows], batch_first=True, padding_value=filler)

    targets = padded("labels", IGNORED)[:, 1:]
    columns = (targets != IGNORED).any(dim=0).nonzero().flatten()
    return {
        "input_ids": padded("input_ids", 0),
        "attention_mask": pad_sequence([torch.ones(len(row["input_ids"]), dtype=torch.long) for row in rows], True),
        "columns": columns[None],
        "labels": targets[:, columns],
        "shift_labels": targets[:, columns],
    }


def reads_trees(model: "PreTrainedModel") -> bool:
    """Whether the model predicts from a tree what it predicts from its rows, tried on two short ones."""
    import torch

    if getattr(model.config, "sliding_window", None) is not None:  # would show on long rows alone
        return False
    start, ends = range(5, 13), (range(20, 23), range(30, 33))
    rows = [{"input_ids": [*start, *end], "labels": [*[IGNORED] * len(start), *end]} for end in ends]
    try:
        with torch.inference_mode():
            one, other = _target_logits(model, as_tree(rows)), _target_logits(model, as_padded(rows))
    except (RuntimeError, ValueError):  # a mask of this shape is refused
        return False
    return bool((one - other).norm() < _ALIKE * other.norm())


def _target_logits(model: "PreTrainedModel", batch: "dict[str, torch.Tensor]") -> "torch.Tensor":
    targets, columns = _taken_out(batch)
    logits: torch.Tensor = model(**batch, logits_to_keep=columns, use_cache=False).logits
    return logits.flatten(0, 1)[targets != IGNORED].float()


def _taken_out(batch: "dict[str, torch.Tensor]") -> "tuple[torch.Tensor, torch.Tensor]":
    """The targets and the columns that they are for; the rest of a batch is what a model takes."""
    del batch["labels"]  # there for the Trainer, which counts targets over all processes only where it sees labels
    return batch.pop("shift_labels").flatten(), batch.pop("columns").flatten()


def _loss_log(path: Path, tokens: Sequence[int]) -> "TrainerCallback":
    from transformers import TrainerCallback

    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    began = time.monotonic() - (json.loads(lines[-1])["seconds"] if lines else 0.0)

    class LossLog(TrainerCallback):
        """One line per step, whole before the next step begins."""

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> None:
            if "loss" not in logs:
                return
            for name, value in (("loss", logs["loss"]), ("gradient's norm", logs.get("grad_norm", 0.0))):
                if not math.isfinite(value):
                    raise UsageError(_diverged(f"the {name} is {value}", state.global_step, logs["learning_rate"]))
            if not state.is_world_process_zero:
                return
            line = {
                "step": state.global_step,
                "loss": logs["loss"],
                "learning_rate": logs["learning_rate"],
                "tokens": tokens[state.global_step - 1],
                "seconds": round(time.monotonic() - began, 3),
            }
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")

    return LossLog()


def _checkpoint_seal() -> "TrainerCallback":
    from torch import distributed
    from transformers import TrainerCallback

    class CheckpointSeal(TrainerCallback):
        """Seals a checkpoint once every process has written its part."""

        def on_save(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            if distributed.is_available() and distributed.is_initialized():
                distributed.barrier()
            if state.is_world_process_zero:
                seal_checkpoint(Path(args.output_dir) / f"checkpoint-{state.global_step}")

    return CheckpointSeal()


def _diverged(what: str, step: int, learning_rate: float) -> str:
    return (
        f"fine-tuning: {what} at step {step}, learning rate {learning_rate:g}: the training diverged, and nothing of "
        "it is published. Start a new run (run=<name>) with a lower finetune.learning_rate or a higher "
        "finetune.warmup_ratio"
    )


def _tokens_after_steps(order: Sequence[Row], batch_size: int) -> list[int]:
    sums, total = [], 0
    for start in range(0, len(order), batch_size):
        total += sum(len(row.input_ids) for row in order[start : start + batch_size])
        sums.append(total)
    return sums


def _publish(job: Job, trained: Path, tokenizer: "PreTrainedTokenizerBase") -> None:
    """From what the Trainer saved to `model/`: a LoRA merged into its base, the base's own number type, renamed last.

    Reloading asks nothing of the Trainer's wrappers (data-parallel, a LoRA), which all save alike.
    """
    from transformers import AutoConfig

    folder = Path(job.folder)
    dtype = AutoConfig.from_pretrained(job.base).dtype
    draft = folder / "model.tmp"
    remove(draft)
    model = _merged(job.base, trained) if job.training.method == "lora" else _load(trained)
    model = model if dtype is None else model.to(dtype)
    _refuse_not_finite(model, folder / "loss.jsonl")
    ends = end_tokens(tokenizer, model.generation_config.eos_token_id)
    model.generation_config.eos_token_id = ends  # it stops where it was taught to, whoever serves it
    model.save_pretrained(draft)
    tokenizer.save_pretrained(draft)
    flush_tree(draft)  # what the name `model` promises must be on the disk before the name is
    if job.training.method == "lora":
        flush_tree(trained)
        remove(folder / "adapter")
        trained.rename(folder / "adapter")
    draft.rename(folder / "model")
    flush(folder)
    remove(trained)
    remove(folder / "checkpoints")


def _refuse_not_finite(model: "PreTrainedModel", losses: Path) -> None:
    """Raises UsageError where a weight is NaN or infinite, in the number type that is published."""
    weights = dict(model.named_parameters())
    broken = [name for name, weight in weights.items() if not bool(weight.isfinite().all())]
    if broken:
        last = json.loads(losses.read_text(encoding="utf-8").splitlines()[-1])
        what = f"{len(broken)} of {len(weights)} weight tensors ({broken[0]}, ...) hold NaN or infinity"
        raise UsageError(_diverged(what, last["step"], last["learning_rate"]))


def _load(name: str | Path) -> "PreTrainedModel":
    import torch
    from transformers import AutoModelForCausalLM

    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32)
    return model


def _merged(base: str, adapter: Path) -> "PreTrainedModel":
    from peft import PeftModel

    merged: PreTrainedModel = PeftModel.from_pretrained(_load(base), str(adapter)).merge_and_unload()
    return merged


def _die_with_parent() -> None:
    """Ends this process when standard input, a pipe that nobody writes to, is closed: its other end died."""
    if not stat.S_ISFIFO(os.fstat(0).st_mode):
        return

    def wait() -> None:
        os.read(0, 1)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
