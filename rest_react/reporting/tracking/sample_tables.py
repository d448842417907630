"""Tables of one iteration's trajectories, rankings and verdicts for an experiment tracker.

    sample_tables(Path("outputs/default"), 1)["verdicts"]      # [{"id": "eval-000.0", "verdict": "correct", ...}, ...]

Large tables are sampled (seeded). Gold answers and the grader's reasons, which may quote them, are left out: a tracker
may be a service.
Not here: sending them (reporting.tracking.track_iteration).
"""

import heapq
from collections.abc import Iterator
from pathlib import Path

from rest_react.records import Step
from rest_react.reporting.trajectories import RecordedTrajectory, recorded_trajectories
from rest_react.seeds import derive_seed

_ROWS = {"trajectories": 200, "rankings": 2_000, "verdicts": 5_000}


def sample_tables(run_folder: Path, iteration: int) -> dict[str, list[dict[str, object]]]:
    """Tables with one row per trajectory, ranking and verdict of an iteration; large tables are sampled (seeded)."""
    rows = {"trajectories": _trajectory_row, "rankings": _ranking_rows, "verdicts": _verdict_row}
    found = {}
    for name, read in rows.items():
        every = (row for recorded in recorded_trajectories(run_folder, iteration) for row in read(recorded))
        some = heapq.nsmallest(_ROWS[name], every, key=lambda row: derive_seed("table", row["stage"], row["id"]))
        found[name] = sorted(some, key=lambda row: (str(row["stage"]), str(row["id"])))
    return found


def _trajectory_row(recorded: RecordedTrajectory) -> Iterator[dict[str, object]]:
    trajectory, usage = recorded.trajectory, recorded.trajectory.usage
    steps = (f"{step.kind}: {_text(step, step.chosen)}" for step in trajectory.steps)
    yield {
        "stage": recorded.stage,
        "id": trajectory.id,
        "question": trajectory.question,
        "answer": trajectory.answer,
        "draft": trajectory.draft,
        "outcome": recorded.outcome,
        "fault": trajectory.fault.message if trajectory.fault else "",
        "searches": usage.searches,
        "calls": usage.calls,
        "tokens": usage.prompt_tokens + usage.completion_tokens,
        "steps": "\n\n".join(steps),
    }


def _verdict_row(recorded: RecordedTrajectory) -> Iterator[dict[str, object]]:
    result = recorded.result
    if result is not None:
        yield {
            "stage": recorded.stage,
            "id": result.id,
            "question": recorded.trajectory.question,
            "answer": result.answer,
            "verdict": result.verdict.verdict,
            "before_checks": result.verdict_before_checks.verdict,
            "em": result.em,
            "f1": result.f1,
        }


def _ranking_rows(recorded: RecordedTrajectory) -> Iterator[dict[str, object]]:
    for i, ranking in recorded.rankings.items():
        step = recorded.trajectory.steps[i]
        yield {
            "stage": recorded.stage,
            "id": ranking.id,
            "kind": ranking.kind,
            "selector": ranking.selector,
            "status": ranking.status,
            "moved_on": _text(step, step.chosen),
            "target": _text(step, ranking.best),
            "order": " ".join(map(str, ranking.order)),
            "reply": ranking.reply,
            "good": {True: "yes", False: "no", None: ""}[ranking.good],
        }


def _text(step: Step, candidate: int | None) -> str:
    return "" if candidate is None else step.candidates[candidate].text
