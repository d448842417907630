"""Direct preference optimisation with TRL's DPOTrainer: the model learns to prefer one completion to another.

    python -m rest_react.training.worker.dpo <folder>/job.json

The loss is the mean over pairs of -log sigmoid(beta × (gain of the chosen completion - gain of the rejected one)); a
completion's gain is its log-probability minus that by the reference model, the base of the job. With one process the
reference model is asked before the first step, so that it takes no memory while the policy is trained; a resumed job
loads its checkpoint after that.
A line of loss.jsonl also has `accuracy`, the share of pairs whose chosen completion gained more than the rejected one,
and `margin`, beta times the mean difference of the gains.
Not here: which completions make a pair (stages.improve.preferences).
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rest_react.records import Preference
from rest_react.training.dpo import PREFERENCES, DpoTraining
from rest_react.training.process.job import Job, LocalTraining, read_rows
from rest_react.training.process.snapshots import snapshot_steps
from rest_react.training.rows.order import count_steps, training_order
from rest_react.training.worker.callbacks import checkpoint_seal, loss_log, tokens_after_steps
from rest_react.training.worker.run_job import main
from rest_react.training.worker.saving.snapshot_saver import snapshot_saver
from rest_react.training.worker.trainer_arguments import load_base, lora_config, trainer_arguments
from rest_react.weights.loss_mask import IGNORED, make_rows

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase
    from trl.trainer.dpo_trainer import DPOTrainer

_ALSO = {"accuracy": "rewards/accuracies", "margin": "rewards/margins"}


@dataclass(frozen=True, slots=True)
class PairRow:
    """A preference as tokens, each completion with the end of its turn."""

    trajectory: str
    prompt: tuple[int, ...]
    chosen: tuple[int, ...]
    rejected: tuple[int, ...]

    @property
    def tokens(self) -> int:
        """Both sequences that are trained on."""
        return 2 * len(self.prompt) + len(self.chosen) + len(self.rejected)


def make_pairs(
    preferences: Sequence[Preference], tokenizer: "PreTrainedTokenizerBase", how: LocalTraining
) -> list[PairRow]:
    """One row per preference, in order. Raises UsageError if there are none, or if a completion makes a row longer than
    `max_length`."""
    losers = [replace(preference, completion=preference.rejected) for preference in preferences]
    chosen, rejected = (
        make_rows(rows, tokenizer, how.mode, how.max_length, how.chat_template_kwargs) for rows in (preferences, losers)
    )
    pairs = []
    for good, bad in zip(chosen, rejected, strict=True):
        start = good.labels.count(IGNORED)
        pairs.append(PairRow(good.trajectory, good.input_ids[:start], good.input_ids[start:], bad.input_ids[start:]))
    return pairs


def dpo_trainer(job: Job[DpoTraining]) -> "tuple[DPOTrainer, PreTrainedTokenizerBase]":
    """The trainer over the job's preferences, tokenised and in their order, and the tokenizer."""
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl.trainer.dpo_config import DPOConfig

    folder, how = Path(job.folder), job.training
    tokenizer = AutoTokenizer.from_pretrained(job.base)
    pairs = make_pairs(read_rows(folder / PREFERENCES, Preference), tokenizer, how)
    steps = count_steps(len(pairs), how.batch_size, how.epochs, how.max_steps)
    order = training_order(pairs, how.batch_size, steps, job.seed)
    print(f"pairs={len(pairs)} tokens={sum(pair.tokens for pair in pairs)} steps={steps}", flush=True)
    columns = {
        "prompt_ids": [pair.prompt for pair in order],
        "chosen_ids": [pair.chosen for pair in order],
        "rejected_ids": [pair.rejected for pair in order],
    }
    tokens = tokens_after_steps([pair.tokens for pair in order], how.batch_size)
    trainer = _trainer_of_tokens()(
        model=load_base(job.base, how),
        args=DPOConfig(
            **trainer_arguments(folder, job.seed, how, steps),
            beta=how.beta,
            disable_dropout=how.lora_dropout == 0,  # TRL's default would undo the setting
            max_length=None,  # a row that is too long was refused
            # TRL keeps what it computed in a file that other processes do not find: they hold the reference instead.
            precompute_ref_log_probs=how.num_processes == 1,
        ),
        train_dataset=Dataset.from_dict(columns),
        processing_class=tokenizer,
        peft_config=lora_config(how),
        callbacks=[
            loss_log(folder / "loss.jsonl", tokens, _ALSO),
            snapshot_saver(folder, snapshot_steps(steps, how.snapshots)),
            checkpoint_seal(),
        ],
    )
    return trainer, tokenizer


def _trainer_of_tokens() -> "type[DPOTrainer]":
    from trl.trainer.dpo_trainer import DPOTrainer

    class TokensTrainer(DPOTrainer):
        """DPOTrainer for rows that are tokens already: TRL's own tokenising could form control tokens from text."""

        def _prepare_dataset(self, dataset: "Dataset", *arguments: Any) -> "Dataset":
            return dataset

    return TokensTrainer


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), DpoTraining, dpo_trainer))
