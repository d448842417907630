"""Grow: the policy walks a fixed set of unlabelled questions (paper section 3.3).

    await grow(agent, questions, folder.stage(1, "grow"), repeats=1, seed=7, in_flight=48)

leaves trajectories.jsonl and summary.json in the stage's folder. The questions carry no labels: `Question` has no
field for one. No trajectory is dropped here for how it ended; Improve reads the finished ones.
Not here: one trajectory (agent), and what is learnt from them (improve).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rest_react.agent.rollouts import roll_out
from rest_react.agent.search_agent import SearchAgent
from rest_react.records import Question, Trajectory
from rest_react.store import read_lines, read_summary, write_summary

TRAJECTORIES = "trajectories.jsonl"


async def grow(
    agent: SearchAgent,
    questions: Sequence[Question],
    stage: Path,
    *,
    repeats: int,
    seed: int,
    in_flight: int,
    tolerated: float = 0.0,
    title: str = "grow",
) -> None:
    """Brings the stage to `repeats` trajectories per question. A complete stage is left as it is."""
    if read_summary(stage) is not None:
        return
    started = time.monotonic()
    path = stage / TRAJECTORIES
    await roll_out(
        agent, questions, path, repeats=repeats, seed=seed, in_flight=in_flight, title=title, tolerated=tolerated
    )
    tally = count(path)
    write_summary(stage, {**tally, "seconds": round(time.monotonic() - started, 1)})


@dataclass(slots=True)
class _Tally:
    trajectories: int = 0
    finished: int = 0
    failed_model: int = 0
    failed_outside: int = 0
    searches: int = 0
    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    steps: int = 0
    candidates: int = 0
    unparsable_candidates: int = 0
    identical_steps: int = 0
    without_logprobs: int = 0
    faults: dict[str, int] = field(default_factory=dict)


def count(path: Path) -> dict[str, object]:
    """What a file of trajectories holds: outcomes, cost, and how much its samples differ (docs/metrics.md)."""
    tally = _Tally()
    for trajectory in read_lines(path, Trajectory):
        tally.trajectories += 1
        tally.finished += trajectory.outcome == "finished"
        if trajectory.fault is not None:
            outside = trajectory.fault.whose == "outside"
            tally.failed_outside += outside
            tally.failed_model += not outside
            reason = trajectory.fault.message.split(":", 1)[0].split(" at step")[0][:60]
            tally.faults[reason] = tally.faults.get(reason, 0) + 1
        tally.searches += trajectory.usage.searches
        tally.calls += trajectory.usage.calls
        tally.prompt_tokens += trajectory.usage.prompt_tokens
        tally.completion_tokens += trajectory.usage.completion_tokens
        for step in trajectory.steps:
            if step.forced:
                continue
            tally.steps += 1
            tally.candidates += len(step.candidates)
            tally.unparsable_candidates += sum(bool(candidate.problem) for candidate in step.candidates)
            tally.identical_steps += len({candidate.text for candidate in step.candidates}) == 1
            tally.without_logprobs += any(candidate.logprob is None for candidate in step.candidates)
    steps, trajectories = max(tally.steps, 1), max(tally.trajectories, 1)
    return {
        "trajectories": tally.trajectories,
        "finished": tally.finished,
        "failed_model": tally.failed_model,
        "failed_outside": tally.failed_outside,
        "faults": tally.faults,
        "steps": tally.steps,
        "calls": tally.calls,
        "prompt_tokens": tally.prompt_tokens,
        "completion_tokens": tally.completion_tokens,
        "searches_per_trajectory": round(tally.searches / trajectories, 4),
        "identical_share": round(tally.identical_steps / steps, 4),
        "unparsable_share": round(tally.unparsable_candidates / max(tally.candidates, 1), 4),
        "selected_by_majority_for_want_of_logprobs": tally.without_logprobs,
    }
