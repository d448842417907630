"""A policy that the trainer cannot tune, or that would learn nothing or something else than it is asked.

    finetune.kind: hosted cannot tune policy.kind=vllm; use finetune=local, or policy=openai

Not here: the settings of one trainer (`problems` beside the trainer).
"""

from collections.abc import Iterator

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
    if trainer.tunes == "provider" and policy.tuned == "here":
        way_out = "use finetune=local, or policy=openai"
        yield f"finetune.kind: {trainer.kind} cannot tune policy.kind={policy.kind}; {way_out}"
    if trainer.tunes == "here" and policy.tuned == "provider":
        way_out = "use finetune=hosted, policy=vllm, or policy.load_weights=[<command>] (docs/servers.md)"
        yield f"finetune.kind: {trainer.kind} cannot tune policy.kind={policy.kind}; {way_out}"
    if trainer.tunes == policy.tuned and trains:
        yield from policy.problems_when_tuned("policy")


def preference_problems(s: Settings) -> Iterator[str]:
    """A trainer that learns from preferences needs several samples per step, and a tuned policy as reference model."""
    if s.grow.samples == 1:
        yield f"grow.samples: 1, but finetune.kind={s.finetune.kind} compares the samples of a step; set 2 or more"
    if s.start == "prompted" and s.agent.exemplars != "never":
        yield (
            f"finetune.kind: {s.finetune.kind} needs a tuned policy, but start=prompted gives none; set "
            "start=demonstrations or, if policy.model is already tuned, agent.exemplars=never"
        )
