"""Finetune: a stage that is complete is never trained again, and one without examples never begins."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from rest_react.errors import OutsideFault, UsageError
from rest_react.metrics.prices import NO_PRICE, Price
from rest_react.records import Example, ModelRef, Preference
from rest_react.stages.finetune import MODEL, digest_of_training, finetune, read_model
from rest_react.storage.files import write_file, write_json
from rest_react.storage.jsonl import replace_lines
from rest_react.storage.summaries import read_summary, write_summary

BASE = ModelRef("tiny-random", "base", tuned=False)
TUNED = ModelRef("iter_1/finetune/model", "local", tuned=True)
ROWS = [Example(f"q.0.{i}", "q.0", i, "decide", "state", "output", "perplexity") for i in range(3)]


class Told:
    """A `Trainer` that notes what it is told and hands a model over."""

    def __init__(self, outage: OutsideFault | None = None) -> None:
        self.outage = outage
        self.told: list[tuple[list[Example], ModelRef, Path, int]] = []

    async def train(self, examples: Sequence[Example], base: ModelRef, folder: Path, seed: int) -> ModelRef:
        assert folder.is_dir()
        self.told.append((list(examples), base, folder, seed))
        if self.outage is not None:
            raise self.outage
        return TUNED


def test_the_trainer_gets_every_example_and_its_model_is_kept(tmp_path) -> None:
    stage, trainer = tmp_path / "iter_1" / "finetune", Told()
    model = asyncio.run(finetune(trainer, iter(ROWS), BASE, stage, seed=7))
    assert trainer.told == [(ROWS, BASE, stage, 7)]
    assert model == read_model(stage) == TUNED
    summary = read_summary(stage) or {}
    assert {key: value for key, value in summary.items() if key != "seconds"} == {
        "schema": 1, "examples": 3, "learns_from": "examples", "base": "tiny-random", "model": "iter_1/finetune/model",
        "rows_by_origin": {}, "steps": None, "held_out_loss": None, "trained_tokens": None, "cost_usd": 0.0,
        "cost_reason": None,
    }  # fmt: skip


def trained(stage: Path, *, weights: str = "a", snapshot: str = "a", model: ModelRef = TUNED) -> str:
    """Completes a training whose last model and snapshot hold these weights; returns its digest."""
    for folder, content in (("model", weights), ("snapshots/5/model", snapshot)):
        write_file(stage / folder / "model.safetensors", content)
    write_json(stage / MODEL, model)
    write_summary(stage, {})
    return digest_of_training(stage)


def test_the_digest_of_a_training_names_all_its_models(tmp_path) -> None:
    first = trained(tmp_path)
    other_job = ModelRef("ft:gpt:other", "hosted", tuned=True)
    others = [trained(tmp_path, weights="b"), trained(tmp_path, snapshot="b"), trained(tmp_path, model=other_job)]
    assert len({first, *others, ""}) == 5
    assert trained(tmp_path) == first


def test_the_digest_of_a_training_stays_when_a_damaged_model_json_is_repaired(tmp_path) -> None:
    asyncio.run(finetune(Told(), ROWS, BASE, tmp_path, seed=7))
    before = digest_of_training(tmp_path)
    for name in (MODEL, "summary.json"):
        (tmp_path / name).unlink()
    assert digest_of_training(tmp_path) == ""
    asyncio.run(finetune(Told(), ROWS, BASE, tmp_path, seed=7, price=Price(2.0, None)))
    assert digest_of_training(tmp_path) == before


def test_the_summary_counts_rows_by_origin_and_optimiser_steps(tmp_path) -> None:
    replace_lines(
        tmp_path / "loss.jsonl", [{"step": step, "loss": 1.0, "held_out_loss": 1 / step} for step in (1, 2, 3)]
    )
    origin = {"q.0.0": "grown", "q.0.1": "demonstrations", "q.0.2": "grown"}
    asyncio.run(finetune(Told(), ROWS, BASE, tmp_path, seed=7, origin=lambda row: origin[row.id]))
    summary = read_summary(tmp_path) or {}
    assert (summary["rows_by_origin"], summary["steps"]) == ({"grown": 2, "demonstrations": 1}, 3)
    assert summary["held_out_loss"] == 1 / 3


@pytest.mark.parametrize(
    ("left", "curve", "least"),
    [
        ([], [(1, 5.0), (2, 9.0)], 0),  # one process
        ([(1, 100.0), (2, 200.0), (3, 300.0)], [(1, 100.0), (2, 200.0), (3, 205.0)], 200),  # two steps are kept
        ([(1, 100.0)], [(1, 5.0), (2, 9.0)], 0),  # the rows have changed: it started again
        ([(1, 100.0)], [(1, 100.0)], 100),  # killed after the last step
        ([(1, None)], [(1, None), (2, None)], None),  # a hosted job went on while no process waited for it
    ],
)
def test_the_seconds_of_a_training_include_the_steps_of_interrupted_processes(tmp_path, left, curve, least) -> None:
    def lines(steps: list[tuple[int, float | None]]) -> list[dict[str, float]]:
        return [{"step": n, "loss": 1.0} | ({} if at is None else {"seconds": at}) for n, at in steps]

    class Resumes(Told):
        async def train(self, examples: Sequence[Example], base: ModelRef, folder: Path, seed: int) -> ModelRef:
            replace_lines(folder / "loss.jsonl", lines(curve))
            return await super().train(examples, base, folder, seed)

    if left:
        replace_lines(tmp_path / "loss.jsonl", lines(left))
    asyncio.run(finetune(Resumes(), ROWS, BASE, tmp_path, seed=7))
    seconds = (read_summary(tmp_path) or {})["seconds"]
    assert (seconds is None) if least is None else (least <= seconds < least + 5)


def test_rows_that_the_trainer_holds_out_are_not_counted_as_trained_on(tmp_path) -> None:
    class HoldsOut(Told):
        async def train(self, examples: Sequence[Example], base: ModelRef, folder: Path, seed: int) -> ModelRef:
            replace_lines(folder / "held_out.jsonl", examples[1:2])
            return await super().train(examples, base, folder, seed)

    origin = {"q.0.0": "grown", "q.0.1": "demonstrations", "q.0.2": "grown"}
    asyncio.run(finetune(HoldsOut(), ROWS, BASE, tmp_path, seed=7, origin=lambda row: origin[row.id]))
    summary = read_summary(tmp_path) or {}
    assert (summary["examples"], summary["rows_by_origin"]) == (2, {"grown": 2})


@pytest.mark.parametrize(
    ("lines", "price", "told"),
    [
        ([{"step": 1, "loss": 2.0, "tokens": 300}, {"step": 2, "loss": 1.0, "tokens": 500}], Price(2.0, None), 0.001),
        ([{"step": 1, "loss": 2.0, "tokens": 300}], Price(None, None), "finetune.price is not set"),
        ([], Price(2.0, None), "the trainer does not tell how many tokens it read"),
        ([], NO_PRICE, 0.0),
    ],
)
def test_the_summary_has_the_price_of_the_tokens_trained_on_or_why_it_is_unknown(tmp_path, lines, price, told) -> None:
    replace_lines(tmp_path / "loss.jsonl", lines)
    asyncio.run(finetune(Told(), ROWS, BASE, tmp_path, seed=7, price=price))
    summary = read_summary(tmp_path) or {}
    assert told == (summary["cost_reason"] if summary["cost_usd"] is None else summary["cost_usd"])


def test_the_summary_of_a_training_on_preferences_names_its_reference_model(tmp_path) -> None:
    rows = [Preference(**asdict(row), rejected="worse") for row in ROWS]
    asyncio.run(finetune(Told(), rows, TUNED, tmp_path, seed=7))
    summary = read_summary(tmp_path) or {}
    assert (summary["learns_from"], summary["base"]) == ("preferences", "iter_1/finetune/model")


def test_a_complete_stage_returns_its_model_without_reading_examples(tmp_path) -> None:
    asyncio.run(finetune(Told(), ROWS, BASE, tmp_path, seed=7))
    trainer, rows = Told(), iter(ROWS)
    assert asyncio.run(finetune(trainer, rows, BASE, tmp_path, seed=7)) == TUNED
    assert (trainer.told, len(list(rows))) == ([], 3)


def test_training_without_examples_is_refused_with_what_to_do(tmp_path) -> None:
    trainer = Told()
    with pytest.raises(UsageError, match=r"no examples.*summary\.json.*world\.demonstrations"):
        asyncio.run(finetune(trainer, [], BASE, tmp_path / "finetune", seed=7))
    assert (trainer.told, read_summary(tmp_path / "finetune")) == ([], None)


def test_a_failed_training_is_retried_by_the_next_run(tmp_path) -> None:
    with pytest.raises(OutsideFault, match="HTTP 503"):
        asyncio.run(finetune(Told(OutsideFault("HTTP 503")), ROWS, BASE, tmp_path, seed=7))
    assert (read_summary(tmp_path), (tmp_path / MODEL).exists()) == (None, False)
    trainer = Told()
    assert asyncio.run(finetune(trainer, ROWS, BASE, tmp_path, seed=7)) == TUNED
    assert len(trainer.told) == 1
