"""The loss curve of a training: `loss.jsonl`, one line a step, read while it grows.

    for line, end in loss_lines(folder / "loss.jsonl", position=0): ...     # {"step": 1, "loss": 3.2, ...}, 74

    loss_curve(folder)[-1]      # (250, 1.4): the last step and its loss

Not here: writing it (worker.callbacks).
"""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_POINTS = 300  # what a screen can show


def loss_lines(losses: Path, position: int) -> Iterator[tuple[dict[str, float], int]]:
    """The complete lines after byte `position`, each with the position of the next line. An incomplete last line is
    left for the next call; damaged lines are skipped."""
    if not losses.is_file():
        return
    with losses.open("rb") as file:
        file.seek(position)
        for line in file:
            if not line.endswith(b"\n"):
                return
            position += len(line)
            read = parsed_object(line)
            if isinstance(read.get("step"), int) and isinstance(read.get("loss"), (int, float)):
                yield read, position


def loss_curve(stage: Path) -> list[tuple[int, float]]:
    """Training loss per step, about 300 points at most, always with the last step. Ignores an incomplete last line."""
    read = (line for line, _ in loss_lines(stage / "loss.jsonl", 0))
    steps = [(int(line["step"]), line["loss"]) for line in read if math.isfinite(line["loss"])]
    kept = steps[:: -(-len(steps) // _POINTS) or 1]
    return kept if kept[-1:] == steps[-1:] else [*kept, steps[-1]]


def last_step(stage: Path) -> int | None:
    """The number of optimiser steps that the curve has; None without a curve."""
    steps = [int(line["step"]) for line, _ in loss_lines(stage / "loss.jsonl", 0)]
    return max(steps, default=None)


def step_times(stage: Path) -> list[tuple[int, float]]:
    """Each step with the seconds that the training had taken, in all its processes; empty where they are not logged."""
    read = (line for line, _ in loss_lines(stage / "loss.jsonl", 0))
    return [(int(line["step"]), line["seconds"]) for line in read if "seconds" in line]


def loss_ends(curve: Sequence[tuple[int, float]]) -> tuple[float, float] | None:
    """The mean loss of the first tenth of a training, and of its last fifth. None with fewer than 5 steps, which say
    nothing."""
    if len(curve) < 5:
        return None
    losses = [loss for _, loss in curve]
    first, last = losses[: max(len(losses) // 10, 1)], losses[-max(len(losses) // 5, 1) :]
    return sum(first) / len(first), sum(last) / len(last)


def stays_up(curve: Sequence[tuple[int, float]]) -> bool:
    """Whether a training did not converge: the mean loss of its last fifth is more than half that of its first
    tenth."""
    ends = loss_ends(curve)
    return ends is not None and ends[1] > ends[0] / 2


def held_out_loss(stage: Path) -> float | None:
    """The last loss on held-out rows; None if there are none."""
    found = [line["held_out_loss"] for line, _ in loss_lines(stage / "loss.jsonl", 0) if "held_out_loss" in line]
    return found[-1] if found else None


def parsed_object(text: bytes) -> dict[str, Any]:
    """A JSON object; empty if the text is not one, as after a kill or a power cut."""
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
