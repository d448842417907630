"""Choose: the best of the models of one training, by the same answers of each."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from rest_react.errors import OutsideFault
from rest_react.records import Fault, ModelRef, Result
from rest_react.stages.choose_model import Choice, choose_model
from tests.runs import result, write_lines

MODELS = {steps: ModelRef(f"model-{steps}", "local", tuned=True) for steps in (10, 20, 30)}
OUTAGE, REFUSED = Fault("outside", "down"), Fault("model", "no usable sample")


def chosen(tmp_path: Path, answers: Mapping[int, str]) -> Choice:
    """The choice by answers that are right (1), wrong (0), unscored (-), lost outside (o) or failed (f)."""
    asked = []

    async def evaluate_model(model: ModelRef, folder: Path, which: str) -> None:
        asked.append((model, folder, which))
        write_lines(folder / "results.jsonl", [made(f"q{i}", mark) for i, mark in enumerate(answers[len(asked) * 10])])

    found = asyncio.run(choose_model(MODELS, evaluate_model, tmp_path))
    assert asked == [(MODELS[n], tmp_path / str(n), f"model after {n} steps") for n in (10, 20, 30)]
    return found


def made(question: str, mark: str) -> Result:
    if mark in "of":
        return result(question, fault=OUTAGE if mark == "o" else REFUSED)
    return result(question, verdict={"1": "correct", "0": "incorrect", "-": "unscored"}[mark])


def test_the_most_accurate_model_is_chosen(tmp_path: Path) -> None:
    assert chosen(tmp_path, {10: "1100", 20: "1110", 30: "0110"}) == Choice(
        MODELS[20], 20, tmp_path / "20", {"10": 0.5, "20": 0.75, "30": 0.5}
    )


def test_of_equally_good_models_the_last_is_chosen(tmp_path: Path) -> None:
    assert chosen(tmp_path, {10: "1100", 20: "0000", 30: "0011"}).steps == 30


def test_an_answer_that_is_unscored_for_one_model_counts_for_none(tmp_path: Path) -> None:
    found = chosen(tmp_path, {10: "1001", 20: "11-0", 30: "o000"})
    assert (found.steps, found.accuracy) == (20, {"10": 0.5, "20": 0.5, "30": 0.0})


def test_an_answer_that_failed_because_of_the_model_is_incorrect(tmp_path: Path) -> None:
    assert chosen(tmp_path, {10: "11", 20: "ff", 30: "1f"}).accuracy == {"10": 1.0, "20": 0.0, "30": 0.5}


def test_without_an_answer_that_is_scored_for_every_model_none_is_chosen(tmp_path: Path) -> None:
    with pytest.raises(OutsideFault, match="no answer is scored for every model"):
        chosen(tmp_path, {10: "1-", 20: "-1", 30: "11"})
