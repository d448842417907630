"""Students: smaller models that are tuned on what a run has grown (`students=[...]`), each in a run of its own.

    settings_of_student(settings, Student("base/1B"))     # run=<run>_1B policy.model=base/1B grow.reuse=<run>

Not here: which stages a student takes over from its teacher's run (stages.reuse).
"""

from dataclasses import replace

from rest_react.config.settings import Grader, Model, SameModel, Settings, Student


def settings_of_student(s: Settings, student: Student) -> Settings:
    """The settings of a student's own run: it learns from what `s` has grown; it may be sampled in its own way."""
    samples = s.evaluate.samples if student.samples is None else student.samples
    temperature = s.evaluate.temperature if student.temperature is None else student.temperature
    return replace(
        s,
        run=f"{s.run}_{student.name}",
        policy=replace(s.policy, model=student.model),
        grader=_named(s.grader, s.policy),
        grow=replace(s.grow, reuse=s.run),
        evaluate=replace(s.evaluate, samples=samples, temperature=temperature),
        students=(),
    )


def _named(grader: Grader, policy: Model) -> Grader:
    """The grader, by its name where it was the `same` as a policy that will be another: all models have one grader."""
    return policy.in_mode(grader.mode) if isinstance(grader, SameModel) else grader
