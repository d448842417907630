"""One of two processes that hold half of each weight. It trains one step from `base`, saves and publishes the whole
weights, and trains another step from what was published:

    python -m tests.training.worker.saving.sharded <base> <folder> <rank>
    # <folder>/first/model, <folder>/second/trained

Not here: the comparison with a model that is not sharded (test_shards).
"""

import sys
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from torch.distributed.fsdp import fully_shard
from transformers import AutoTokenizer, PreTrainedModel

from rest_react.training.process.job import LocalTraining
from rest_react.training.worker.completion_loss import as_padded, summed_loss
from rest_react.training.worker.saving.publish import publish
from rest_react.training.worker.saving.shards import is_sharded, save_whole
from rest_react.training.worker.trainer_arguments import load_base
from rest_react.weights.loss_mask import IGNORED
from tests.serving import TRAINING

PROCESSES = 2
ROWS: list[dict[str, list[int]]] = [
    {"input_ids": [*range(5 + i, 9 + i), 40 + i, 41], "labels": [*[IGNORED] * 4, 40 + i, 41]} for i in range(4)
]
TARGETS = 2 * len(ROWS)


def load(base: str, how: LocalTraining = TRAINING) -> PreTrainedModel:
    """The model as a training loads it."""
    return load_base(base, how)


def train_step(model: PreTrainedModel, rows: list[dict[str, list[int]]], processes: int) -> None:
    """One step of AdamW on the mean loss over all targets; gradients are averaged over the processes."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    total, _, _ = summed_loss(model, as_padded(rows))
    (total * processes / TARGETS).backward()
    optimizer.step()
    optimizer.zero_grad()


def main(base: str, folder: Path, rank: int) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=PROCESSES)
    for source, name in ((base, "first"), (str(folder / "first" / "model"), "second")):
        model: Any = load(source)
        assert not is_sharded(model)
        for layer in model.model.layers:
            fully_shard(layer)
        fully_shard(model)
        assert is_sharded(model)
        train_step(model, ROWS[rank::PROCESSES], PROCESSES)
        save_whole(model, folder / name / "trained")
        if (name, rank) == ("first", 0):
            publish(base, folder / name / "trained", AutoTokenizer.from_pretrained(base), folder / "loss.jsonl")
        distributed.barrier()
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
