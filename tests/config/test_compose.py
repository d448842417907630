"""The messages of `compose` for choices and names that do not exist."""

import pytest

from rest_react.config.compose import compose
from rest_react.errors import ConfigError


def refused(*overrides: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as error:
        compose(overrides)
    return tuple(error.value.problems)


def test_a_model_that_is_only_evaluated_needs_no_trainer_that_fits() -> None:
    for policy in ("ollama", "openai", "gemini", "vllm_remote"):
        assert compose([f"policy={policy}", "start=prompted", "iteration=0"]).policy.kind in ("openai", "gemini")
    assert refused("policy=ollama", "start=prompted", "iteration=1")
    assert compose(["finetune=hosted", "start=prompted", "iteration=0"]).iteration == 0


@pytest.mark.parametrize(
    ("role", "lists", "lacks"),
    [
        ("policy", "openai", ("same", "rule", "trained", "scripted_maker")),
        ("grader", "rule", ("trained", "scripted_maker")),
        ("reward_model", "trained", ("rule", "scripted_maker")),
        ("teacher", "same", ("rule", "trained", "scripted_maker")),
    ],
)
def test_the_choices_of_a_role_are_those_that_it_can_have(role: str, lists: str, lacks: tuple[str, ...]) -> None:
    for choice in lacks:
        (problem,) = refused(f"{role}={choice}")
        assert problem.startswith(f"{role}: there is no '{choice}'; choose one of ")
        listed = problem.partition("choose one of ")[2].split(", ")
        assert lists in listed
        assert not set(lacks) & set(listed)


def test_a_model_s_name_in_place_of_a_client_is_told_where_it_goes() -> None:
    (problem,) = refused("policy=Qwen/Qwen2.5-7B-Instruct")
    assert problem.endswith("(a model's name goes into policy.model)")


def test_a_name_that_begins_the_name_of_a_setting_is_told_that_setting() -> None:
    told = {"grow.trajectories=4": "grow.trajectories_per_question", "lr=1e-4": "finetune.learning_rate"}
    for given, meant in told.items():
        (problem,) = refused(given)
        assert problem.endswith(f"did you mean {meant}?")
