"""Published weights are the trained ones, also where the base is in bfloat16 and the update is small."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from rest_react.training.process.job import note_of_published
from rest_react.training.worker.saving.load_model import load_model
from rest_react.training.worker.saving.publish import publish
from rest_react.weights import resolve_weights
from rest_react.weights.tiny import TINY


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model in bfloat16, as most models are."""
    folder = tmp_path_factory.mktemp("models") / "base"
    load_model(resolve_weights(TINY)).to(torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(resolve_weights(TINY)).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(("size", "kept_in"), [(0.5, "bfloat16"), (0.001, "float32")])
def test_an_update_that_rounding_would_undo_is_published_in_float32(
    base: Path, tmp_path: Path, size: float, kept_in: str
) -> None:
    torch.manual_seed(0)
    trained = load_model(base)
    with torch.no_grad():
        for weights in trained.parameters():
            weights.add_(size * weights.abs() * torch.randn_like(weights).sign())
    trained.save_pretrained(tmp_path / "trained")
    publish(str(base), tmp_path / "trained", AutoTokenizer.from_pretrained(base), tmp_path / "loss.jsonl")
    published = load_model(tmp_path / "model", dtype="auto")
    told = json.loads((tmp_path / "published.json").read_text())
    assert (str(published.dtype), told["dtype"]) == (f"torch.{kept_in}", kept_in)
    note = note_of_published(tmp_path)
    if kept_in == "float32":
        assert told["update_kept"] < 0.5
        assert "published in float32" in note
        pairs = zip(published.parameters(), trained.parameters(), strict=True)
        assert all(torch.equal(ours, theirs) for ours, theirs in pairs)
    else:
        assert told["update_kept"] > 0.9
        assert note == ""
