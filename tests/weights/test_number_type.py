"""Which number type is chosen for a processor."""

import json
from pathlib import Path

import pytest

from rest_react.weights import number_type
from rest_react.weights.number_type import NumberType, compute_type, cpu_instructions, stored_type


@pytest.mark.parametrize(
    ("asked", "gpu", "known", "chosen"),
    [
        ("auto", False, {"avx2"}, "float32"),
        ("auto", False, {"avx512f"}, "float32"),
        ("auto", False, {"avx512f", "avx512_bf16"}, "bfloat16"),
        ("auto", False, {"amx_bf16"}, "bfloat16"),
        ("auto", True, set(), "bfloat16"),
        ("float32", True, {"amx_bf16"}, "float32"),
        ("bfloat16", False, set(), "bfloat16"),
    ],
)
def test_auto_is_bfloat16_where_the_processor_is_faster_with_it(
    asked: NumberType, gpu: bool, known: set[str], chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(number_type, "cpu_instructions", lambda: frozenset(known))
    assert compute_type(asked, gpu=gpu) == chosen


def test_auto_does_not_round_weights_that_are_stored_in_float32() -> None:
    told = [compute_type(asked, gpu=True, stored="float32") for asked in ("auto", "bfloat16")]
    assert told == ["float32", "bfloat16"]
    assert compute_type("auto", gpu=True, stored="bfloat16") == "bfloat16"


@pytest.mark.parametrize(
    ("config", "stored"), [({"dtype": "float32"}, "float32"), ({"torch_dtype": "bfloat16"}, "bfloat16"), ({}, None)]
)
def test_the_stored_type_is_that_of_the_configuration(
    config: dict[str, str], stored: str | None, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", **config}))
    assert stored_type(tmp_path) == stored


def test_instructions_are_single_words() -> None:
    assert all(name and " " not in name for name in cpu_instructions())
