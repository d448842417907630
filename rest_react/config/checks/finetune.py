"""A policy that the trainer cannot tune, or that would learn nothing or something else than it is asked.

    finetune.kind: hosted cannot tune policy.kind=vllm; use finetune=local, or policy=openai

Not here: the settings of one trainer (`problems` beside the trainer).
"""

from collections.abc import Iterator

from rest_react.config.checks.question_sets import benchmarks_for_testing
from rest_react.config.settings import Settings


def tuning_problems(s: Settings) -> Iterator[str]:
    """A policy that the trainer cannot tune, or that would be trained and sampled with different tokens."""
    trains = s.iteration > 0 or s.start == "demonstrations"
    policy, trainer = s.policy, s.finetune
    if policy.tuned == "nowhere" and trains:
        yield (
            f"policy.kind: {policy.kind} cannot be fine-tuned; evaluate it with iteration=0 start=prompted, or "
            "policy=openai"
        )
    if trainer.tunes == "provider" and policy.tuned == "here" and trains:
        way_out = "use finetune=local, or policy=openai"
        yield f"finetune.kind: {trainer.kind} cannot tune policy.kind={policy.kind}; {way_out}"
    if trainer.tunes == "here" and policy.tuned == "provider" and trains:
        way_out = "use finetune=hosted, policy=vllm, or policy.load_weights=[<command>] (docs/servers.md)"
        yield f"finetune.kind: {trainer.kind} cannot tune policy.kind={policy.kind}; {way_out}"
    if trainer.tunes == policy.tuned and trains:
        yield from policy.problems_when_tuned("policy")
    yield from _schedule_problems(s)


def _schedule_problems(s: Settings) -> Iterator[str]:
    """A schedule of the demonstrations that the trainer cannot follow."""
    own, trainer = s.demonstrations, s.finetune
    if trainer.whole_epochs and s.start == "demonstrations" and (own.epochs or 1) % 1:
        yield f"demonstrations.epochs: {own.epochs:g}, but a hosted job trains for whole epochs; round it"
    if own.learning_rate is not None and trainer.tunes == "provider":
        yield (
            "demonstrations.learning_rate: a provider chooses the rate; set it to null "
            "(finetune.learning_rate_multiplier scales the provider's, in all iterations)"
        )
    share = getattr(trainer, "micro_batch_size", 1) * getattr(trainer, "num_processes", 1)
    if own.batch_size is not None and own.batch_size % share:
        yield (
            f"demonstrations.batch_size: {own.batch_size} is not a multiple of finetune.micro_batch_size × "
            f"finetune.num_processes ({share}); set it to {max(share, own.batch_size // share * share)}"
        )


def choice_problems(s: Settings) -> Iterator[str]:
    """A choice among the models of a training without a benchmark, or without several models."""
    chosen_by, kept = s.evaluate.choose_by, s.finetune.models_kept()
    if getattr(s.finetune, "accelerate", None) is not None and kept is not None and kept > 1:
        yield (
            "finetune.snapshots: weights that finetune.accelerate shards are gathered at the end alone; set "
            "finetune.snapshots=1 and evaluate.choose_by=null"
        )
    if chosen_by is None:
        if kept is not None and kept > 1:
            yield (
                f"finetune.snapshots: {kept} models are kept, but nothing chooses among them; set "
                "evaluate.choose_by=<benchmark>, or finetune.snapshots=1"
            )
        return
    if chosen_by not in s.evaluate.benchmarks:
        names = ", ".join(s.evaluate.benchmarks) or "none"
        yield f"evaluate.choose_by: {chosen_by!r} is not in evaluate.benchmarks; name one of them: {names}"
    elif chosen_by in benchmarks_for_testing(s):
        yield f"evaluate.choose_by: {chosen_by} is for testing only; choose by another benchmark"
    if s.finetune.tunes == "nothing":
        yield f"evaluate.choose_by: finetune.kind={s.finetune.kind} makes no models; set evaluate.choose_by=null"
    elif kept == 1:
        yield "evaluate.choose_by: a training keeps one model; set finetune.snapshots=4, or evaluate.choose_by=null"


def preference_problems(s: Settings) -> Iterator[str]:
    """A trainer that learns from preferences needs several samples per step, and a tuned policy as reference model."""
    if s.grow.samples == 1:
        yield f"grow.samples: 1, but finetune.kind={s.finetune.kind} compares the samples of a step; set 2 or more"
    if s.start == "prompted" and s.agent.exemplars != "never":
        yield (
            f"finetune.kind: {s.finetune.kind} needs a tuned policy, but start=prompted gives none; set "
            "start=demonstrations or, if policy.model is already tuned, agent.exemplars=never"
        )
