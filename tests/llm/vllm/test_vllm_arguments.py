import json

import pytest

from rest_react.llm.vllm.vllm_arguments import own_context


@pytest.mark.parametrize(
    ("config", "length"),
    [
        ({"max_position_embeddings": 4096}, 4096),
        ({"text_config": {"max_position_embeddings": 512}}, 512),
        ({"max_position_embeddings": 4096, "rope_scaling": {"factor": 4.0}}, None),
        ({"max_position_embeddings": 4096, "rope_scaling": None}, 4096),
        ({}, None),
    ],
)
def test_the_context_of_weights_in_a_folder_is_read_from_their_config(config, length, tmp_path):
    assert own_context(tmp_path) is None
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert own_context(tmp_path) == length
