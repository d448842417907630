"""Which tokens end a turn, told by three places that need not agree."""

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from rest_react.weights import resolve_weights
from rest_react.weights.end_tokens import end_tokens

TURN = "{% for m in messages %}[{{ m.role }}] {{ m.content }}END{% endfor %}{% if add_generation_prompt %}>{% endif %}"


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(resolve_weights("tiny-random"))


def test_the_ends_of_tokenizer_config_and_template_are_put_together_without_repeats(tokenizer) -> None:
    assert (tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|im_end|>")) == (2, 2)
    assert end_tokens(tokenizer, None) == [2]
    assert end_tokens(tokenizer, 0) == [2, 0]
    assert end_tokens(tokenizer, [7, 2, 0]) == [2, 7, 0]
    tokenizer.eos_token = "<|endoftext|>"
    assert end_tokens(tokenizer, 7) == [0, 7, 2]


@pytest.mark.parametrize("end", ["<|im_end|>\n", " <|im_end|>", "<|im_end|><|im_start|>user"])
def test_a_template_ends_a_turn_with_the_control_token_after_what_was_said(tokenizer, end: str) -> None:
    tokenizer.eos_token, tokenizer.chat_template = "<|endoftext|>", TURN.replace("END", end)
    assert end_tokens(tokenizer, None) == [0, 2]


@pytest.mark.parametrize(
    "template",
    [
        None,
        TURN.replace("END", "\n"),  # no control token
        TURN.replace("END", "</answer>"),
        "{% if messages|length > 1 %}{{ raise_exception('one turn only') }}{% endif %}{{ messages[0].content }}",
        "{% for m in messages %}{% for part in m.content %}{{ part.text }}{% endfor %}{% endfor %}",  # other turns
        "{{ messages + 1 }}",
    ],
)
def test_a_template_that_names_no_end_adds_none(tokenizer, template: str | None) -> None:
    tokenizer.chat_template = template
    assert end_tokens(tokenizer, None) == [2]


def test_without_any_end_there_is_none(tokenizer) -> None:
    tokenizer.eos_token, tokenizer.chat_template = None, None
    assert end_tokens(tokenizer, None) == []
