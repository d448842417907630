"""Improve: selects the training target of each step, and the steps that train (paper section 3.5).

    await improve(task, grown / "trajectories.jsonl", folder.stage(1, "improve"), rules=Rules("perplexity"), ...)

writes rankings.jsonl, examples.jsonl and summary.json. Off-policy, as in the paper: the selected sample becomes the
target of its own step only; later states keep the sample that was chosen in the rollout. This module has no access to
labels: it reads trajectories, which have none.

The target is the canonical text of the action (ParsedAction.target), without code fence and surrounding text. Each
candidate is parsed once.
Not here: which trajectories and steps may train (selection.trajectory_filters, selection.filters), the choice of the
candidate (selection.selectors), the record of the choice (selection.rank_step), and the counts of the summary
(stages.improve.improve_summary).
"""

import heapq
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, TypeAlias

from rest_react.metrics.prices import Price, bill
from rest_react.records import Example, OptionRanking, Ranking, Trajectory, TrajectoryVerdict
from rest_react.seeds import derive_seed
from rest_react.selection.filters import Keep, trainable_steps
from rest_react.selection.good_steps import RejectedTrajectories, gathered, good_candidates
from rest_react.selection.opinions import StepJudge
from rest_react.selection.rank_step import is_decided, rank_step, reward_model_answers
from rest_react.selection.selectors import SelectorName
from rest_react.selection.trajectory_filters import ASK_REWARD_MODEL, TRAJECTORY_FILTERS, KeepTrajectories
from rest_react.selection.trajectory_signals.likelihood import unlikely
from rest_react.stages.executor import StageRecords, run_owed
from rest_react.stages.improve.improve_summary import Choice, notes_of, option_counts, summary_of
from rest_react.stages.improve.judge_trajectories import (
    VERDICTS,
    has_verdict,
    judge_trajectories,
    judged_bad,
    verdict_counts,
)
from rest_react.storage.jsonl import read_lines, replace_lines
from rest_react.storage.summaries import read_summary, reopen, write_summary
from rest_react.tasks.protocol import Task
from rest_react.terminal.console import say
from rest_react.trajectories.parsed import CUT_OFF, ParsedStep, ParsedTrajectory

EqualSteps: TypeAlias = Literal["keep", "drop"]
EXAMPLES, RANKINGS = "examples.jsonl", "rankings.jsonl"


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings of Improve."""

    selector: SelectorName
    keep: Keep = "all"
    max_examples: int | None = None
    tolerated: float = 0.0
    keep_trajectories: KeepTrajectories = "all"
    rejected_trajectories: RejectedTrajectories = "drop"
    equal_steps: EqualSteps = "keep"
    likeliest: float | None = None


@dataclass(frozen=True, slots=True)
class StepToRank:
    """A step to rank, with the indexes of the candidates that may train."""

    trajectory: ParsedTrajectory
    index: int
    usable: tuple[int, ...]

    @property
    def step(self) -> ParsedStep:
        return self.trajectory.steps[self.index]


@dataclass(slots=True)
class _Found:
    """The results of one pass over the trajectories; `choices` by the id of the step."""

    tally: Counter[str] = field(default_factory=Counter)
    choices: dict[str, Choice] = field(default_factory=dict)


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
    """Ranks every trainable step and writes the examples. Does nothing if the stage is complete. Raises
    StageIncomplete if more than the share `rules.tolerated` of the rankings failed because of external errors."""
    if read_summary(stage) is not None:
        return
    started = time.monotonic()
    found, rankings = _Found(), stage / RANKINGS
    if rules.keep_trajectories in ASK_REWARD_MODEL:
        assert reward_model is not None
        await judge_trajectories(
            task, trajectories, stage,
            judge=reward_model, keep=rules.keep_trajectories, seed=seed, in_flight=in_flight, title=title,
            tolerated=rules.tolerated,
        )  # fmt: skip
    bad = left_out(stage, trajectories, rules)

    def items() -> Iterator[tuple[str, StepToRank]]:
        earlier = {ranking.id: ranking.best for ranking in read_lines(rankings, Ranking)}
        for id_, item in steps_to_rank(task, trajectories, rules, found.tally, bad):
            if id_ in earlier:
                found.choices[id_] = _choice(item, earlier[id_])
            yield id_, item

    async def rank(id_: str, item: StepToRank) -> Ranking:
        ranking = await rank_step(
            id_, item.trajectory, item.index, item.usable,
            selector=rules.selector, keep=rules.keep, reward_model=reward_model, seed=derive_seed(seed, id_),
        )  # fmt: skip
        found.choices[id_] = _choice(item, ranking.best)
        return ranking

    by_options = reward_model is not None and reward_model.by_options
    records = replace(
        _RECORDS,
        kind=OptionRanking if by_options else Ranking,
        keep=_still_counts(task, trajectories, rules, bad),
    )
    await run_owed(
        records, rankings, items(), rank,
        total=_most_steps(trajectories), in_flight=in_flight, title=title, tolerated=rules.tolerated,
    )  # fmt: skip
    made = partial(_examples, trajectories, rankings, found.choices, rules.equal_steps)
    written = replace_lines(stage / EXAMPLES, _drawn(made, rules.max_examples, seed))
    changed = sum(found.choices[example.id].changed for example in read_lines(stage / EXAMPLES, Example))
    tally = _counts(stage, found, rules, by_options=by_options) | {"examples": written, "examples_changed": changed}
    cost = bill(prices, reward_model=(tally["prompt_tokens"], tally["completion_tokens"]))
    write_summary(stage, {**tally, **cost, "seconds": round(time.monotonic() - started, 1)})
    for note in notes_of(tally):
        say(f"note: {title}: {note}")


def left_out(stage: Path, trajectories: Path, rules: Rules) -> frozenset[str]:
    """The ids of the trajectories that the reward model judged bad, or that are not likely enough: no step of theirs is
    ranked."""
    bad = judged_bad(stage, rules.keep_trajectories)
    if rules.likeliest is None:
        return bad
    return bad | unlikely(read_lines(trajectories, Trajectory), rules.likeliest)


def _counts(stage: Path, found: _Found, rules: Rules, *, by_options: bool) -> dict[str, Any]:
    """The counts of rankings, and of verdicts on trajectories if they were asked for, with the tokens of both."""
    rankings, judged = stage / RANKINGS, rules.keep == "judged_good"
    tally = summary_of(rankings, found.choices, found.tally, selector=rules.selector, judged=judged)
    if by_options:
        tally |= option_counts(rankings)
    if rules.keep_trajectories in ASK_REWARD_MODEL:
        counts = verdict_counts(stage, rules.keep_trajectories)
        tally |= counts | {name: tally[name] + counts[name] for name in ("prompt_tokens", "completion_tokens")}
    return tally


def _still_counts(task: Task, trajectories: Path, rules: Rules, bad: Collection[str]) -> Callable[[Ranking], bool]:
    """Whether a resumed stage keeps a ranking: it is decided, and the step trains and has the same candidates now:
    later verdicts may have changed both."""
    if not bad:
        return is_decided
    usable = {id_: item.usable for id_, item in steps_to_rank(task, trajectories, rules, Counter(), bad)}

    def counts(ranking: Ranking) -> bool:
        own = usable.get(ranking.id, ())
        return is_decided(ranking) and ranking.best in own and set(ranking.order) in (set(), set(own))

    return counts


_RECORDS = StageRecords(
    Ranking,
    noun="rankings",
    role="reward_model",
    keep=is_decided,
    outside_error=lambda ranking: ranking.reply if ranking.status == "errored" else None,
    answers=reward_model_answers,
)


def reopen_refused(stage: Path) -> None:
    """Makes a complete Improve incomplete if it has refused rankings or missing verdicts, so that the next command
    retries these; unless a training has already used them."""
    if any((stage.parent / "finetune").glob("*")) or read_summary(stage) is None:
        return
    decided = all(map(is_decided, read_lines(stage / RANKINGS, Ranking)))
    if not decided or not all(map(has_verdict, read_lines(stage / VERDICTS, TrajectoryVerdict))):
        reopen(stage)


# ── one pass over the trajectories ────────────────────────────────────────────────────────────────────────────────────


def steps_to_rank(
    task: Task, trajectories: Path, rules: Rules, tally: Counter[str], bad: Collection[str]
) -> Iterator[tuple[str, StepToRank]]:
    """Every step that may train, in order of trajectory and step. Counts the others in `tally`. `bad` are the ids of
    trajectories that were judged bad, or are not likely enough."""
    for parsed, good in trainable_trajectories(task, trajectories, rules, tally, bad):
        tally["steps"] += sum(not step.step.forced for step in parsed.steps)
        for index, usable in trainable_steps(parsed, task.violations, selector=rules.selector, keep=rules.keep):
            if good is None:
                yield f"{parsed.trajectory.id}.{index}", StepToRank(parsed, index, usable)
            elif of_good := good_candidates(usable, task.gathering(parsed.steps[index]), good):
                tally["steps_of_rejected"] += 1
                yield f"{parsed.trajectory.id}.{index}", StepToRank(parsed, index, of_good)


def trainable_trajectories(
    task: Task, trajectories: Path, rules: Rules, tally: Counter[str], bad: Collection[str]
) -> Iterator[tuple[ParsedTrajectory, frozenset[str] | None]]:
    """Every trajectory of which steps may train, in order. Of a rejected one, only steps that gather what the kept ones
    of its question gathered, which is the second value; None for a kept one. Counts the others in `tally`, by the
    filter that left them out. `rules.keep_trajectories` compares the finished trajectories of a question, which are
    neighbours in the file."""
    for _, of_question in groupby(read_lines(trajectories, Trajectory), key=lambda one: one.question_id):
        finished = list(_finished(task, of_question, tally))
        filtered = TRAJECTORY_FILTERS[rules.keep_trajectories]([task.evidence(parsed) for parsed in finished])
        verdicts = [keep and one.trajectory.id not in bad for one, keep in zip(finished, filtered, strict=True)]
        good: frozenset[str] | None = None
        if rules.rejected_trajectories == "good_steps":
            kept = (one for one, keep in zip(finished, verdicts, strict=True) if keep and task.may_train(one))
            good = gathered(kept, task.gathering)
        for parsed, keep in zip(finished, verdicts, strict=True):
            if not task.may_train(parsed):
                tally["filtered_trajectories"] += 1
                continue
            tally["rejected_trajectories"] += not keep
            if keep or good is not None:
                yield parsed, None if keep else good


def _finished(task: Task, trajectories: Iterable[Trajectory], tally: Counter[str]) -> Iterator[ParsedTrajectory]:
    for trajectory in trajectories:
        for step in trajectory.steps:
            tally["candidates"] += len(step.candidates)
            lost = [one for one in step.candidates if one.finish == CUT_OFF and one.problem]
            tally["candidates_cut_off"] += len(lost)
        if trajectory.outcome == "finished":
            yield ParsedTrajectory(trajectory, tuple(map(task.parse, trajectory.steps)))
        else:
            tally["unfinished_trajectories"] += 1


def _most_steps(trajectories: Path) -> int:
    """An upper bound on the number of steps that may train."""
    finished = (t for t in read_lines(trajectories, Trajectory) if t.outcome == "finished")
    return sum(not step.forced for trajectory in finished for step in trajectory.steps)


def _choice(item: StepToRank, best: int) -> Choice:
    step = item.step
    target = step.actions[best].target
    return Choice(
        had_a_choice=len(item.usable) > 1,
        changed=step.chosen is None or target != step.chosen.target,
        equal=len(step.actions) > 1 and {action.target for action in step.actions} == {target},
        respelled="" if step.step.candidates[best].text == target else target,
    )


def _examples(
    trajectories: Path, rankings: Path, choices: Mapping[str, Choice], equal_steps: EqualSteps
) -> Iterator[Example]:
    """The training rows: the state of each step and the target of its best candidate. Steps judged bad are left
    out, and so are those with equal samples if `equal_steps` says so; steps that could not be judged are kept."""
    steps = (
        (trajectory.id, index, step)
        for trajectory in read_lines(trajectories, Trajectory)
        for index, step in enumerate(trajectory.steps)
        if f"{trajectory.id}.{index}" in choices
    )
    for (trajectory_id, index, step), ranking in zip(steps, read_lines(rankings, Ranking), strict=True):
        if ranking.good is not False and not (equal_steps == "drop" and choices[ranking.id].equal):
            target = choices[ranking.id].respelled or step.candidates[ranking.best].text
            yield Example(ranking.id, trajectory_id, index, step.kind, step.state, target, ranking.selector)


def _drawn(examples: Callable[[], Iterator[Example]], n: int | None, seed: int) -> Iterator[Example]:
    """A random sample of n examples, in order. A larger n with the same seed contains the sample of a smaller n. The
    examples are made twice, so that only ids are in memory."""
    if n is None:
        return examples()
    ids = (example.id for example in examples())
    kept = frozenset(heapq.nsmallest(n, ids, key=lambda id_: derive_seed(seed, "drawn", id_)))
    return (example for example in examples() if example.id in kept)
