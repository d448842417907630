"""Notes on settings that can work and may not be meant: one line each, printed before the run starts.

    for note in notes(settings): say(f"note: {note}")

Not here: combinations that cannot work (config.checks).
"""

from collections.abc import Iterator

from rest_react.config.settings import SameModel, Settings, asks_reward_model
from rest_react.selection.trajectory_filters import ANSWER_AGAIN, JUDGE_ANSWERS, READ_TEXTS
from rest_react.weights.embedded import EMBEDDED
from rest_react.weights.tiny import TINY

_SECOND_READER = (
    "Keep what a larger model answers too (in two built-in worlds, with one of 1.5 billion parameters, 56% and 62% of "
    "it was right, of all 24% and 21%): improve.keep_trajectories=reader_agrees reward_model=openai. If every question "
    "needs two passages, add improve.min_passages=2 (75%, 87% and 97% in three). "
)


def notes(s: Settings) -> Iterator[str]:
    """One line for each, with the figure that was measured for it and a way out."""
    if _trains_on_unjudged_samples(s):
        yield (
            "improve.selector: perplexity trains on the likeliest sample of each step, and nothing judges it. Measured "
            "in the built-in world, one iteration, against a control that trains on the demonstrations alone: -7.7 "
            "points [-15.3, +0.3] in one world (one training), +5.3 [-2.7, +13.3] in another (three), where what two "
            f"trajectories agree on gave +8.0 [+0.5, +15.4] (docs/log.md). {_SECOND_READER if s.task.searches else ''}"
            "Keep what trajectories agree on: improve.keep_trajectories=agreeing grow.trajectories_per_question=4, or "
            "ask a model larger than the policy: improve.selector=reward_model reward_model=openai"
        )
    if s.iteration > 0 and s.improve.max_examples != 0 and s.grow.samples == 1 and not _is_filtered(s):
        yield (
            "grow.samples: 1, so every step trains on its only sample, and nothing judges it; set grow.samples=4, or a "
            "filter, such as improve.keep=judged_good or improve.keep_trajectories=reconstructable"
        )
    if (most := _ignored_limit(s)) is not None:
        yield (
            f"finetune.max_steps: {most} holds for iteration 0 alone; from iteration 1 on finetune.steps takes its "
            "place, with larger numbers"
        )
    if (rate := _rate_of_small_models(s)) is not None:
        yield (
            f"finetune.learning_rate: {rate:g} was chosen for the embedded model, of 135 million weights, not for "
            f"{_policy(s)}. Models of billions of weights are usually tuned with LoRA at 1e-4: "
            "finetune.learning_rate=1e-4"
        )
    if (rate := _rate_of_full_finetuning(s)) is not None:
        yield (
            f"finetune.learning_rate: {rate:g} is a rate of full fine-tuning; LoRA is usually "
            "tuned at 1e-4 or more: finetune.learning_rate=1e-4"
        )
    if _starts_from_other_questions(s):
        yield (
            f"start: demonstrations fine-tunes {_policy(s)} on scripted answers about the built-in world, not about "
            "your questions. A model that follows prompts needs none: start=prompted"
        )
    if s.iteration > 0 and s.improve.max_examples != 0 and s.grow.temperature == 0:
        yield (
            "grow.temperature: 0, so all samples of a step are the same, and all trajectories of a question: there is "
            "nothing to choose, and what is kept because trajectories agree tells nothing; set grow.temperature=1.0"
        )
    if s.iteration > 0 and asks_reward_model(s) and _judge(s) == EMBEDDED:
        yield from _notes_on_the_embedded_judge(s)
    if s.synthetic.n and s.synthetic.judged and _judge(s) == EMBEDDED:
        yield (
            f"synthetic.judged: {EMBEDDED}, untuned, is a poor judge of texts: as teacher and judge of complaints it "
            "left 15 texts of 100 (docs/log.md). Name a larger model (reward_model=openai; reward_model=qwen after "
            "make qwen), or set synthetic.judged=false"
        )


def _notes_on_the_embedded_judge(s: Settings) -> Iterator[str]:
    of_answers = s.improve.keep_trajectories in JUDGE_ANSWERS
    judges = s.improve.selector == "reward_model" or s.improve.keep == "judged_good" or of_answers
    if judges:
        yield (
            f"reward_model: {EMBEDDED}, untuned, judged no better than chance where it was measured (Wikipedia "
            "text, by options, one policy): a right sample in 49% [45, 54] of 491 steps that had right and wrong ones "
            "(random 52%, perplexity 71%); it called all 280 trajectories right, of which 98 were (docs/log.md). Name "
            "a larger model (reward_model=openai; reward_model=qwen after make qwen), or keep what trajectories agree "
            "on: improve.selector=perplexity improve.keep_trajectories=agreeing grow.trajectories_per_question=4"
        )
    if s.improve.keep_trajectories in ANSWER_AGAIN:
        yield (
            f"improve.keep_trajectories: {s.improve.keep_trajectories} needs a model that can answer from a passage; "
            f"{EMBEDDED}, untuned, cannot: in a built-in world it gave the answer of 8 of 188 trajectories, 2 of them "
            "right (of all 40). Name a larger model (reward_model=openai; reward_model=qwen after make qwen)"
        )
    if s.improve.keep_trajectories in READ_TEXTS:
        yield (
            f"improve.keep_trajectories: {EMBEDDED}, untuned, hardly tells right trajectories from wrong ones by "
            "reading (built-in world, 199 trajectories, 63% right): cycle_consistent kept 180 of them, 66% right, and "
            "evidence_needed 187, 67% right. reconstructable, which needs no model, kept 148, 82% right; in another "
            "world (197, 58% right) 128, 64% right (docs/log.md)"
        )


def _ignored_limit(s: Settings) -> int | None:
    """`finetune.max_steps`, where `finetune.steps` goes beyond it and takes its place."""
    most, steps = getattr(s.finetune, "max_steps", None), getattr(s.finetune, "steps", None)
    return most if s.iteration and most is not None and steps and max(steps) > most else None


def _rate_of_small_models(s: Settings) -> float | None:
    """The learning rate, where it is that of finetune=lora and another model than a packaged one is tuned."""
    rate = _lora_rate(s)
    return rate if rate is not None and rate >= 1e-3 and _policy(s) not in (EMBEDDED, TINY, None) else None


def _rate_of_full_finetuning(s: Settings) -> float | None:
    """The learning rate, where LoRA trains at one of full fine-tuning. DPO needs a lower rate than targets."""
    rate = _lora_rate(s)
    return rate if rate is not None and rate <= 2e-5 and s.finetune.learns_from != "preferences" else None


def _lora_rate(s: Settings) -> float | None:
    """The learning rate of a run that trains with LoRA."""
    trains = s.iteration > 0 or s.start == "demonstrations"
    is_lora = getattr(s.finetune, "method", None) == "lora"
    return getattr(s.finetune, "learning_rate", None) if is_lora and trains else None


def _starts_from_other_questions(s: Settings) -> bool:
    """Whether a model that is no packaged one learns the built-in demonstrations, to answer other questions."""
    own = s.demonstrations.questions is not None or s.grow.questions.is_world
    return s.start == "demonstrations" and not own and s.task.searches and _policy(s) not in (EMBEDDED, TINY, None)


def _policy(s: Settings) -> str | None:
    return getattr(s.policy, "model", None)


def _judge(s: Settings) -> str | None:
    """The name of the model that judges."""
    judge = s.policy if isinstance(s.reward_model, SameModel) else s.reward_model
    return getattr(judge, "model", None)


def _trains_on_unjudged_samples(s: Settings) -> bool:
    """Whether likelihood alone decides what trains: no filter, no reward model, no vote."""
    chosen = s.grow.samples > 1 and s.improve.selector == "perplexity"
    return s.iteration > 0 and s.improve.max_examples != 0 and chosen and not _is_filtered(s)


def _is_filtered(s: Settings) -> bool:
    i = s.improve
    return i.keep != "all" or i.keep_trajectories != "all" or i.only_grounded
