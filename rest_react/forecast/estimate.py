"""Estimates the remaining stages of a run: calls, tokens, minutes and dollars.

    list(forecast(settings, folder))      # [Forecast("iteration 1: grow", 252, 75_600, 60_480, 6.8, 0.0), ...]

A trajectory with T searches makes 2T+4 calls (2T+2 without self-checks). T and the tokens per call are those of the
last complete Grow of this folder; without one, T = 2.5 as in the paper, and rough constants, or the mean length of a
user's own labelled texts. The estimate assumes that the reward model ranks every step, the grader grades every answer,
and every step trains (a quarter of them with `improve.keep=verified`, two fifths with `improve.equal_steps=drop`, see
docs/log.md). Observed steps with equal samples: 584 of 984 (of trajectories that a filter kept), 1,027 of 1,576 and
71% of 360 with 20 to 24 demonstrations; 362 of 1,593, and 178 of 766 behind a filter, with 12, where twice as many
train as the estimate says. Tools (`task=tool_maker`) take all their tries, and no earlier run has made any.
Not here: what one stage takes (forecast.stage_costs), the printed table (forecast.table), measured benchmarks
(benchmarks/), and limits on spending (remote.budget).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from statistics import fmean
from typing import TypeAlias

from rest_react.config.settings import Questions, Settings, model_behind
from rest_react.config.students import settings_of_student
from rest_react.config.training_part import training_rows
from rest_react.forecast.stage_costs import (
    FRAME_TOKENS,
    OUTPUT_TOKENS,
    Forecast,
    Pace,
    answering,
    by_options,
    demonstrations_of,
    grading,
    judge_training,
    judging,
    making,
    outcome_judge_training,
    prefix_tokens,
    reading,
    requests_of,
    rollouts,
    size_of,
    tokens_of,
    training,
    writing,
)
from rest_react.selection.trajectory_filters import READ_TEXTS, TRAJECTORY_FILTERS, KeepTrajectories
from rest_react.stages.reuse.reuse import differing_stages, shared_judges, shared_stages
from rest_react.storage.locked_settings import locked_settings
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.summaries import read_summary

SEARCHES = 2.5
VERIFIED = 0.25
UNEQUAL = 0.4
# Shares of the trajectories that are kept, observed where 24% were right (docs/log.md, world 27182).
KEPT_BY_JUDGES: Mapping[KeepTrajectories, float] = {
    "judged_better": 1 / 2, "reader_agrees": 1 / 3, "reader_and_judge": 1 / 4,
}  # fmt: skip
Complete: TypeAlias = Callable[..., bool]


def forecast(settings: Settings, folder: RunFolder) -> Iterator[Forecast]:
    """The stages that are not complete, in order; then those of the students, at the speed of their teacher."""
    pace, complete = _pace(settings, folder), _completed(settings, folder)
    yield from _tools(settings, complete)  # students find those of their teacher
    yield from _of_run(settings, folder, complete, pace)
    for student in settings.students:
        own = settings_of_student(settings, student)
        its = RunFolder(folder.root.parent / own.run)
        for row in _of_run(own, its, _completed_with_teacher(its), pace):
            yield replace(row, stage=f"{student.name}: {row.stage}")


def _of_run(s: Settings, folder: RunFolder, complete: Complete, pace: Pace) -> Iterator[Forecast]:
    steps = s.task.calls(min(pace.searches, s.agent.max_searches), self_checks=s.agent.self_checks)
    if s.synthetic.n and not complete(0, "synthetic"):
        yield from writing(s, pace)
    yield from _baselines(s, pace, folder)
    for k in range(s.iteration + 1):
        # Iteration 0 has nothing to learn from but demonstrations, which a script writes.
        if k or s.start == "demonstrations":
            yield from _learning(s, pace, complete, k, steps)
        for name, source in s.evaluate.benchmarks.items():
            if not complete(k, "evaluate", name):
                yield from _evaluation(s, pace, f"iteration {k}: evaluate {name}", k, source, steps)


def _tools(s: Settings, complete: Complete) -> Iterator[Forecast]:
    """What a model of the task makes, once, when a question first needs it."""
    asked = [(source, complete(0, "evaluate", name)) for name, source in s.evaluate.benchmarks.items()]
    if s.iteration and s.improve.max_examples != 0:
        asked += [(source, complete(1, "grow")) for source in (s.grow.questions, *s.grow.also.values())]
    made = s.task.making_of_tools([source for source, _ in asked])
    if made is not None and s.task.making_of_tools([source for source, answered in asked if answered]) is None:
        yield making(s, *made)


def _learning(s: Settings, pace: Pace, complete: Complete, k: int, steps: float) -> Iterator[Forecast]:
    """The stages that gather the data of iteration k and train on them. A trajectory has `steps` calls."""
    asked_of = sum(size_of(s, source) for source in (s.grow.questions, *s.grow.also.values()))
    trajectories = asked_of * s.grow.trajectories_per_question if k else demonstrations_of(s)
    calls = round(trajectories * steps)
    ranked = round(calls * UNEQUAL) if s.improve.equal_steps == "drop" else calls
    if k and s.improve.max_examples != 0:
        if not complete(k, "grow"):
            yield rollouts(s, pace, f"iteration {k}: grow", calls, s.grow.samples, prefix_tokens(s, k - 1))
        if not complete(k, "improve"):
            yield from _improving(s, pace, complete, k, trajectories, ranked, steps)
    if not complete(k, "finetune"):
        yield training(s, pace, k, _trained(s, ranked, steps) if k else calls)
    if not complete(k, "choose"):
        yield from _choice(s, pace, k, steps)


def _improving(
    s: Settings, pace: Pace, complete: Complete, k: int, trajectories: int, ranked: int, steps: float
) -> Iterator[Forecast]:
    """What the reward model does in Improve of iteration k, and before it the training of judges."""
    rankings = s.grow.samples if by_options(s) else 1  # one request per candidate
    asked = rankings * (s.improve.selector == "reward_model") + (s.improve.keep == "judged_good")
    verdicts = trajectories * len(TRAJECTORY_FILTERS[s.improve.keep_trajectories].asks)
    if k == 1 and asked and not complete(0, "judge"):
        yield from judge_training(s, pace, round(demonstrations_of(s) * steps))
    if k == 1 and verdicts and not complete(0, "outcome_judge"):
        yield from outcome_judge_training(s, pace, demonstrations_of(s), steps)
    if asked or verdicts:
        yield judging(s, pace, f"iteration {k}: improve", ranked * asked + verdicts)
    if s.improve.keep_trajectories in READ_TEXTS:
        yield reading(s, pace, f"iteration {k}: improve, reading", trajectories)


def _trained(s: Settings, ranked: int, steps: float) -> int:
    """The steps that a later iteration trains on, of those that Improve selects from, with the demonstrations."""
    kept = round(ranked * VERIFIED) if s.improve.keep == "verified" else ranked
    kept = int(kept * KEPT_BY_JUDGES.get(s.improve.keep_trajectories, 1))
    if s.improve.likeliest is not None:
        kept = round(kept * s.improve.likeliest)
    if s.improve.max_examples is not None:
        kept = min(kept, s.improve.max_examples)
    shown = s.start == "demonstrations" and s.finetune.mix_demonstrations
    return kept + (round(demonstrations_of(s) * steps) if shown else 0)


def _evaluation(
    s: Settings, pace: Pace, stage: str, k: int, source: Questions, steps: float, times: int = 1
) -> Iterator[Forecast]:
    """The answers of iteration k's model, or of a model of the task, to a benchmark, and the verdicts of a model that
    grades."""
    answers = times * size_of(s, source) * s.evaluate.repeats
    by = s.task.answered_by(source)
    calls = 0 if getattr(source, "asked", "") == "making" else round(answers * steps)  # the tools: counted by _tools
    yield rollouts(s, pace, stage, calls, s.evaluate.samples, prefix_tokens(s, k), by)
    if (grader := model_behind(s.grader, s.policy)) is not None:
        yield grading(s, grader, f"{stage}, grading", answers)


_OF_A_PROVIDER = 3  # models of one hosted training, as OpenAI lists them; another provider may list more or none


def _choice(s: Settings, pace: Pace, k: int, steps: float) -> Iterator[Forecast]:
    """The answers of the models of one training that are not chosen; those of the chosen one are its evaluation."""
    others = (s.finetune.models_kept() or _OF_A_PROVIDER) - 1
    if s.evaluate.choose_by is not None and others:
        source = s.evaluate.benchmarks[s.evaluate.choose_by]
        yield from _evaluation(s, pace, f"iteration {k}: choose a model", k, source, steps, others)


def _baselines(s: Settings, pace: Pace, folder: RunFolder) -> Iterator[Forecast]:
    """The answers of the untuned policy, with examples and without. It sees no examples of other tasks than the trained
    one (`instructed`)."""
    for baseline in s.task.baseline_names():
        shots = s.task.baseline_shots(baseline)
        for name, source in s.evaluate.benchmarks.items() if shots is not None else ():
            instructed = getattr(source, "instructed", False)
            if (shots and instructed) or read_summary(folder.baseline(baseline, name)) is not None:
                continue
            stage = f"baseline {baseline}: {name}"
            yield answering(s, pace, stage, size_of(s, source), shots or 0)
            if (grader := model_behind(s.grader, s.policy)) is not None and not instructed:
                yield grading(s, grader, f"{stage}, grading", size_of(s, source) * s.evaluate.repeats)


def _pace(s: Settings, folder: RunFolder) -> Pace:
    """The pace of the last complete Grow; its tokens per call without those of the prefix. Without one, for a task that
    learns a user's rows, as long as these are."""
    for k in range(s.iteration, 0, -1):
        summary = read_summary(folder.stage(k, "grow"))
        if summary is not None and summary["calls"]:
            calls = summary["calls"]
            requests = calls * requests_of(s.policy, s.grow.samples)
            return Pace(
                summary["searches_per_trajectory"],
                max(summary["prompt_tokens"] / requests - prefix_tokens(s, k - 1), OUTPUT_TOKENS),
                summary["completion_tokens"] / calls / s.grow.samples,
            )
    rows = () if s.task.searches else training_rows(s)
    if not rows:
        return Pace(SEARCHES, *s.task.call_tokens)
    shown, answers = (row.question.text for row in rows), (row.answers[0] for row in rows)
    return Pace(0.0, fmean(map(tokens_of, shown)) + FRAME_TOKENS, fmean(map(tokens_of, answers)) + FRAME_TOKENS)


def _completed(s: Settings, folder: RunFolder) -> Complete:
    """A function that says whether a stage is complete in this run, or in the run from which it is reused."""
    shared: set[str] = set()
    if s.grow.reuse is not None:
        source = RunFolder(folder.root.parent / s.grow.reuse)
        differing = differing_stages(source.root, locked_settings(s))
        stages, wrong = shared_stages(differing, s.start, s.iteration, s.grow.reuse_through)
        judges = shared_judges(differing) if "iter_0/finetune" in stages else []
        shared = set() if wrong else {*stages, *judges}

    def complete(iteration: int, *stage: str) -> bool:
        places = [folder, source] if f"iter_{iteration}/{stage[0]}" in shared else [folder]
        return any(read_summary(place.stage(iteration, *stage)) is not None for place in places)

    return complete


def _completed_with_teacher(folder: RunFolder) -> Complete:
    """The same for a student, which begins when its teacher's run is complete, and takes the data of that."""

    def complete(iteration: int, *stage: str) -> bool:
        taken = stage[0] == "synthetic" or (iteration > 0 and stage[0] in ("grow", "improve"))
        return taken or read_summary(folder.stage(iteration, *stage)) is not None

    return complete
