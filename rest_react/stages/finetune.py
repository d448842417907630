"""Finetune: trains the next model on the examples (paper section 3.4).

    model = await finetune(trainer, examples, base, folder.stage(1, "finetune"), seed=7)

writes model.json and summary.json into the stage's folder, beside the files of the trainer (weights, loss curve, id
of a hosted job). A complete stage returns its model at once. For preferences, `base` is also the reference model.
`digest_of_training` names what a training made, for stages that depend on it.
Not here: the training itself (training.local, training.hosted).
"""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from rest_react.errors import RunFolderError, UsageError
from rest_react.metrics.prices import NO_PRICE, Price, bill
from rest_react.protocols import Trainer
from rest_react.records import Example, ModelRef, Preference
from rest_react.storage.files import make_folder, write_json
from rest_react.storage.integrity import SUMMARY, WEIGHTS, stored_files
from rest_react.storage.jsonl import read_lines
from rest_react.storage.summaries import read_summary, write_summary
from rest_react.training.process.loss_curve import held_out_loss, last_step, step_times
from rest_react.training.rows.holdout import HELD_OUT
from rest_react.training.rows.trained_tokens import trained_tokens

MODEL = "model.json"


async def finetune(
    trainer: Trainer,
    examples: Iterable[Example],
    base: ModelRef,
    stage: Path,
    *,
    seed: int,
    origin: Callable[[Example], str] | None = None,
    price: Price = NO_PRICE,
) -> ModelRef:
    """Tunes `base` on `examples`; the summary counts those that trained (not those that the trainer held out) by their
    `origin`, and has the cost at the `price` of tokens trained on. Raises UsageError if there are no examples."""
    if read_summary(stage) is not None:
        return read_model(stage)
    started = time.monotonic()
    rows = list(examples)
    if not rows:
        raise UsageError(
            f"{stage}: Improve selected no examples, so there is no training data. Check the summary.json of grow and "
            "improve: did trajectories fail, or are the filters too strict? A small model may need more demonstrations "
            "(world.demonstrations) or epochs (finetune.epochs). Preferences (finetune=dpo) need steps whose samples "
            "differ: raise grow.samples or grow.temperature."
        )
    make_folder(stage)
    resumed, before = any(stage.iterdir()), step_times(stage)
    model = await trainer.train(rows, base, stage, seed)
    write_json(stage / MODEL, model)
    held_out = {(row.id, row.prompt) for row in read_lines(stage / HELD_OUT, Example)}
    trained = [row for row in rows if (row.id, row.prompt) not in held_out]
    told = {
        "examples": len(trained),
        "rows_by_origin": dict(Counter(map(origin, trained))) if origin else {},
        "steps": last_step(stage),
        "held_out_loss": held_out_loss(stage),
        "learns_from": "preferences" if isinstance(rows[0], Preference) else "examples",
        "base": base.name,
        "model": model.name,
        **_cost(trained_tokens(stage), price),
        "seconds": _seconds(time.monotonic() - started, resumed, before, step_times(stage)),
    }
    write_summary(stage, told)
    return model


def digest_of_training(stage: Path) -> str:
    """Names the models of a complete training by the digests in its summary: the hosted model, or all weights. Empty
    while it is incomplete. The repair of a damaged model.json does not change it."""
    if read_summary(stage) is None:
        return ""
    files = stored_files((stage / SUMMARY).read_bytes())
    made = {name: state.digest for name, state in files.items() if name == MODEL or f"{WEIGHTS}/" in name}
    return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:16]


def _seconds(
    elapsed: float, resumed: bool, before: Sequence[tuple[int, float]], curve: Sequence[tuple[int, float]]
) -> float | None:
    """The seconds of a training, of which `elapsed` in this process. If it `resumed`, those of the steps that are kept
    from `before` are added; None where the curve has no times: a hosted job goes on while no process waits."""
    if resumed and not curve:
        return None
    kept = [one[1] for one, now in zip(before, curve, strict=False) if one == now]
    return round(elapsed + max(kept, default=0.0), 1)


def _cost(tokens: int | None, price: Price) -> dict[str, object]:
    """The entries of the summary on tokens and money."""
    if tokens is None and price != NO_PRICE:
        unknown = {"cost_usd": None, "cost_reason": "the trainer does not tell how many tokens it read"}
        return {"trained_tokens": None, **unknown}
    return {"trained_tokens": tokens, **bill({"finetune": price}, finetune=(tokens or 0, 0))}


def read_model(stage: Path) -> ModelRef:
    """The model of a complete stage. Raises RunFolderError if model.json cannot be read."""
    path = stage / MODEL
    try:
        return msgspec.json.decode(path.read_bytes(), type=ModelRef)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RunFolderError(
            f"{path} cannot be read ({error}). Delete it and {stage / 'summary.json'}, then run the same command "
            "again: it makes the file from the weights or the hosted job of the stage."
        ) from error
