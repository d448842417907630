"""Callbacks of a training: write a line of the loss curve after each step, and seal each checkpoint.

    {"step": 40, "loss": 0.31, "learning_rate": 0.0002, "tokens": 81920, "seconds": 93.5}       a line of loss.jsonl

Not here: reading the curve (training.process.loss_curve), and when a checkpoint is complete
(training.process.checkpoints).
"""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rest_react.storage.files import flush
from rest_react.training.process.checkpoints import seal_checkpoint
from rest_react.training.worker.divergence import refuse_diverged_step

if TYPE_CHECKING:
    from transformers import TrainerCallback


def loss_log(
    path: Path,
    tokens: Sequence[int],
    also: Mapping[str, str] | None = None,
    held_out: Mapping[int, float] | None = None,
) -> "TrainerCallback":
    """Appends one line a step to `path`. `tokens[i]` counts the tokens trained on in the first i+1 steps; `also` maps
    further names of a line to what the Trainer logs them under; `held_out` has the loss on held-out rows after some of
    the steps."""
    from transformers import TrainerCallback

    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    began = time.monotonic() - (json.loads(lines[-1])["seconds"] if lines else 0.0)

    class LossLog(TrainerCallback):
        """One line per step, whole before the next step begins."""

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> None:
            if "loss" not in logs:
                return
            refuse_diverged_step(state.global_step, logs["loss"], logs.get("grad_norm", 0.0), logs["learning_rate"])
            if not state.is_world_process_zero:
                return
            line = {
                "step": state.global_step,
                "loss": logs["loss"],
                "learning_rate": logs["learning_rate"],
                "tokens": tokens[state.global_step - 1],
                "seconds": round(time.monotonic() - began, 3),
                **{name: logs[logged] for name, logged in (also or {}).items()},
            }
            if held_out and state.global_step in held_out:
                line["held_out_loss"] = held_out[state.global_step]
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")

    return LossLog()


def tokens_after_steps(lengths: Sequence[int], batch_size: int) -> list[int]:
    """How many tokens the first 1, 2, ... steps train on, by the lengths of the rows in their order."""
    sums, total = [], 0
    for start in range(0, len(lengths), batch_size):
        total += sum(lengths[start : start + batch_size])
        sums.append(total)
    return sums


def checkpoint_seal() -> "TrainerCallback":
    """Seals each checkpoint (training.process.checkpoints), at the interval of this command."""
    from torch import distributed
    from transformers import TrainerCallback

    class CheckpointSeal(TrainerCallback):
        """Seals a checkpoint once every process has written its part."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            state.save_steps = args.save_steps  # a state that resumes has the interval of the earlier command

        def on_save(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            if distributed.is_available() and distributed.is_initialized():
                distributed.barrier()
            if state.is_world_process_zero:
                losses = Path(args.output_dir).parent / "loss.jsonl"
                if losses.exists():
                    flush(losses)  # a training that resumes here does not write these lines again
                seal_checkpoint(Path(args.output_dir) / f"checkpoint-{state.global_step}")

    return CheckpointSeal()
