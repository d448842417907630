"""Which models are given a prefix tree."""

from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

from rest_react.training.worker.completion_loss import reads_trees


def test_only_models_that_predict_from_a_tree_what_they_predict_from_its_rows_are_given_trees() -> None:
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "vocab_size": 64}
    attention = sizes | {"intermediate_size": 32, "num_attention_heads": 2, "num_key_value_heads": 1}
    assert reads_trees(LlamaForCausalLM(LlamaConfig(**attention)))
    assert not reads_trees(MistralForCausalLM(MistralConfig(**attention, sliding_window=8)))
    assert not reads_trees(MambaForCausalLM(MambaConfig(**sizes, state_size=4)))
