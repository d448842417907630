"""Students (`students=[...]`): smaller models that are tuned on the data of a run, each in its own run.

    settings_of_student(settings, Student("base/1B"))     # run=<run>_1B policy.model=base/1B grow.reuse=<run>

Not here: which stages a student reuses from the run of its teacher (stages.reuse).
"""

from dataclasses import replace

from rest_react.config.settings import Grader, Model, SameModel, Settings, Student
from rest_react.metrics.prices import Price


def settings_of_student(s: Settings, student: Student) -> Settings:
    """The settings of the run of a student, which reuses the trajectories of the run with the settings `s`. A student
    may set its own number of samples and temperature for evaluation, and its price: that of the teacher is another."""
    samples = s.evaluate.samples if student.samples is None else student.samples
    temperature = s.evaluate.temperature if student.temperature is None else student.temperature
    price = student.price or (Price(None, None) if s.policy.runs == "server" else s.policy.price)
    return replace(
        s,
        run=f"{s.run}_{student.name}",
        policy=replace(s.policy, model=student.model, price=price),
        grader=_named(s.grader, s.policy),
        grow=replace(s.grow, reuse=s.run),
        evaluate=replace(s.evaluate, samples=samples, temperature=temperature),
        students=(),
    )


def _named(grader: Grader, policy: Model) -> Grader:
    """The grader. `same` becomes the model of the teacher by name, so that all students have the same grader."""
    return policy.in_mode(grader.mode) if isinstance(grader, SameModel) else grader
