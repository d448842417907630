"""Choose: which of the models of one training goes on, by its accuracy on a benchmark (paper section 4.2).

    choice = await choose_model({55: early, 110: last}, evaluate_model, folder.stage(1, "choose"))
    choice.steps, choice.accuracy                     # 55, {"55": 0.62, "110": 0.6}

The models answer the same questions with the same seeds; an answer that is unscored for one model counts for none. Of
equally good models the one with the most steps is chosen, as without a choice. The accuracy of the chosen model is the
best of several, so it is too high as an estimate: the paper keeps a second benchmark for that.
Not here: the models (Trainer), and their evaluation (stages.evaluate).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from rest_react.errors import OutsideFault
from rest_react.records import ModelRef, Result
from rest_react.stages.evaluate import RESULTS
from rest_react.storage.jsonl import read_lines


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen model, the optimiser steps of its training, the folder with its answers, and the accuracy of each
    model by its steps, from 0 to 1."""

    model: ModelRef
    steps: int
    answers: Path
    accuracy: Mapping[str, float]


async def choose_model(
    models: Mapping[int, ModelRef], evaluate_model: Callable[[ModelRef, Path, str], Awaitable[None]], stage: Path
) -> Choice:
    """Evaluates each model into a folder of its own, and chooses the best. `models` has them by their steps;
    `evaluate_model(model, folder, title)` does nothing where the folder is complete. Raises OutsideFault if no answer
    is scored for all of them."""
    scores = {}
    for steps, model in sorted(models.items()):
        folder = stage / str(steps)
        await evaluate_model(model, folder, f"model after {steps} steps")
        scores[steps] = {result.id: _score(result) for result in read_lines(folder / RESULTS, Result)}
    common = [id_ for id_ in next(iter(scores.values())) if all(of.get(id_) is not None for of in scores.values())]
    if not common:
        raise OutsideFault(
            f"{stage}: no answer is scored for every model, so none can be chosen; run the same command again to grade "
            "them, or set evaluate.choose_by=null"
        )
    accuracy = {steps: fmean(of[id_] or 0.0 for id_ in common) for steps, of in scores.items()}
    best = max(accuracy, key=lambda steps: (accuracy[steps], steps))
    return Choice(models[best], best, stage / str(best), {str(steps): share for steps, share in accuracy.items()})


def _score(result: Result) -> float | None:
    """1, 0, or None where an external error left the answer unscored. A failure of the model is incorrect."""
    if result.fault is not None:
        return None if result.fault.whose == "outside" else 0.0
    return {"correct": 1.0, "incorrect": 0.0}.get(result.verdict.verdict)
