"""Choose: which of the models of one training goes on, by its accuracy on a benchmark (paper section 4.2).

    model = await choose_model({55: early, 110: last}, evaluate_model, folder.stage(1, "choose"), benchmark="bamboogle")

writes model.json and summary.json into the stage's folder, beside the answers of each model. training.txt there names
their training: answers and a choice that another training has left are made anew. The models answer the same questions
with the same seeds; an answer that is unscored for one model counts for none. Of equally good models the one with the
most steps is chosen, as without a choice. The accuracy of the chosen model is the best of several, so it is too high as
an estimate: the paper keeps a second benchmark for that.
Not here: the models (Trainer), and their evaluation (stages.evaluate).
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from statistics import fmean

from rest_react.errors import OutsideFault
from rest_react.records import ModelRef, Result
from rest_react.stages.evaluate import RESULTS, reopen_unscored
from rest_react.stages.finetune import MODEL, digest_of_training, read_model
from rest_react.storage.files import remove, write_file, write_json
from rest_react.storage.jsonl import read_lines
from rest_react.storage.summaries import read_summary, write_summary

TRAINING = "training.txt"


async def choose_model(
    models: Mapping[int, ModelRef],
    evaluate_model: Callable[[ModelRef, Path, str], Awaitable[None]],
    stage: Path,
    *,
    benchmark: str,
) -> ModelRef:
    """Evaluates each model into a folder of its own, and returns the best. `models` has them by their steps;
    `evaluate_model(model, folder, title)` does nothing where the folder is complete. Raises OutsideFault if no answer
    is scored for all of them. A complete stage returns its model at once."""
    if _is_of_another_training(stage):
        remove(stage)
    if read_summary(stage) is not None:
        return read_model(stage)
    write_file(stage / TRAINING, digest_of_training(stage.parent / "finetune"))
    started = time.monotonic()
    scores = {}
    for steps, model in sorted(models.items()):
        folder = stage / str(steps)
        await evaluate_model(model, folder, f"model after {steps} steps")
        scores[steps] = {result.id: result.score for result in read_lines(folder / RESULTS, Result)}
    common = [id_ for id_ in next(iter(scores.values())) if all(of.get(id_) is not None for of in scores.values())]
    if not common:
        for steps in models:
            reopen_unscored(stage / str(steps))
        raise OutsideFault(
            f"{stage}: no answer is scored for every model, so none can be chosen; run the same command again to "
            "grade them again"
        )
    accuracy = {steps: fmean(of[id_] or 0.0 for id_ in common) for steps, of in scores.items()}
    best = max(accuracy, key=lambda steps: (accuracy[steps], steps))
    write_json(stage / MODEL, models[best])
    told = {
        "benchmark": benchmark,
        "chosen_steps": best,
        "model": models[best].name,
        "accuracy": {str(steps): round(share, 4) for steps, share in accuracy.items()},
        "scored_answers": len(common),
        "seconds": round(time.monotonic() - started, 1),
    }
    write_summary(stage, told)
    return models[best]


def _is_of_another_training(stage: Path) -> bool:
    """Whether the answers and the choice in `stage`, if any, are not known to be of the models that are there now."""
    told = stage / TRAINING
    return not told.exists() or told.read_bytes() != digest_of_training(stage.parent / "finetune").encode()


def model_of_iteration(iteration: Path) -> ModelRef | None:
    """The model with which an iteration in `iteration` goes on: the one chosen among those of its training, else the
    last of these; None if neither is complete."""
    chosen, trained = iteration / "choose", iteration / "finetune"
    if read_summary(chosen) is not None and not _is_of_another_training(chosen):
        return read_model(chosen)
    return None if read_summary(trained) is None else read_model(trained)


def weights_of_iteration(iteration: Path) -> Path | None:
    """The folder of that model's weights; None if the run has none."""
    model = model_of_iteration(iteration)
    return iteration.parent / model.name if model is not None and model.where == "local" else None
