"""Which steps of an iteration's trajectories may train, in one pass over them, and by which settings.

    for id_, item in steps_to_rank(task, trajectories, rules, tally, left_out(stage, trajectories, rules)):
        item.usable                                     # (0, 2): the candidates of the step that may train

A pass parses each candidate once. What was left out, and by which filter, is counted in `tally`.
Not here: the filters themselves (selection.filters, selection.trajectory_filters, selection.good_steps), the verdicts
that some of them need (stages.improve.judge_trajectories), and the choice of a candidate (stages.improve.improve).
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal, TypeAlias

from rest_react.records import Trajectory
from rest_react.selection.filters import Keep, trainable_steps
from rest_react.selection.good_steps import RejectedTrajectories, gathered, good_candidates
from rest_react.selection.selectors import SelectorName
from rest_react.selection.trajectory_filters import TRAJECTORY_FILTERS, KeepTrajectories
from rest_react.selection.trajectory_signals.likelihood import unlikely
from rest_react.stages.improve.judge_trajectories import judged_bad
from rest_react.storage.jsonl import read_lines
from rest_react.tasks.protocol import Task
from rest_react.trajectories.parsed import CUT_OFF, ParsedStep, ParsedTrajectory

EqualSteps: TypeAlias = Literal["keep", "drop"]


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings of Improve, by their names there."""

    selector: SelectorName
    keep: Keep = "all"
    max_examples: int | None = None
    tolerate_outside_faults: float = 0.0
    keep_trajectories: KeepTrajectories = "all"
    rejected_trajectories: RejectedTrajectories = "drop"
    equal_steps: EqualSteps = "keep"
    likeliest: float | None = None


@dataclass(frozen=True, slots=True)
class StepToRank:
    """A step to rank, with the indexes of the candidates that may train. `passing` are those that pass the filters of
    steps: also, in a rejected trajectory, those that gather what no kept one did."""

    trajectory: ParsedTrajectory
    index: int
    usable: tuple[int, ...]
    passing: tuple[int, ...]

    @property
    def step(self) -> ParsedStep:
        return self.trajectory.steps[self.index]


def left_out(stage: Path, trajectories: Path, rules: Rules) -> frozenset[str]:
    """The ids of the trajectories that the reward model judged bad, or that are not likely enough: no step of theirs is
    ranked."""
    bad = judged_bad(stage, rules.keep_trajectories)
    if rules.likeliest is None:
        return bad
    return bad | unlikely(read_lines(trajectories, Trajectory), rules.likeliest)


def steps_to_rank(
    task: Task, trajectories: Path, rules: Rules, tally: Counter[str], bad: Collection[str]
) -> Iterator[tuple[str, StepToRank]]:
    """Every step that may train, in order of trajectory and step. Counts the others in `tally`. `bad` are the ids of
    trajectories that were judged bad, or are not likely enough."""
    for parsed, kept, good in trainable_trajectories(task, trajectories, rules, tally, bad):
        tally["steps"] += sum(not step.step.forced for step in parsed.steps)
        for index, usable in trainable_steps(parsed, task.violations, selector=rules.selector, keep=rules.keep):
            step = parsed.steps[index]
            if rules.equal_steps == "drop" and step.all_equal:
                tally["equal_steps"] += 1
                continue
            train = usable if kept else good_candidates(usable, task.gathering(step), good)
            if train:
                tally["steps_of_rejected"] += not kept
                yield f"{parsed.trajectory.id}.{index}", StepToRank(parsed, index, train, usable)


def trainable_trajectories(
    task: Task, trajectories: Path, rules: Rules, tally: Counter[str], bad: Collection[str]
) -> Iterator[tuple[ParsedTrajectory, bool, frozenset[str]]]:
    """Every trajectory of which steps may train, in order; whether it is kept; and what the kept ones of its question
    gathered: of a rejected one, only steps that gather the same may train. Counts the others in `tally`, by the filter
    that left them out. `rules.keep_trajectories` compares the finished trajectories of a question, which are neighbours
    in the file."""
    for _, of_question in groupby(read_lines(trajectories, Trajectory), key=lambda one: one.question_id):
        finished = list(_finished(task, of_question, tally))
        filtered = TRAJECTORY_FILTERS[rules.keep_trajectories].keeps([task.evidence(parsed) for parsed in finished])
        verdicts = [
            (parsed, keep and parsed.trajectory.id not in bad)
            for parsed, keep in zip(finished, filtered, strict=True)
            if task.may_train(parsed)
        ]
        kept = [parsed for parsed, keep in verdicts if keep]
        tally["filtered_trajectories"] += len(finished) - len(verdicts)
        tally["rejected_trajectories"] += len(verdicts) - len(kept)
        if rules.rejected_trajectories == "drop":
            yield from ((parsed, True, frozenset()) for parsed in kept)
        else:
            good = gathered(kept, task.gathering)
            yield from ((parsed, keep, good) for parsed, keep in verdicts)


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


def most_steps(trajectories: Path) -> int:
    """An upper bound on the number of steps that may train."""
    finished = (t for t in read_lines(trajectories, Trajectory) if t.outcome == "finished")
    return sum(not step.forced for trajectory in finished for step in trajectory.steps)
