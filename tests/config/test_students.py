from dataclasses import replace

from rest_react.config.compose import compose
from rest_react.config.students import settings_of_student


def test_a_student_has_the_grader_of_its_teacher_and_its_own_sampling() -> None:
    told = "students=[base/3B,{model:base/1B,samples:16,temperature:0.7}]"
    served = ("policy=vllm", "policy.model=base/7B", "policy.mode=completion", told, "grader=same")
    teacher = compose(["experiment=smoke", *served])
    student, smallest = (settings_of_student(teacher, one) for one in teacher.students)
    assert student == replace(
        teacher,
        run="smoke_3B",
        students=(),
        policy=replace(teacher.policy, model="base/3B"),
        grow=replace(teacher.grow, reuse="smoke"),
        grader=replace(teacher.policy, mode="chat"),
    )
    assert smallest == replace(
        student,
        run="smoke_1B",
        policy=replace(teacher.policy, model="base/1B"),
        evaluate=replace(teacher.evaluate, samples=16, temperature=0.7),
    )
