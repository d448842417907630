"""Supervised fine-tuning with TRL's SFTTrainer: the model learns to write each example's completion.

    python -m rest_react.training.worker.supervised <folder>/job.json

Not here: the loss and its savings (completion_loss), the loss mask (weights.loss_mask).
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rest_react.records import Example
from rest_react.training.process.job import JOB_EXAMPLES, Job, LocalTraining, read_rows
from rest_react.training.process.snapshots import snapshot_steps
from rest_react.training.rows.holdout import HELD_OUT
from rest_react.training.rows.order import count_steps, training_order
from rest_react.training.worker.callbacks import checkpoint_seal, loss_log, tokens_after_steps
from rest_react.training.worker.completion_loss import as_padded, as_tree, completion_trainer, reads_trees
from rest_react.training.worker.held_out_loss import HeldOutLoss
from rest_react.training.worker.run_job import main
from rest_react.training.worker.saving.snapshot_saver import snapshot_saver
from rest_react.training.worker.trainer_arguments import load_base, lora_config, trainer_arguments
from rest_react.weights.loss_mask import example_length_stats, make_rows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase
    from trl.trainer.sft_trainer import SFTTrainer


def supervised_trainer(job: Job[LocalTraining]) -> "tuple[SFTTrainer, PreTrainedTokenizerBase]":
    """The trainer over the job's examples, tokenised and in their order, and the tokenizer."""
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl.trainer.sft_config import SFTConfig

    folder, how = Path(job.folder), job.training
    tokenizer = AutoTokenizer.from_pretrained(job.base)
    examples = read_rows(folder / JOB_EXAMPLES, Example)
    rows = make_rows(examples, tokenizer, how.mode, how.max_length, how.chat_template_kwargs)
    steps = count_steps(len(rows), how.batch_size, how.epochs, how.max_steps)
    order = training_order(rows, how.batch_size, steps, job.seed)
    print(example_length_stats(rows), f"steps={steps}", flush=True)
    model = load_base(job.base, how)
    collator = as_tree if how.micro_batch_size > 1 and how.accelerate is None and reads_trees(model) else as_padded
    print(f"rows: {collator.__name__}", flush=True)
    tokens = tokens_after_steps([len(row.input_ids) for row in order], how.batch_size)
    columns = {"input_ids": [row.input_ids for row in order], "labels": [row.labels for row in order]}
    apart = folder / HELD_OUT
    aside = read_rows(apart, Example) if apart.exists() else []
    held_out = make_rows(aside, tokenizer, how.mode, how.max_length, how.chat_template_kwargs) if aside else []
    measured = HeldOutLoss(held_out, collator, steps, how.micro_batch_size)
    trainer = completion_trainer()(
        model=model,
        args=SFTConfig(
            **trainer_arguments(folder, job.seed, how, steps),
            dataset_kwargs={"skip_prepare_dataset": True},  # the rows are ready: TRL neither cuts nor prepares them
            max_length=None,
        ),
        train_dataset=Dataset.from_dict(columns),
        processing_class=tokenizer,
        peft_config=lora_config(how),
        callbacks=[
            *([measured.callback()] if held_out else []),
            loss_log(folder / "loss.jsonl", tokens, held_out=measured.by_step),
            snapshot_saver(folder, snapshot_steps(steps, how.snapshots)),
            checkpoint_seal(),
        ],
        data_collator=collator,
    )
    return trainer, tokenizer


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), LocalTraining, supervised_trainer))
