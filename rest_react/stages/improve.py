"""Improve: which sample of each step becomes its training target, and which steps train (paper section 3.5).

    await improve(task, grown / "trajectories.jsonl", folder.stage(1, "improve"), rules=Rules("perplexity"), ...)

leaves rankings.jsonl, examples.jsonl and summary.json. Off-policy, as in the paper: the chosen sample replaces the
target of its own step alone; later states keep the sample that the rollout went on with. Labels cannot reach this
module: it reads trajectories, which have none.

What trains is the action in its one spelling (ParsedAction.target): no code fence, nothing said around it. Each
candidate is parsed once.
Not here: which steps may train (selection.filters), which candidate is chosen (selection.selectors), how a choice is
recorded (selection.rank_step), and what the summary counts (improve_summary).
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rest_react.console import say
from rest_react.metrics.costs import Price, bill
from rest_react.parsed_trajectories import CUT_OFF, ParsedStep, ParsedTrajectory
from rest_react.records import Example, Ranking, Trajectory
from rest_react.seeds import derive_seed
from rest_react.selection.filters import Keep, trainable_steps
from rest_react.selection.rank_step import is_decided, rank_step, reward_model_answers
from rest_react.selection.reward_model import RewardModel
from rest_react.selection.selectors import SelectorName
from rest_react.stages.executor import StageRecords, run_owed
from rest_react.stages.improve_summary import Choice, notes_of, summary_of
from rest_react.storage.jsonl import read_lines, replace_lines
from rest_react.storage.summaries import read_summary, reopen, write_summary
from rest_react.tasks.protocol import Task

EXAMPLES, RANKINGS = "examples.jsonl", "rankings.jsonl"


@dataclass(frozen=True, slots=True)
class Rules:
    """What Improve was told to do."""

    selector: SelectorName
    keep: Keep = "all"
    max_examples: int | None = None
    tolerated: float = 0.0


@dataclass(frozen=True, slots=True)
class StepToRank:
    """A step to rank, and the candidates that may train."""

    trajectory: ParsedTrajectory
    index: int
    usable: tuple[int, ...]

    @property
    def step(self) -> ParsedStep:
        return self.trajectory.steps[self.index]


@dataclass(slots=True)
class _Found:
    """What one pass over the trajectories gathers; `choices` go by the id of the step."""

    tally: Counter[str] = field(default_factory=Counter)
    choices: dict[str, Choice] = field(default_factory=dict)


async def improve(
    task: Task,
    trajectories: Path,
    stage: Path,
    *,
    rules: Rules,
    reward_model: RewardModel | None,
    seed: int,
    in_flight: int,
    prices: Mapping[str, Price],
    title: str = "improve",
) -> None:
    """Brings the stage to one ranking per trainable step and the examples they choose. A complete stage is left as
    it is. Raises StageIncomplete when more than `rules.tolerated` of the rankings are owed again."""
    if read_summary(stage) is not None:
        return
    started = time.monotonic()
    found, rankings = _Found(), stage / RANKINGS

    def items() -> Iterator[tuple[str, StepToRank]]:
        earlier = {ranking.id: ranking.best for ranking in read_lines(rankings, Ranking)}
        for id_, item in steps_to_rank(task, trajectories, rules, found.tally):
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

    await run_owed(
        _RECORDS, rankings, items(), rank,
        total=_most_steps(trajectories), in_flight=in_flight, title=title, tolerated=rules.tolerated,
    )  # fmt: skip
    examples = _examples(trajectories, rankings, found.choices)
    written = replace_lines(stage / EXAMPLES, _drawn(examples, rules.max_examples, seed))
    judged = rules.keep == "judged_good"
    tally = summary_of(rankings, found.choices, found.tally, selector=rules.selector, judged=judged)
    tally |= {"examples": written}
    cost = bill(prices, reward_model=(tally["prompt_tokens"], tally["completion_tokens"]))
    write_summary(stage, {**tally, **cost, "seconds": round(time.monotonic() - started, 1)})
    for note in notes_of(tally):
        say(f"note: {title}: {note}")


_RECORDS = StageRecords(
    Ranking,
    noun="rankings",
    role="reward_model",
    keep=is_decided,
    outside_error=lambda ranking: ranking.reply if ranking.status == "errored" else None,
    answers=reward_model_answers,
)


def reopen_refused(stage: Path) -> None:
    """Has the refused rankings of a complete Improve done again by the next command, unless a training used them."""
    used = any((stage.parent / "finetune").glob("*"))
    if not used and read_summary(stage) is not None and not all(map(is_decided, read_lines(stage / RANKINGS, Ranking))):
        reopen(stage)


# ── one pass over the trajectories ────────────────────────────────────────────────────────────────────────────────────


def steps_to_rank(
    task: Task, trajectories: Path, rules: Rules, tally: Counter[str]
) -> Iterator[tuple[str, StepToRank]]:
    """Every step that may train, in (trajectory, step) order; counts on the way what may not."""
    for trajectory in read_lines(trajectories, Trajectory):
        for step in trajectory.steps:
            tally["candidates"] += len(step.candidates)
            tally["candidates_cut_off"] += sum(candidate.finish == CUT_OFF for candidate in step.candidates)
        if trajectory.outcome != "finished":
            tally["unfinished_trajectories"] += 1
            continue
        parsed = ParsedTrajectory(trajectory, tuple(map(task.parse, trajectory.steps)))
        if not task.may_train(parsed):
            tally["filtered_trajectories"] += 1
            continue
        tally["steps"] += sum(not step.forced for step in trajectory.steps)
        for index, usable in trainable_steps(parsed, task.violations, selector=rules.selector, keep=rules.keep):
            yield f"{trajectory.id}.{index}", StepToRank(parsed, index, usable)


def _most_steps(trajectories: Path) -> int:
    """How many steps may train at most."""
    finished = (t for t in read_lines(trajectories, Trajectory) if t.outcome == "finished")
    return sum(not step.forced for trajectory in finished for step in trajectory.steps)


def _choice(item: StepToRank, best: int) -> Choice:
    step = item.step
    target = step.actions[best].target
    return Choice(
        target,
        had_a_choice=len(item.usable) > 1,
        changed=step.chosen is None or target != step.chosen.target,
        respelled=step.step.candidates[best].text != target,
    )


def _examples(trajectories: Path, rankings: Path, choices: Mapping[str, Choice]) -> Iterator[Example]:
    """The training rows: each step's state and the target of its best candidate. What was judged bad is left out; what
    could not be judged stays."""
    steps = (
        (trajectory.id, index, step)
        for trajectory in read_lines(trajectories, Trajectory)
        for index, step in enumerate(trajectory.steps)
        if f"{trajectory.id}.{index}" in choices
    )
    for (trajectory_id, index, step), ranking in zip(steps, read_lines(rankings, Ranking), strict=True):
        if ranking.good is not False:
            target = choices[ranking.id].target
            yield Example(ranking.id, trajectory_id, index, step.kind, step.state, target, ranking.selector)


def _drawn(examples: Iterator[Example], n: int | None, seed: int) -> Iterator[Example]:
    """n of them at random, in their order; a larger n only adds to a smaller one's."""
    if n is None:
        yield from examples
        return
    found = list(examples)
    kept = {e.id for e in sorted(found, key=lambda example: derive_seed(seed, "drawn", example.id))[:n]}
    yield from (example for example in found if example.id in kept)
