import pytest

from rest_react.llm.openai_api.openai_choice import finish_of, message_of, text_of


@pytest.mark.parametrize(
    "content",
    [
        "Paris",
        [{"type": "text", "text": "Par"}, {"type": "text", "text": "is"}],
        [{"type": "output_text", "text": "Paris"}],
        [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text", "text": "Paris"}],
        [{"type": "reasoning", "text": "Hm."}, "Paris"],
        {"type": "text", "text": "Paris"},
        [{"type": "text", "text": {"value": "Paris"}}],
    ],
)
def test_text_is_read_in_one_piece_or_in_parts(content):
    assert text_of(content) == "Paris"


@pytest.mark.parametrize(
    "choice",
    [
        {"text": "Paris"},
        {"message": "Paris"},
        {"delta": {"content": "Paris"}},
        {"message": {"role": "assistant"}, "text": "Paris"},
        {"message": {"content": None}, "text": "Paris"},
        {"message": None, "text": "Paris"},
        {"content": "Paris"},
    ],
)
def test_a_sample_is_read_wherever_a_choice_holds_it(choice):
    assert text_of(message_of(choice)["content"]) == "Paris"


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        *((word, "stop") for word in ("stop", "STOP", "eos", "eos_token", "stop_sequence", "end_turn", "COMPLETE")),
        *((word, "length") for word in ("length", "max_tokens", "MAX_TOKENS", "model_length", "incomplete")),
        *((word, "content_filter") for word in ("content_filter", "SAFETY", "RECITATION")),
        ({"type": "length", "length": 40}, "length"),
        ("tool_calls", "tool_calls"),
        (None, ""),
        (7, ""),
        ([], ""),
    ],
)
def test_the_end_of_a_sample_has_one_name_whatever_the_server_calls_it(reason, finish):
    assert finish_of(reason) == finish
