"""The trained judge (`reward_model=trained`): a stage of iteration 0, made before the first Improve that asks it.

    await make_judge(task, policy, demonstrations, folder.stage(0, "judge"), trainer=trainer, base=model, ...)

A pair is a step of a demonstration and a worse output for its state: a sample of the policy with another decision, or
the demonstration with an error (Task.corruptions). `base`, the policy or the untuned weights, is tuned to answer " yes"
for the first and " no" for the second. A share of the demonstrated questions is held out, and the accuracy on their
pairs is in summary.json. The policy itself was trained on all demonstrations, so a judge that starts from it has seen
the good outputs of these pairs.
No label of a Grow or benchmark question is used. The paper has no such judge; this one is ours.

Files: pairs.jsonl, held_out.jsonl (scores of held-out pairs), model.json, summary.json, and those of a training.
Not here: asking it (selection.trained_judge), the errors of corruptions (each task), the training (training).
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

from rest_react.errors import ModelFault, UsageError
from rest_react.metrics.intervals import clustered_interval
from rest_react.metrics.prices import Price, bill
from rest_react.prompts import STOP
from rest_react.protocols import LLM, Trainer
from rest_react.records import (
    Candidate,
    Example,
    JudgedPair,
    JudgePairs,
    ModelRef,
    Prompt,
    Sampling,
    Step,
    Trajectory,
    WorseOutput,
)
from rest_react.remote.failures.refusals import ACCEPTED
from rest_react.seeds import derive_seed
from rest_react.selection.filters import usable_candidates
from rest_react.selection.trained_judge import NO, YES, TrainedJudge, shown_to_judge
from rest_react.stages.executor import StageRecords, run_owed
from rest_react.stages.finetune import MODEL
from rest_react.stages.judge.held_out import HELD_OUT, held_out_questions
from rest_react.storage.files import write_json
from rest_react.storage.jsonl import read_lines
from rest_react.storage.summaries import read_summary, write_summary
from rest_react.tasks.protocol import Policy, Task
from rest_react.tasks.sample_end import ended
from rest_react.terminal.console import say
from rest_react.trajectories.parsed import ParsedAction, ParsedStep

PAIRS = "pairs.jsonl"
_TITLE = "iteration 0: judge"


async def make_judge(
    task: Task,
    policy: Policy,
    demonstrations: Path,
    stage: Path,
    *,
    corruptions: int,
    held_out: float,
    trainer: Trainer,
    base: ModelRef,
    open_model: Callable[[ModelRef], LLM],
    seed: int,
    in_flight: int,
    prices: Mapping[str, Price],
) -> None:
    """Samples the policy at the states of the demonstrations, tunes `base`, and scores the held-out pairs: those of the
    share `held_out` of the questions. A state has at most `corruptions` outputs with errors. Does nothing if the stage
    is complete. Raises UsageError if there are no pairs to train on, or fewer than two questions."""
    if read_summary(stage) is not None:
        return
    started = time.monotonic()
    steps = dict(_demonstrated_steps(task, demonstrations))

    async def pairs_of(id_: str, step: ParsedStep) -> JudgePairs:
        return await _pairs(task, policy, id_, step, corruptions, derive_seed(seed, id_))

    await run_owed(
        _PAIRS, stage / PAIRS, steps.items(), pairs_of,
        total=len(steps), in_flight=in_flight, title=f"{_TITLE}, samples",
    )  # fmt: skip
    await policy.llm.aclose()
    pairs = list(read_lines(stage / PAIRS, JudgePairs))
    apart = held_out_questions({one.question_id for one in pairs}, held_out, seed)
    rows = [row for one in pairs if one.question_id not in apart for row in training_rows(one)]
    if not rows or not apart:
        raise UsageError(f"{stage}: too few demonstrations to train and test a judge; raise world.demonstrations")
    model = await trainer.train(rows, base, stage, derive_seed(seed, "train") % 2**31)
    write_json(stage / MODEL, model)
    llm = open_model(model)
    try:
        await _score_held_out(TrainedJudge(llm), pairs, apart, stage, in_flight)
    finally:
        await llm.aclose()
    tokens = sum(one.prompt_tokens for one in pairs), sum(one.completion_tokens for one in pairs)
    summary = {
        "base": base.name,
        "model": model.name,
        "training_rows": len(rows),
        "states_without_pairs": sum(not one.worse for one in pairs),
        "states_without_samples": sum(bool(one.problem) for one in pairs),
        **accuracy(list(read_lines(stage / HELD_OUT, JudgedPair))),
        "prompt_tokens": tokens[0],
        "completion_tokens": tokens[1],
        **bill(prices, policy=tokens),
        "seconds": round(time.monotonic() - started, 1),
    }
    write_summary(stage, summary)
    _note_failed_samples(pairs)


def _note_failed_samples(pairs: Sequence[JudgePairs]) -> None:
    if problems := [one.problem for one in pairs if one.problem]:
        say(
            f"note: {_TITLE}: the policy gave no samples at {len(problems)} of {len(pairs)} states (last error: "
            f"{problems[-1]}); there the judge learns from corruptions alone"
        )


def _demonstrated_steps(task: Task, demonstrations: Path) -> Iterator[tuple[str, ParsedStep]]:
    """The steps of the finished demonstrations that may train."""
    for trajectory in read_lines(demonstrations, Trajectory):
        for index, step in enumerate(trajectory.steps if trajectory.outcome == "finished" else ()):
            parsed = task.parse(step)
            if step.chosen is not None and step.chosen in usable_candidates(parsed):
                yield f"{trajectory.id}.{index}", parsed


async def _pairs(task: Task, policy: Policy, id_: str, parsed: ParsedStep, corruptions: int, seed: int) -> JudgePairs:
    """The worse outputs for the state of a demonstrated step. An error of the policy leaves corruptions alone."""
    step, chosen = parsed.step, parsed.chosen
    assert chosen is not None
    samples, problem = [], ""
    try:
        samples = await policy.llm.sample(
            Prompt("", step.state),
            n=policy.samples,
            sampling=Sampling(policy.temperature, policy.max_tokens, seed, stop=(STOP,)),
        )
    except ModelFault as error:
        problem = str(error)
    ends = (ended(one, policy.max_tokens) for one in samples)
    sampled = _outputs(task, step, [(text.rstrip(), finish) for text, finish in ends])
    own = {action.target for action in sampled if action.decision != chosen.decision}
    flawed = dict.fromkeys(task.corruptions(step, chosen.target, Random(seed)))
    read = _outputs(task, step, [(text, "stop") for text in flawed])
    errors = sorted({action.target for action in read if action.target != chosen.target} - own)
    drawn = Random(derive_seed(seed, "drawn")).sample(errors, min(corruptions, len(errors)))
    return JudgePairs(
        id_,
        id_.rsplit(".", 2)[0],
        step.kind,
        step.state,
        chosen.target,
        (*(WorseOutput(text, "policy") for text in sorted(own)), *(WorseOutput(text, "corruption") for text in drawn)),
        problem,
        samples[0].prompt_tokens if samples else 0,
        sum(one.tokens for one in samples),
    )


def _outputs(task: Task, step: Step, texts: Sequence[tuple[str, str]]) -> list[ParsedAction]:
    """The outputs that could be candidates of the step, parsed: whole, and with no empty element."""
    parsed = task.parse(replace(step, candidates=tuple(Candidate(text, 1, None, finish) for text, finish in texts)))
    return [parsed.actions[i] for i in usable_candidates(parsed)]


def training_rows(pairs: JudgePairs) -> Iterator[Example]:
    """One row of each kind for each pair, so that yes and no are equally frequent."""
    for n, worse in enumerate(pairs.worse):
        for output, verdict in ((pairs.good, YES), (worse.text, NO)):
            trajectory, _, index = pairs.id.rpartition(".")
            prompt = shown_to_judge(pairs.state, output)
            yield Example(f"{pairs.id}.{n}{verdict}", trajectory, int(index), pairs.kind, prompt, verdict, worse.origin)


async def _score_held_out(
    judge: TrainedJudge,
    pairs: Sequence[JudgePairs],
    held_out: Collection[str],
    stage: Path,
    in_flight: int,
) -> None:
    """Scores both outputs of each held-out pair."""
    items = [
        (f"{one.id}.{n}", (one, worse))
        for one in pairs
        if one.question_id in held_out
        for n, worse in enumerate(one.worse)
    ]

    async def score(id_: str, item: tuple[JudgePairs, WorseOutput]) -> JudgedPair:
        one, worse = item
        opinion = await judge.rank(one.state, [one.good, worse.text], seed=0)
        return JudgedPair(id_, one.question_id, one.kind, worse.origin, *opinion.logprobs[0])

    await run_owed(
        _SCORES, stage / HELD_OUT, items, score,
        total=len(items), in_flight=in_flight, title=f"{_TITLE}, held-out pairs",
    )  # fmt: skip


def accuracy(judged: Sequence[JudgedPair]) -> dict[str, object]:
    """How often the judge prefers the demonstration, on all held-out pairs and by the origin of the worse output; and
    how often its yes or no is right. 95% intervals over the demonstrated questions."""
    origins = {"": judged} | {f"_{o}": [one for one in judged if one.origin == o] for o in ("policy", "corruption")}
    told = {
        f"accuracy{name}": _share(of_origin, lambda one: [one.good > one.worse]) for name, of_origin in origins.items()
    }
    return {**told, "verdict_accuracy": _share(judged, lambda one: [one.good > 0, one.worse < 0])}


def _share(judged: Sequence[JudgedPair], right: Callable[[JudgedPair], list[bool]]) -> dict[str, object]:
    by_question: dict[str, list[float]] = {}
    for one in judged:
        by_question.setdefault(one.question_id, []).extend(map(float, right(one)))
    found = clustered_interval(by_question)
    mean, low, high = (None if end is None else round(end, 4) for end in (found.mean, found.low, found.high))
    return {"mean": mean, "low": low, "high": high, "pairs": len(judged), "questions": found.n}


_PAIRS = StageRecords(JudgePairs, noun="states", role="policy", answers=lambda one: (one.problem or ACCEPTED,))
_SCORES = StageRecords(JudgedPair, noun="pairs", role="policy")
