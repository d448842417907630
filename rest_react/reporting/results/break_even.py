"""After how many answers a fine-tuning has paid for itself, in dollars and in seconds.

    break_even(run_folder, tuned=rows[-1], other=baseline_row).answers_usd           # 5_400

What training cost, divided by what an answer of the tuned model costs less than one of another model, for example the
untuned one with examples in its prompt. All trainings up to the tuned model's iteration count; Grow and Improve do not,
nor does what a grader costs.
Not here: prices (their settings), and the costs of stages (their summaries).
"""

import math
from pathlib import Path

from rest_react.reporting.results.results_json import BreakEven, ResultRow
from rest_react.storage.run_folder import iterations
from rest_react.storage.summaries import read_summary


def break_even(run_folder: Path, tuned: ResultRow, other: ResultRow) -> BreakEven:
    """The fine-tuning of `tuned` against the answers of `other` to the same benchmark."""
    stages = [run_folder / f"iter_{k}" / "finetune" for k in iterations(run_folder) if k <= tuned.iteration]
    summaries = [summary for stage in stages if (summary := read_summary(stage)) is not None]
    usd = _sum([summary.get("cost_usd") for summary in summaries])
    seconds = _sum([summary.get("seconds") for summary in summaries])
    saved_usd = _less(other.usd_per_answer, tuned.usd_per_answer)
    saved_seconds = _less(other.seconds_per_answer, tuned.seconds_per_answer)
    return BreakEven(
        training_usd=usd,
        saved_usd=saved_usd,
        answers_usd=_answers(usd, saved_usd),
        training_seconds=seconds,
        saved_seconds=saved_seconds,
        answers_seconds=_answers(seconds, saved_seconds),
    )


def _sum(costs: list[float | None]) -> float | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known) if costs and len(known) == len(costs) else None


def _less(other: float | None, tuned: float | None) -> float | None:
    return None if other is None or tuned is None else other - tuned


def _answers(training: float | None, saved: float | None) -> int | None:
    """None where a cost is unknown or nothing is saved."""
    return None if training is None or saved is None or saved <= 0 else math.ceil(training / saved)
