"""Improve: selects the training target of each step, and the steps that train (paper section 3.5).

    await improve(task, grown / "trajectories.jsonl", folder.stage(1, "improve"), rules=Rules("perplexity"), ...)

writes rankings.jsonl, examples.jsonl and summary.json. Off-policy, as in the paper: the selected sample becomes the
target of its own step only; later states keep the sample that was chosen in the rollout. This module has no access to
labels: it reads trajectories, which have none.

The target is the canonical text of the action (ParsedAction.target), without code fence and surrounding text.
Not here: which trajectories and steps may train (stages.improve.trainable_steps), the choice of the
candidate (selection.selectors), the record of the choice (selection.rank_step), and the counts of the summary
(stages.improve.improve_summary).
"""

import heapq
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from rest_react.metrics.prices import Price, bill
from rest_react.records import Example, OptionRanking, Ranking, TrajectoryVerdict
from rest_react.seeds import derive_seed
from rest_react.selection.opinions import StepJudge
from rest_react.selection.rank_step import is_decided, rank_step, reward_model_answers
from rest_react.selection.selectors import SELECTORS
from rest_react.selection.trajectory_filters import ASK_REWARD_MODEL
from rest_react.stages.executor import StageRecords, run_owed
from rest_react.stages.improve.improve_summary import notes_of, option_counts, summary_of
from rest_react.stages.improve.judge_trajectories import (
    VERDICTS,
    has_verdict,
    judge_trajectories,
    verdict_counts,
)
from rest_react.stages.improve.trainable_steps import Rules, StepToRank, left_out, most_steps, steps_to_rank
from rest_react.storage.jsonl import read_lines, replace_lines
from rest_react.storage.summaries import read_summary, reopen, write_summary
from rest_react.tasks.protocol import Task
from rest_react.terminal.console import say

EXAMPLES, RANKINGS = "examples.jsonl", "rankings.jsonl"


async def improve(
    task: Task,
    trajectories: Path,
    stage: Path,
    *,
    rules: Rules,
    reward_model: StepJudge | None,
    seed: int,
    in_flight: int,
    prices: Mapping[str, Price],
    title: str = "improve",
) -> None:
    """Ranks every trainable step and writes the examples, unless the stage is complete. Raises StageIncomplete if more
    than the share `rules.tolerate_outside_faults` of the rankings failed because of external errors."""
    if read_summary(stage) is not None:
        return
    started = time.monotonic()
    rankings, again = stage / RANKINGS, not _has_trained(stage)
    judged_before = rules.keep_trajectories not in ASK_REWARD_MODEL or (stage / VERDICTS).exists()
    if rules.keep_trajectories in ASK_REWARD_MODEL:
        assert reward_model is not None
        await judge_trajectories(
            task, trajectories, stage,
            judge=reward_model, keep=rules.keep_trajectories, seed=seed, in_flight=in_flight, title=title,
            tolerated=rules.tolerate_outside_faults, again=again,
        )  # fmt: skip
    bad = left_out(stage, trajectories, rules)

    async def rank(id_: str, item: StepToRank) -> Ranking:
        return await rank_step(
            id_, item.trajectory, item.index, item.usable,
            selector=rules.selector, keep=rules.keep, reward_model=reward_model, seed=derive_seed(seed, id_),
        )  # fmt: skip

    by_options = reward_model is not None and reward_model.by_options
    records = replace(
        _RECORDS,
        kind=OptionRanking if by_options else Ranking,
        keep=_still_counts(task, trajectories, rules, bad, seed) if again or not judged_before else lambda _: True,
    )
    await run_owed(
        records, rankings, steps_to_rank(task, trajectories, rules, Counter(), bad), rank,
        total=most_steps(trajectories), in_flight=in_flight, title=title, tolerated=rules.tolerate_outside_faults,
    )  # fmt: skip
    tally = Counter[str]()
    steps = steps_to_rank(task, trajectories, rules, tally, bad)
    replace_lines(stage / EXAMPLES, _examples(steps, rankings, _drawn(rankings, rules.max_examples, seed), tally))
    summary = _summary(stage, tally, rules, by_options=by_options)
    cost = bill(prices, reward_model=(summary["prompt_tokens"], summary["completion_tokens"]))
    write_summary(stage, {**summary, **cost, "seconds": round(time.monotonic() - started, 1)})
    for note in notes_of(summary):
        say(f"note: {title}: {note}")


def _summary(stage: Path, tally: Counter[str], rules: Rules, *, by_options: bool) -> dict[str, Any]:
    """The counts of rankings, and of verdicts on trajectories if they were asked for, with the tokens of both."""
    rankings, judged = stage / RANKINGS, rules.keep == "judged_good"
    summary = summary_of(rankings, tally, selector=rules.selector, judged=judged)
    if by_options:
        summary |= option_counts(rankings)
    if rules.keep_trajectories in ASK_REWARD_MODEL:
        counts = verdict_counts(stage, rules.keep_trajectories)
        summary |= counts | {name: summary[name] + counts[name] for name in ("prompt_tokens", "completion_tokens")}
    return summary


def _still_counts(
    task: Task, trajectories: Path, rules: Rules, bad: Collection[str], seed: int
) -> Callable[[Ranking], bool]:
    """Whether a resumed stage keeps a ranking: it is decided, and the step trains and has the same candidates now:
    later verdicts may have changed both."""
    if rules.keep_trajectories not in ASK_REWARD_MODEL:
        return is_decided

    @cache  # a new stage has no ranking, and needs no pass over the trajectories
    def steps() -> dict[str, tuple[tuple[int, ...], int]]:
        """The candidates of each step that trains, and the one that is chosen without the reward model."""
        choose = SELECTORS[rules.selector]
        return {
            id_: (item.usable, choose(item.trajectory, item.index, item.usable, derive_seed(seed, id_)))
            for id_, item in steps_to_rank(task, trajectories, rules, Counter(), bad)
        }

    def counts(ranking: Ranking) -> bool:
        usable, chosen = steps().get(ranking.id, ((), None))
        if not is_decided(ranking) or ranking.best not in usable:
            return False
        if ranking.order:
            return set(ranking.order) == set(usable)
        asked = rules.selector == "reward_model" and len(usable) > 1
        return ranking.best == chosen and (ranking.status == "fallback" or not asked)

    return counts


_RECORDS = StageRecords(
    Ranking,
    noun="rankings",
    role="reward_model",
    keep=is_decided,
    outside_error=lambda ranking: ranking.reply if ranking.status == "errored" else None,
    answers=reward_model_answers,
)


def _has_trained(stage: Path) -> bool:
    """Whether a training has used the examples. Then they stay as they are: where the file is made again because it was
    damaged, nothing is asked again."""
    return any((stage.parent / "finetune").glob("*"))


def reopen_refused(stage: Path) -> None:
    """Makes a complete Improve incomplete if it has refused rankings or missing verdicts, so that the next command
    retries these; unless a training has already used them."""
    if _has_trained(stage) or read_summary(stage) is None:
        return
    decided = all(map(is_decided, read_lines(stage / RANKINGS, Ranking)))
    if not decided or not all(map(has_verdict, read_lines(stage / VERDICTS, TrajectoryVerdict))):
        reopen(stage)


def _examples(
    steps: Iterable[tuple[str, StepToRank]], rankings: Path, drawn: Collection[str] | None, tally: Counter[str]
) -> Iterator[Example]:
    """The training rows: the state of each step and the target of its best candidate. Steps judged bad, and those that
    are not `drawn`, are left out; steps that could not be judged are kept. What the rankings chose is counted in
    `tally`."""
    for (id_, item), ranking in zip(steps, read_lines(rankings, Ranking), strict=True):
        parsed, step = item.step, item.step.step
        target = parsed.actions[ranking.best].target
        changed = parsed.chosen is None or target != parsed.chosen.target  # from the action chosen in the rollout
        tally["ranked_steps"] += 1
        tally["steps_with_a_choice"] += len(item.usable) > 1
        tally["targets_changed"] += changed
        tally["targets_respelled"] += target != step.candidates[ranking.best].text
        tally["equal_steps"] += parsed.all_equal
        if ranking.good is not False and (drawn is None or id_ in drawn):
            tally["examples"] += 1
            tally["examples_changed"] += changed
            trajectory_id = item.trajectory.trajectory.id
            yield Example(id_, trajectory_id, item.index, step.kind, step.state, target, ranking.selector)


def _drawn(rankings: Path, n: int | None, seed: int) -> Collection[str] | None:
    """The ids of a random sample of n examples; None for all. A larger n with the same seed contains the sample of a
    smaller n."""
    if n is None:
        return None
    ids = (ranking.id for ranking in read_lines(rankings, Ranking) if ranking.good is not False)
    return frozenset(heapq.nsmallest(n, ids, key=lambda id_: derive_seed(seed, "drawn", id_)))
