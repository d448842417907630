"""Estimates the remaining stages of a run: calls, tokens, minutes and dollars.

    list(forecast(settings, folder))      # [Forecast("iteration 1: grow", 252, 75_600, 60_480, 6.8, 0.0), ...]

A trajectory with T searches makes 2T+4 calls (2T+2 without self-checks). T and the tokens per call are those of the
last complete Grow of this folder; without one, T = 2.5 as in the paper, and rough constants, or the mean length of a
user's own labelled texts. Minutes need `speed` (forecast.machine_speed), dollars need `price`; an unknown number is
None, never 0. The estimate assumes that the reward model ranks every step, the grader grades every answer, and every
step trains (a quarter of them with `improve.keep=verified`, see docs/log.md).
Not here: the printed table (forecast.table), measured benchmarks (benchmarks/), and limits on spending (remote.budget).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from rest_react.config.settings import Model, Questions, Settings, TrainedModel, model_behind
from rest_react.config.training_part import training_rows
from rest_react.selection.trajectory_filters import ASK_REWARD_MODEL
from rest_react.stages.reuse import shared_stages
from rest_react.storage.locked_settings import locked_settings
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.settings_file import differing_settings
from rest_react.storage.summaries import read_summary

SEARCHES = 2.5
STATE_TOKENS = 300
OUTPUT_TOKENS = 60
VERIFIED = 0.25
CHARACTERS_PER_TOKEN = 3.5
_FRAME_TOKENS = 8  # around a row's text, and after its answer
UNKNOWN_SIZE = 125  # questions of a set whose size is unknown: the size of Bamboogle


@dataclass(frozen=True, slots=True)
class Forecast:
    """One stage: LLM calls, tokens in and out (for training, tokens trained on), minutes, US dollars. None is
    unknown."""

    stage: str
    calls: int
    prompt_tokens: int | None
    completion_tokens: int
    minutes: float | None
    usd: float | None


@dataclass(frozen=True, slots=True)
class _Pace:
    """Searches per trajectory, and tokens per call: in (the state without the prefix) and out (one sample)."""

    searches: float
    tokens_in: float
    tokens_out: float


def forecast(settings: Settings, folder: RunFolder) -> Iterator[Forecast]:
    """The stages that are not complete, in order."""
    s, complete = settings, _completed(settings, folder)
    pace = _pace(s, folder)
    steps = s.task.calls(min(pace.searches, s.agent.max_searches), self_checks=s.agent.self_checks)
    for k in range(s.iteration + 1):
        # Iteration 0 has nothing to learn from but demonstrations, which a script writes.
        if k or s.start == "demonstrations":
            asked_of = sum(_size(s, source) for source in (s.grow.questions, *s.grow.also.values()))
            trajectories = asked_of * s.grow.trajectories_per_question if k else _demonstrations(s)
            calls = round(trajectories * steps)
            grows = k and s.improve.max_examples != 0
            if grows and not complete(k, "grow"):
                yield _rollouts(s, pace, f"iteration {k}: grow", calls, s.grow.samples, _prefix_tokens(s, k - 1))
            rankings = s.grow.samples if _by_options(s) else 1  # one request per candidate
            asked = rankings * (s.improve.selector == "reward_model") + (s.improve.keep == "judged_good")
            verdicts = trajectories * ASK_REWARD_MODEL.get(s.improve.keep_trajectories, 0)
            if k == 1 and grows and asked and not complete(k, "improve") and not complete(0, "judge"):
                yield from _judge(s, pace, round(_demonstrations(s) * steps))
            if grows and (asked or verdicts) and not complete(k, "improve"):
                yield _judging(s, pace, f"iteration {k}: improve", calls * asked + verdicts)
            if not complete(k, "finetune"):
                shown = k and s.start == "demonstrations" and s.finetune.mix_demonstrations
                kept = round(calls * VERIFIED) if k and s.improve.keep == "verified" else calls
                if k and s.improve.likeliest is not None:
                    kept = round(kept * s.improve.likeliest)
                if k and s.improve.max_examples is not None:
                    kept = min(kept, s.improve.max_examples)
                yield _training(s, pace, k, kept + (round(_demonstrations(s) * steps) if shown else 0))
        for name, source in s.evaluate.benchmarks.items():
            if not complete(k, "evaluate", name):
                answers = _size(s, source) * s.evaluate.repeats
                prefix = _prefix_tokens(s, k)
                stage = f"iteration {k}: evaluate {name}"
                yield _rollouts(s, pace, stage, round(answers * steps), s.evaluate.samples, prefix)
                if (grader := model_behind(s.grader, s.policy)) is not None:
                    yield _grading(s, grader, f"{stage}, grading", answers)


def _rollouts(s: Settings, pace: _Pace, stage: str, calls: int, samples: int, prefix: int) -> Forecast:
    tokens_in, tokens_out = round(calls * (pace.tokens_in + prefix)), round(calls * samples * pace.tokens_out)
    # States of one trajectory share about half their tokens, and the prefix is shared by all.
    minutes = _minutes(s, s.policy, calls * pace.tokens_in / 2, tokens_out)
    return Forecast(stage, calls, tokens_in, tokens_out, minutes, s.policy.price.usd(tokens_in, tokens_out))


def _judging(s: Settings, pace: _Pace, stage: str, calls: int) -> Forecast:
    """One call reads the state, all samples and the instructions; of a trained judge the state and one sample."""
    shown = pace.tokens_in + s.grow.samples * pace.tokens_out
    if isinstance(s.reward_model, TrainedModel):
        shown = pace.tokens_in + pace.tokens_out
    else:
        shown += _tokens(s.task.packaged_prompts / "ranking.txt")
    written = 1 if _by_options(s) else s.improve.max_tokens // 2
    tokens_in, tokens_out = round(calls * shown), calls * written
    judge = model_behind(s.reward_model, s.policy) or s.policy
    minutes = _minutes(s, judge, tokens_in, tokens_out)
    return Forecast(stage, calls, tokens_in, tokens_out, minutes, judge.price.usd(tokens_in, tokens_out))


def _by_options(s: Settings) -> bool:
    """Whether the reward model scores options instead of writing."""
    return s.improve.reward == "options" or isinstance(s.reward_model, TrainedModel)


def _judge(s: Settings, pace: _Pace, steps: int) -> Iterator[Forecast]:
    """A trained judge: the policy's samples at the demonstrated steps, and the training. A step has about one sample
    with another decision; each pair is two rows."""
    if isinstance(s.reward_model, TrainedModel):
        yield _rollouts(s, pace, "iteration 0: judge, samples", steps, s.reward_model.samples, 0)
        rows = round(2 * steps * (1 + s.reward_model.corruptions) * (1 - s.reward_model.held_out))
        yield replace(_training(s, pace, 0, rows), stage="iteration 0: judge")


def _grading(s: Settings, judge: Model, stage: str, answers: int) -> Forecast:
    """One call reads the question, the answer, the gold answers and the instructions."""
    rating = s.task.rating_prompt()
    template = s.task.packaged_prompts / (rating[0] if rating is not None else "autoeval.txt")
    tokens_in = answers * (_tokens(template) + 2 * OUTPUT_TOKENS)
    tokens_out = answers * OUTPUT_TOKENS
    minutes = _minutes(s, judge, tokens_in, tokens_out)
    return Forecast(stage, answers, tokens_in, tokens_out, minutes, judge.price.usd(tokens_in, tokens_out))


def _training(s: Settings, pace: _Pace, iteration: int, rows: int) -> Forecast:
    """The tokens that the trainer reads; unknown if the trainer does not say how often it reads a row."""
    stage = f"iteration {iteration}: finetune"
    shown = iteration == 0
    passes = s.finetune.passes(s.demonstrations.epochs if shown else None, demonstrations=shown)
    if passes is None:
        return Forecast(stage, 0, None, 0, None, None)
    fixed = None if shown else s.finetune.rows_read(iteration)
    read = rows * passes if fixed is None else fixed
    tokens = round(read * (pace.tokens_in + pace.tokens_out))
    minutes = 0.0 if not tokens else tokens / s.speed.train / 60 if s.speed.train else None
    usd = s.finetune.training_price().usd(tokens, 0)
    return Forecast(stage, 0, tokens, 0, None if s.finetune.tunes == "provider" else minutes, usd)


def _minutes(s: Settings, model: Model, tokens_in: float, tokens_out: float) -> float | None:
    if model.runs == "script":
        return 0.0
    if model.runs == "server" or not s.speed.prefill or not s.speed.decode:
        return None
    return (tokens_in / s.speed.prefill + tokens_out / s.speed.decode) / 60


def _size(s: Settings, source: Questions) -> int:
    """The number of questions of a set."""
    if source.sample is not None:
        return source.sample
    world = {"demonstrations": s.world.demonstrations, "train": s.world.train, "evaluation": s.world.evaluation}
    size = source.size(world)
    return UNKNOWN_SIZE if size is None else size


def _demonstrations(s: Settings) -> int:
    """The number of demonstrations."""
    source = s.demonstrations.questions
    return s.world.demonstrations if source is None else _size(s, source)


def _prefix_tokens(s: Settings, iteration: int) -> int:
    """The mean number of tokens of the instructions and exemplars in a prompt of this iteration's model."""
    tuned = iteration > 0 or s.start == "demonstrations"
    if s.agent.exemplars == "never" or (s.agent.exemplars == "untuned" and tuned):
        return 0
    folder = Path(s.agent.prompts) if s.agent.prompts else s.task.packaged_prompts
    return sum(_tokens(folder / f"{kind}.txt") for kind in s.task.step_kinds) // len(s.task.step_kinds)


def _tokens(text: Path) -> int:
    return round(text.stat().st_size / CHARACTERS_PER_TOKEN)


def _pace(s: Settings, folder: RunFolder) -> _Pace:
    """The pace of the last complete Grow; its tokens per call without those of the prefix. Without one, for a task that
    learns a user's rows, as long as these are."""
    for k in range(s.iteration, 0, -1):
        summary = read_summary(folder.stage(k, "grow"))
        if summary is not None and summary["calls"]:
            calls = summary["calls"]
            return _Pace(
                summary["searches_per_trajectory"],
                max(summary["prompt_tokens"] / calls - _prefix_tokens(s, k - 1), OUTPUT_TOKENS),
                summary["completion_tokens"] / calls / s.grow.samples,
            )
    rows = () if s.task.searches else training_rows(s)
    if not rows:
        return _Pace(SEARCHES, STATE_TOKENS, OUTPUT_TOKENS)
    shown, answers = (row.question.text for row in rows), (row.answers[0] for row in rows)
    return _Pace(0.0, fmean(map(_tokens_of, shown)) + _FRAME_TOKENS, fmean(map(_tokens_of, answers)) + _FRAME_TOKENS)


def _tokens_of(text: str) -> float:
    """About as many tokens as a small model's tokenizer makes: of other scripts one for two bytes."""
    plain = sum(map(str.isascii, text))
    return plain / CHARACTERS_PER_TOKEN + (len(text.encode("utf-8", "replace")) - plain) / 2


def _completed(s: Settings, folder: RunFolder) -> Callable[..., bool]:
    """A function that says whether a stage is complete in this run, or in the run from which it is reused."""
    shared: set[str] = set()
    if s.grow.reuse is not None:
        source = RunFolder(folder.root.parent / s.grow.reuse)
        stages, wrong = shared_stages(
            differing_settings(source.root, locked_settings(s)), s.start, s.iteration, s.grow.reuse_through
        )
        shared = set() if wrong else set(stages)

    def complete(iteration: int, *stage: str) -> bool:
        places = [folder, source] if f"iter_{iteration}/{stage[0]}" in shared else [folder]
        return any(read_summary(place.stage(iteration, *stage)) is not None for place in places)

    return complete
