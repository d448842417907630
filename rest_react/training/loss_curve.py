"""The loss curve of a training: `loss.jsonl`, one line a step, read while it grows.

    for line, end in loss_lines(folder / "loss.jsonl", position=0): ...     # {"step": 1, "loss": 3.2, ...}, 74

Not here: writing it (worker.callbacks).
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def loss_lines(losses: Path, position: int) -> Iterator[tuple[dict[str, float], int]]:
    """The whole lines after `position`, each with the position behind it. A line being written waits; a damaged one is
    passed over."""
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


def parsed_object(text: bytes) -> dict[str, Any]:
    """A JSON object; an empty one of a text that is none, as a kill or a power cut leaves it."""
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
