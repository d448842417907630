"""Packs the trajectories of a run into the page, so that they can be searched and read without a server.

    packed = pack(Path("outputs/default"), task)
    packed.index         # for filters and search: columns with one entry per trajectory
    packed.blocks[3]     # trajectories 96 to 127, with all samples

Index and blocks are deflated JSON in base64. The page inflates the index at the start, and a block when one of its
trajectories is opened. Of each state only the lines that differ from the previous state are packed, because a state
repeats the previous one. The task decides what a step shows (trajectories.step_view). If the data exceeds `largest`,
only a seeded sample of the trajectories keeps all candidates; the others keep the chosen candidate of each step. If
that is still too much, only a seeded sample of the trajectories is packed at all, each with the chosen candidates.
Not here: how the page shows trajectories (templates/browser.js, templates/conversation.js).
"""

import base64
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from sys import intern
from typing import Any, Literal, TypeAlias

import msgspec

from rest_react.errors import short_reason
from rest_react.records import Ranking, Step
from rest_react.reporting.trajectories import RecordedTrajectory, recorded_trajectories
from rest_react.seeds import derive_seed
from rest_react.tasks.protocol import Task
from rest_react.trajectories.step_view import StepView
from rest_react.weights.common_prefix import common_prefix_length

LARGEST = 30_000_000
PER_BLOCK = 32
_LONGEST = 20_000  # characters of one text, which limits the size of the page
_SEARCHED = 240  # characters of an answer or a fault in the index
_ENTRY = ("stage", "id", "question", "answer", "outcome", "before", "revised", "kind", "fault")  # of the index
Candidates: TypeAlias = Literal["all", "chosen"]
Keep: TypeAlias = Callable[[str], Candidates | None]  # by stage and id; None: the trajectory is not packed


@dataclass(frozen=True, slots=True)
class Packed:
    """The packed data. `trajectories` counts the packed trajectories, `whole` those with all candidates, `total` all
    trajectories of complete stages; sizes are in characters."""

    index: str
    blocks: tuple[str, ...]
    trajectories: int
    whole: int
    total: int

    @property
    def size(self) -> int:
        """The size of index and blocks together."""
        return len(self.index) + sum(map(len, self.blocks))


def pack(run_folder: Path, task: Task, largest: int = LARGEST) -> Packed:
    """Packs the trajectories of complete stages, in about `largest` characters."""
    whole, size = _pack(run_folder, task, lambda _: "all", largest)
    if whole is not None:
        return whole
    _, bare = _pack(run_folder, task, lambda _: "chosen", 0)
    if bare > largest:
        drawn = _drawn("trajectories", 0.98 * largest / bare)
        sampled, _ = _pack(run_folder, task, lambda key: "chosen" if drawn(key) else None)
    else:
        drawn = _drawn("candidates", 0.98 * (largest - bare) / max(size - bare, 1))
        sampled, _ = _pack(run_folder, task, lambda key: "all" if drawn(key) else "chosen")
    assert sampled is not None
    return sampled


def _drawn(name: str, share: float) -> Callable[[str], bool]:
    """A seeded draw of about this share of the trajectories: of an answer all iterations or none, since the page
    compares them."""
    return lambda key: derive_seed(name, key.partition("/")[2]) < share * 2**63


def _pack(run_folder: Path, task: Task, keep: Keep, largest: float = math.inf) -> tuple[Packed | None, int]:
    """The packed data, or None if they are larger than `largest`, and their size. Data that are too large are counted
    without being kept in memory."""
    columns: dict[str, list[object]] = {name: [] for name in _ENTRY}
    blocks: list[str] = []
    waiting: list[dict[str, Any]] = []
    whole = total = size = 0

    def close_block() -> None:
        nonlocal size
        block = _deflated(waiting)
        waiting.clear()
        size += len(block)
        if size <= largest:
            blocks.append(block)
        else:
            blocks.clear()

    for recorded in recorded_trajectories(run_folder):
        kept = keep(f"{recorded.stage}/{recorded.trajectory.id}")
        total += 1
        if kept is None:
            continue
        whole += kept == "all"
        for name, value in _entry(recorded).items():
            columns[name].append(intern(value) if isinstance(value, str) else value)
        waiting.append(_opened(recorded, task, whole=kept == "all"))
        if len(waiting) == PER_BLOCK:
            close_block()
    if waiting:
        close_block()
    index = _deflated({**columns, "per_block": PER_BLOCK})
    size += len(index)
    if size > largest:
        return None, size
    return Packed(index, tuple(blocks), len(columns["id"]), whole, total), size


def _deflated(value: object) -> str:
    return base64.b64encode(zlib.compress(msgspec.json.encode(value), 9)).decode("ascii")


def _entry(recorded: RecordedTrajectory) -> dict[str, object]:
    """One entry of the index."""
    trajectory, result = recorded.trajectory, recorded.result
    fault = trajectory.fault
    return {
        "stage": recorded.stage,
        "id": trajectory.id,
        "question": trajectory.question[:_LONGEST],
        "answer": trajectory.answer[:_SEARCHED],
        "outcome": recorded.outcome,
        "before": result.verdict_before_checks.verdict if result and trajectory.draft else "",
        "revised": trajectory.draft != trajectory.answer,
        "kind": result.kind if result else "",
        "fault": short_reason(fault.message)[:_SEARCHED] if fault else "",
    }


def _opened(recorded: RecordedTrajectory, task: Task, *, whole: bool) -> dict[str, Any]:
    """One trajectory for the page; `cut` is True if a text was shortened."""
    trajectory, result = recorded.trajectory, recorded.result
    parsed = [task.parse(_alone(step)) for step in trajectory.steps]
    states = ["", *(step.state for step in trajectory.steps)]
    opened = {
        "draft": trajectory.draft,
        "answer": trajectory.answer,
        "fault": trajectory.fault,
        "usage": trajectory.usage,
        "verdict": result and result.verdict,
        "before": result and result.verdict_before_checks,
        "golds": result.golds if result else (),
        "hops": result and result.hops,
        "steps": [
            _opened_step(step, view, states[i], recorded.rankings.get(i), whole=whole)
            for i, (step, view) in enumerate(zip(trajectory.steps, task.render(parsed), strict=True))
        ],
        "cut": False,
    }
    plain: dict[str, Any] = msgspec.to_builtins(opened)
    if len(msgspec.json.encode(plain)) > _LONGEST and (cut := _cut(plain)) != plain:
        return {**cut, "cut": True}
    return plain


def _alone(step: Step) -> Step:
    """The step with its chosen candidate only."""
    return step if step.chosen is None else replace(step, candidates=(step.candidates[step.chosen],), chosen=0)


def _opened_step(step: Step, view: StepView, before: str, ranking: Ranking | None, *, whole: bool) -> dict[str, Any]:
    """One step for the page. `state` has the number of lines shared with the previous state and the other lines;
    `samples` is the number of candidates before packing."""
    kept = step if whole or step.chosen is None else _alone(step)
    return {
        "kind": step.kind,
        "title": view.title,
        "parts": view.parts,
        "state": _difference(before, step.state),
        "candidates": kept.candidates,
        "samples": len(step.candidates),
        "chosen": kept.chosen,
        "ranking": ranking if whole else None,
    }


def _difference(before: str, state: str) -> dict[str, object]:
    old, new = before.split("\n"), state.split("\n")
    same = min(common_prefix_length(old, new), len(new) - 1)  # the rest has at least one line
    return {"same": same, "rest": "\n".join(new[same:])}


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= _LONGEST else f"{value[:_LONGEST]} … ({len(value):,} characters)"
    if isinstance(value, list):
        return [_cut(inner) for inner in value]
    return {key: _cut(inner) for key, inner in value.items()} if isinstance(value, dict) else value
