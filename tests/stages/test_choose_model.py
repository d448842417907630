"""Choose: the best of the models of one training, by the same answers of each."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from rest_react.errors import OutsideFault
from rest_react.records import Fault, ModelRef, Result
from rest_react.stages.choose_model import TRAINING, choose_model, model_of_iteration, weights_of_iteration
from rest_react.stages.finetune import MODEL
from rest_react.storage.files import write_file, write_json
from rest_react.storage.summaries import read_summary, write_summary
from tests.runs import result, write_lines

MODELS = {steps: ModelRef(f"model-{steps}", "local", tuned=True) for steps in (10, 20, 30)}
OUTAGE, REFUSED = Fault("outside", "down"), Fault("model", "no usable sample")


def chosen(tmp_path: Path, answers: Mapping[int, str]) -> tuple[int, dict[str, float]]:
    """The chosen steps and all accuracies, by answers that are right (1), wrong (0), unscored (-), lost outside (o) or
    failed (f)."""
    asked = []

    async def evaluate_model(model: ModelRef, folder: Path, which: str) -> None:
        asked.append((model, folder, which))
        write_lines(folder / "results.jsonl", [made(f"q{i}", mark) for i, mark in enumerate(answers[len(asked) * 10])])

    stage = tmp_path / "iter_1" / "choose"
    model = asyncio.run(choose_model(MODELS, evaluate_model, stage, benchmark="world"))
    assert asked == [(MODELS[n], stage / str(n), f"model after {n} steps") for n in (10, 20, 30)]
    summary = read_summary(stage) or {}
    assert summary["benchmark"] == "world"
    assert model == MODELS[summary["chosen_steps"]] == model_of_iteration(tmp_path / "iter_1")
    assert asyncio.run(choose_model({}, evaluate_model, stage, benchmark="world")) == model  # not asked again
    return summary["chosen_steps"], summary["accuracy"]


def made(question: str, mark: str) -> Result:
    if mark in "of":
        return result(question, fault=OUTAGE if mark == "o" else REFUSED)
    return result(question, verdict={"1": "correct", "0": "incorrect", "-": "unscored"}[mark])


def test_the_most_accurate_model_is_chosen(tmp_path: Path) -> None:
    assert chosen(tmp_path, {10: "1100", 20: "1110", 30: "0110"}) == (
        20,
        {"10": 0.5, "20": 0.75, "30": 0.5},
    )


def test_of_equally_good_models_the_last_is_chosen(tmp_path: Path) -> None:
    assert chosen(tmp_path, {10: "1100", 20: "0000", 30: "0011"})[0] == 30


def test_an_answer_that_is_unscored_for_one_model_counts_for_none(tmp_path: Path) -> None:
    found = chosen(tmp_path, {10: "1001", 20: "11-0", 30: "o000"})
    assert found == (20, {"10": 0.5, "20": 0.5, "30": 0.0})


def test_an_answer_that_failed_because_of_the_model_is_incorrect(tmp_path: Path) -> None:
    assert chosen(tmp_path, {10: "11", 20: "ff", 30: "1f"})[1] == {"10": 1.0, "20": 0.0, "30": 0.5}


def test_without_an_answer_that_is_scored_for_every_model_none_is_chosen(tmp_path: Path) -> None:
    with pytest.raises(OutsideFault, match="no answer is scored for every model"):
        chosen(tmp_path, {10: "1-", 20: "-1", 30: "11"})


def test_without_a_choice_an_iteration_goes_on_with_the_model_of_its_training(tmp_path: Path) -> None:
    stage = tmp_path / "iter_1" / "finetune"
    write_json(stage / MODEL, ModelRef("iter_1/finetune/model", "local", tuned=True))
    assert weights_of_iteration(tmp_path / "iter_1") is None  # not complete
    write_summary(stage, {})
    assert weights_of_iteration(tmp_path / "iter_1") == tmp_path / "iter_1" / "finetune" / "model"
    write_json(stage / MODEL, ModelRef("ft:gpt:abc", "hosted", tuned=True))
    write_summary(stage, {})
    assert model_of_iteration(tmp_path / "iter_1") == ModelRef("ft:gpt:abc", "hosted", tuned=True)
    assert weights_of_iteration(tmp_path / "iter_1") is None


def trained(iteration: Path, weights: str) -> None:
    """A complete training, whose models lie at the same paths whatever their weights."""
    stage = iteration / "finetune"
    write_file(stage / "model" / "model.safetensors", weights)
    write_json(stage / MODEL, ModelRef("iter_1/finetune/model", "local", tuned=True))
    write_summary(stage, {})


def choose(iteration: Path, answers: Mapping[int, str]) -> ModelRef:
    """Chooses by these answers; a model whose answers are there is not asked again."""

    async def evaluate_model(model: ModelRef, folder: Path, which: str) -> None:
        marks, path = answers[int(folder.name)], folder / "results.jsonl"
        if not path.exists():
            write_lines(path, [made(f"q{i}", mark) for i, mark in enumerate(marks)])

    return asyncio.run(choose_model(MODELS, evaluate_model, iteration / "choose", benchmark="world"))


BEFORE, NOW = {10: "11", 20: "00", 30: "00"}, {10: "00", 20: "11", 30: "00"}


def test_a_choice_that_another_training_has_left_is_made_anew(tmp_path: Path) -> None:
    trained(tmp_path, "first")
    assert choose(tmp_path, BEFORE) == MODELS[10]
    assert choose(tmp_path, NOW) == model_of_iteration(tmp_path) == MODELS[10]  # of the same training
    trained(tmp_path, "second")
    assert model_of_iteration(tmp_path) == ModelRef("iter_1/finetune/model", "local", tuned=True)
    assert choose(tmp_path, NOW) == model_of_iteration(tmp_path) == MODELS[20]


def test_answers_that_another_training_has_left_without_a_choice_are_made_anew(tmp_path: Path) -> None:
    trained(tmp_path, "first")
    choose(tmp_path, BEFORE)
    (tmp_path / "choose" / "summary.json").unlink()
    trained(tmp_path, "second")
    assert choose(tmp_path, NOW) == MODELS[20]


def test_what_a_kill_has_left_of_a_choice_that_was_being_removed_is_not_used(tmp_path: Path) -> None:
    trained(tmp_path, "first")
    choose(tmp_path, BEFORE)
    trained(tmp_path, "second")
    (tmp_path / "choose" / TRAINING).unlink()  # removed first
    assert model_of_iteration(tmp_path) == ModelRef("iter_1/finetune/model", "local", tuned=True)
    assert choose(tmp_path, NOW) == MODELS[20]
