"""What one stage of a run takes: calls, tokens, minutes and dollars, from the pace of a call.

    rollouts(settings, Pace(2.5, 300, 60), "iteration 1: grow", calls=252, samples=4, prefix=0)     # Forecast(...)

Minutes need `speed`, dollars need `price`; an unknown number is None, never 0.
Not here: which stages a run has, and the pace (forecast.estimate).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from rest_react.config.settings import Model, Questions, Settings, TrainedModel, model_behind
from rest_react.config.training_part import training_rows
from rest_react.llm.model_settings import ModelSettings
from rest_react.tasks.agent_settings import shows_exemplars

OUTPUT_TOKENS = 60
READ_TOKENS = 20  # of a question or a short answer
TOOL_STATE_TOKENS, TOOL_OUTPUT_TOKENS = 825, 105  # of a call of a maker: means of 13 tools of a 1.5B model
CHARACTERS_PER_TOKEN = 3.5
FRAME_TOKENS = 8  # around a row's text, and after its answer
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
class Pace:
    """Searches per trajectory, and tokens per call: in (the state without the prefix) and out (one sample)."""

    searches: float
    tokens_in: float
    tokens_out: float


def rollouts(
    s: Settings, pace: Pace, stage: str, calls: int, samples: int, prefix: int, by: ModelSettings | None = None
) -> Forecast:
    """Calls with so many samples each, behind instructions and exemplars of `prefix` tokens, of the policy or of
    another model."""
    model = by or s.policy
    read = calls * requests_of(model, samples)
    tokens_in, tokens_out = round(read * (pace.tokens_in + prefix)), round(calls * samples * pace.tokens_out)
    # States of one trajectory share about half their tokens, and the prefix is shared by all.
    minutes = minutes_of(s, model, calls * pace.tokens_in / 2, tokens_out)
    return Forecast(stage, calls, tokens_in, tokens_out, minutes, model.price.usd(tokens_in, tokens_out))


def requests_of(model: ModelSettings, samples: int) -> int:
    """The requests of a call with so many samples: each is charged for the whole prompt."""
    return 1 if getattr(model, "n_per_request", True) else samples


def answering(s: Settings, pace: Pace, stage: str, questions: int, shots: int) -> Forecast:
    """The answers of the untuned policy as a baseline, which is shown so many of the user's rows."""
    made = s.task.prompts_of_rows(training_rows(s), shots=shots).values()
    prefix = fmean(tokens_of(prompt.prefix) for prompt in made) if made else _packaged_prefix(s)
    return rollouts(s, pace, stage, questions * s.evaluate.repeats, s.evaluate.samples, round(prefix))


def making(s: Settings, maker: ModelSettings, calls: int) -> Forecast:
    """The tools of a task, which a model of its own makes once."""
    tokens_in, tokens_out = calls * TOOL_STATE_TOKENS, calls * TOOL_OUTPUT_TOKENS
    minutes, usd = minutes_of(s, maker, tokens_in, tokens_out), maker.price.usd(tokens_in, tokens_out)
    return Forecast("iteration 0: tools", calls, tokens_in, tokens_out, minutes, usd)


def writing(s: Settings, pace: Pace) -> Iterator[Forecast]:
    """The texts of the teacher, about as long as the user's, and the reward model's verdict on each."""
    texts = round(s.synthetic.n * (1 + s.synthetic.spare))
    teacher = model_behind(s.teacher, s.policy) or s.policy
    asked = s.task.packaged_prompts / (s.task.teacher_prompt or "")
    tokens_in, tokens_out = texts * _tokens(asked), round(texts * pace.tokens_in)
    minutes = minutes_of(s, teacher, tokens_in, tokens_out)
    yield Forecast(
        "iteration 0: synthetic texts", texts, tokens_in, tokens_out, minutes, teacher.price.usd(tokens_in, tokens_out)
    )
    if s.synthetic.judged:
        yield judging(s, pace, "iteration 0: synthetic texts, verdicts", texts)


def judging(s: Settings, pace: Pace, stage: str, calls: int) -> Forecast:
    """One call reads the state, all samples and the instructions; of a trained judge the state and one sample."""
    shown = pace.tokens_in + s.grow.samples * pace.tokens_out
    if isinstance(s.reward_model, TrainedModel):
        shown = pace.tokens_in + pace.tokens_out
    else:
        shown += _tokens(s.task.packaged_prompts / "ranking.txt")
    written = 1 if by_options(s) else s.improve.max_tokens // 2
    tokens_in, tokens_out = round(calls * shown), calls * written
    judge = model_behind(s.reward_model, s.policy) or s.policy
    minutes = minutes_of(s, judge, tokens_in, tokens_out)
    return Forecast(stage, calls, tokens_in, tokens_out, minutes, judge.price.usd(tokens_in, tokens_out))


def reading(s: Settings, pace: Pace, stage: str, trajectories: int) -> Forecast:
    """A text of each trajectory, read twice. A server repeats the prompt, with the text and without it, and writes one
    token; in this process the text's tokens are forced, in two spellings."""
    judge = model_behind(s.reward_model, s.policy) or s.policy
    served = judge.runs == "server"
    calls = trajectories * (4 if served else 2)
    tokens_in, tokens_out = round(calls * pace.tokens_in), calls * (1 if served else 2 * READ_TOKENS)
    minutes = minutes_of(s, judge, tokens_in, tokens_out)
    return Forecast(stage, calls, tokens_in, tokens_out, minutes, judge.price.usd(tokens_in, tokens_out))


def by_options(s: Settings) -> bool:
    """Whether the reward model scores options instead of writing."""
    return s.improve.reward == "options" or isinstance(s.reward_model, TrainedModel)


def judge_training(s: Settings, pace: Pace, steps: int) -> Iterator[Forecast]:
    """A trained judge: the policy's samples at the demonstrated steps, and the training. A step has about one sample
    with another decision; each pair is two rows."""
    if isinstance(s.reward_model, TrainedModel):
        yield rollouts(s, pace, "iteration 0: judge, samples", steps, s.reward_model.samples, 0)
        rows = round(2 * steps * (1 + s.reward_model.corruptions) * (1 - s.reward_model.held_out))
        yield replace(training(s, pace, 0, rows), stage="iteration 0: judge")


def outcome_judge_training(s: Settings, pace: Pace, demonstrated: int, steps: float) -> Iterator[Forecast]:
    """A trained judge of answers: the trainings of the folds, each on the demonstrations of the others, their answers,
    and the training on these."""
    if isinstance(judge := s.reward_model, TrainedModel):
        stage, answers = "iteration 0: outcome judge", demonstrated * judge.repeats
        yield replace(training(s, pace, 0, round(demonstrated * steps * (judge.folds - 1))), stage=f"{stage}, folds")
        yield rollouts(s, pace, f"{stage}, answers", round(answers * steps), s.grow.samples, 0)
        passes = s.finetune.passes(s.demonstrations.epochs, demonstrations=True) or 1.0
        yield replace(training(s, pace, 0, round(answers * judge.epochs / passes)), stage=stage)


def grading(s: Settings, judge: Model, stage: str, answers: int) -> Forecast:
    """One call reads the question, the answer, the gold answers and the instructions."""
    rating = s.task.rating_prompt()
    template = s.task.packaged_prompts / (rating[0] if rating is not None else "autoeval.txt")
    tokens_in = answers * (_tokens(template) + 2 * OUTPUT_TOKENS)
    tokens_out = answers * OUTPUT_TOKENS
    minutes = minutes_of(s, judge, tokens_in, tokens_out)
    return Forecast(stage, answers, tokens_in, tokens_out, minutes, judge.price.usd(tokens_in, tokens_out))


def training(s: Settings, pace: Pace, iteration: int, rows: int) -> Forecast:
    """The tokens that the trainer reads; unknown if the trainer does not say how often it reads a row."""
    stage = f"iteration {iteration}: finetune"
    shown = iteration == 0
    passes = s.finetune.passes(s.demonstrations.epochs if shown else None, demonstrations=shown)
    if passes is None:
        return Forecast(stage, 0, None, 0, None, None)
    fixed = None if shown else s.finetune.rows_read(iteration)
    most = s.finetune.most_rows_read(s.demonstrations.batch_size if shown else None, demonstrations=shown)
    read = min(rows * passes, most) if fixed is None else fixed
    tokens = round(read * (pace.tokens_in + pace.tokens_out))
    minutes = 0.0 if not tokens else tokens / s.speed.train / 60 if s.speed.train else None
    usd = s.finetune.training_price().usd(tokens, 0)
    return Forecast(stage, 0, tokens, 0, None if s.finetune.tunes == "provider" else minutes, usd)


def minutes_of(s: Settings, model: ModelSettings, tokens_in: float, tokens_out: float) -> float | None:
    """The minutes in which a model on this machine reads and writes so many tokens; None of a server."""
    if model.runs == "script":
        return 0.0
    if model.runs == "server" or not s.speed.prefill or not s.speed.decode:
        return None
    return (tokens_in / s.speed.prefill + tokens_out / s.speed.decode) / 60


def size_of(s: Settings, source: Questions) -> int:
    """The number of questions of a set."""
    if source.sample is not None:
        return source.sample
    world = {"demonstrations": s.world.demonstrations, "train": s.world.train, "evaluation": s.world.evaluation}
    size = source.size(world | {"families": len(getattr(s.task, "families", ()))})
    return UNKNOWN_SIZE if size is None else size


def demonstrations_of(s: Settings) -> int:
    """The number of demonstrations."""
    if s.synthetic.n:
        return s.synthetic.n
    source = s.demonstrations.questions
    return s.world.demonstrations if source is None else size_of(s, source)


def prefix_tokens(s: Settings, iteration: int) -> int:
    """The mean number of tokens of the instructions and exemplars in a prompt of this iteration's model."""
    tuned = iteration > 0 or s.start == "demonstrations"
    return _packaged_prefix(s) if shows_exemplars(s.agent.exemplars, tuned=tuned) else 0


def _packaged_prefix(s: Settings) -> int:
    folder = Path(s.agent.prompts) if s.agent.prompts else s.task.packaged_prompts
    return sum(_tokens(folder / f"{kind}.txt") for kind in s.task.step_kinds) // len(s.task.step_kinds)


def _tokens(text: Path) -> int:
    return round(text.stat().st_size / CHARACTERS_PER_TOKEN)


def tokens_of(text: str) -> float:
    """About as many tokens as a small model's tokenizer makes: of other scripts one for two bytes."""
    plain = sum(map(str.isascii, text))
    return plain / CHARACTERS_PER_TOKEN + (len(text.encode("utf-8", "replace")) - plain) / 2
