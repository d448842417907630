"""Grow: the policy answers a fixed set of unlabelled questions (paper section 3.3).

    await grow(task, policy, questions, folder.stage(1, "grow"), repeats=1, seed=7, in_flight=48, prices=prices)

writes trajectories.jsonl and summary.json into the stage's folder. The questions carry no labels: `Question` has no
field for one. Failed trajectories are kept; Improve uses the finished ones.
Not here: one rollout (tasks), and the selection of training data (stages.improve.improve).
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rest_react.errors import short_reason
from rest_react.metrics.prices import Price, bill
from rest_react.records import Question, Trajectory
from rest_react.stages.rollouts import TRAJECTORIES, answer_all, page_counts, tokens_by_role
from rest_react.storage.jsonl import read_lines
from rest_react.storage.summaries import read_summary, write_summary
from rest_react.tasks.protocol import Policy, Task
from rest_react.trajectories.parsed import SUPPLIED


async def grow(
    task: Task,
    policy: Policy,
    questions: Sequence[Question],
    stage: Path,
    *,
    repeats: int,
    seed: int,
    in_flight: int,
    prices: Mapping[str, Price],
    tolerated: float = 0.0,
    title: str = "grow",
) -> None:
    """Samples `repeats` trajectories per question. Does nothing if the stage is complete."""
    if read_summary(stage) is not None:
        return
    started = time.monotonic()
    path = stage / TRAJECTORIES
    await answer_all(
        task, policy, questions, path, repeats=repeats, seed=seed, in_flight=in_flight, title=title, tolerated=tolerated
    )
    tally = count(path, by_perplexity=policy.select in ("perplexity", "verified")) | page_counts(path, title)
    cost = bill(prices, **tokens_by_role(task, path))
    write_summary(stage, {**tally, **cost, "seconds": round(time.monotonic() - started, 1)})


def count(path: Path, *, by_perplexity: bool) -> dict[str, Any]:
    """The counts of a file of trajectories: outcomes, tokens, and how much samples differ (docs/metrics.md)."""
    tally: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    for trajectory in read_lines(path, Trajectory):
        tally["trajectories"] += 1
        if trajectory.fault is None:
            tally["finished"] += 1
        else:
            tally[f"failed_{trajectory.fault.whose}"] += 1
            faults[short_reason(trajectory.fault.message)] += 1
        usage = trajectory.usage
        tally.update(searches=usage.searches, calls=usage.calls)
        tally.update(prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens)
        for step in trajectory.steps:
            if step.forced:
                continue
            sampled = [candidate for candidate in step.candidates if candidate.finish != SUPPLIED]
            parsable = [candidate for candidate in sampled if not candidate.problem]
            tally["steps"] += 1
            tally["candidates"] += len(sampled)
            tally["unparsable"] += len(sampled) - len(parsable)
            tally["identical"] += len({candidate.text for candidate in sampled}) == 1
            tally["supplied"] += len(step.candidates) - len(sampled)
            tally["without_logprobs"] += any(candidate.perplexity is None for candidate in parsable)
            tally["of_whole_samples"] += any(c.logprob is not None and not c.action_tokens for c in parsable)
    names = "trajectories finished failed_model failed_outside steps calls prompt_tokens completion_tokens"
    return {
        **{name: tally[name] for name in names.split()},
        "faults": dict(faults),
        "searches_per_trajectory": _share(tally["searches"], tally["trajectories"]),
        "identical_share": _share(tally["identical"], tally["steps"]),
        "unparsable_share": _share(tally["unparsable"], tally["candidates"]),
        "supplied_actions": tally["supplied"],
        "selected_by_majority_for_want_of_logprobs": tally["without_logprobs"] if by_perplexity else 0,
        "selected_by_perplexity_of_whole_samples": tally["of_whole_samples"] if by_perplexity else 0,
    }


def _share(part: int, whole: int) -> float | None:
    """The share, or the mean; None of nothing."""
    return round(part / whole, 4) if whole else None
