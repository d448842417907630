"""Which models attend to all earlier tokens in every layer."""

import pytest
from transformers import (
    Gemma3Config,
    Gemma3TextConfig,
    GPTNeoConfig,
    Llama4TextConfig,
    LlamaConfig,
    MistralConfig,
    Qwen2Config,
)

from rest_react.weights.attention import has_full_attention


@pytest.mark.parametrize("config", [LlamaConfig(), MistralConfig(sliding_window=None), Qwen2Config()])
def test_models_without_windows_have_full_attention(config) -> None:
    assert has_full_attention(config)


@pytest.mark.parametrize(
    "config",
    [MistralConfig(), Gemma3TextConfig(), Gemma3Config(), Llama4TextConfig(), GPTNeoConfig(),
     Qwen2Config(use_sliding_window=True, max_window_layers=2)],
)  # fmt: skip
def test_a_window_in_any_layer_is_seen_also_in_the_text_part_of_a_larger_model(config) -> None:
    assert not has_full_attention(config)
