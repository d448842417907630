from dataclasses import replace

import pytest

from rest_react.config.compose import compose
from rest_react.config.students import settings_of_student
from rest_react.errors import ConfigError
from rest_react.metrics.prices import Price


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


def test_a_student_of_a_provider_has_its_own_price_and_none_without_one() -> None:
    told = "students=[small,{model:tiny,price:{input:1,output:2}}]"
    given = ["policy=openai", "policy.price={input:9,output:9}", "start=prompted", "finetune=hosted", told]
    teacher = compose(given)
    prices = [settings_of_student(teacher, one).policy.price for one in teacher.students]
    assert prices == [Price(None, None), Price(1.0, 2.0)]
    with pytest.raises(ConfigError) as refused:
        compose([*given, "finetune.price.input=1", "budget.max_usd=5"])
    (problem,) = refused.value.problems
    assert problem.startswith("students: budget.max_usd needs the price of small;")


def test_a_student_on_this_machine_costs_what_its_teacher_does() -> None:
    teacher = compose(["experiment=smoke", "policy=vllm", "students=[small]"])
    assert settings_of_student(teacher, teacher.students[0]).policy.price == teacher.policy.price
