import pytest

from rest_react.llm.openai_api.settings_for_refusals import refuses_system_turn, remedy, why_empty
from rest_react.remote.failures.error_replies import ErrorReply
from rest_react.remote.failures.setting_names import SettingNames

SENT = {
    "model": "m", "messages": [], "temperature": 0.0, "max_tokens": 40, "seed": 7, "stop": ["# [END]"], "n": 4,
    "logprobs": True, "top_k": 0, "chat_template_kwargs": {},
}  # fmt: skip
LIMIT = "set grader.token_limit=max_completion_tokens"
TEMPERATURE = "set grader.omit=[temperature]"


def cure(message, status=400, code="", param="", **fields):
    asked = {"sent": SENT, "omit": (), "extra_body": {"top_k": 0}, **fields}
    return remedy(ErrorReply(status, message, code, param), SettingNames("grader"), **asked)


@pytest.mark.parametrize(
    ("message", "setting"),
    [
        ("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'.", LIMIT),
        ("max_tokens is not supported", LIMIT),
        (
            "litellm.UnsupportedParamsError: openai does not support parameters: ['seed'], for model=m",
            "set grader.omit=[seed]",
        ),
        ("Unsupported value: 'temperature' does not support 0.0 with this model.", TEMPERATURE),
        ("`temperature` is deprecated for this model.", TEMPERATURE),
        (
            "UnsupportedParamsError: gpt-5 models don't support temperature=0.84. Only temperature=1 is supported.",
            TEMPERATURE,
        ),
        ("Input validation error: `temperature` must be strictly positive", TEMPERATURE),
        ("Argument not supported on this model: stop", "set grader.omit=[stop]"),
        ("The parameter `stop` is not supported", "set grader.omit=[stop]"),
        ("seed: Extra inputs are not permitted", ""),
        ("body.seed: Extra inputs are not permitted", "set grader.omit=[seed]"),
        ("Unrecognized request argument supplied: logprobs", "set grader.logprobs=false"),
        ("logprobs are not available for this model", "set grader.logprobs=false"),
        ("'n' : number must be at most 1", "set grader.n_per_request=false"),
        ("unknown field `top_k`", "leave top_k out of grader.extra_body"),
        ("chat_template_kwargs is not supported for Mistral tokenizers.", "set grader.chat_template_kwargs to null"),
    ],
)
def test_a_refusal_that_names_a_field_of_the_request_names_the_setting(message, setting):
    assert cure(message) == setting


def test_a_field_is_taken_from_the_reply_s_own_word_on_it():
    assert cure("no", code="unsupported_parameter", param="stop") == "set grader.omit=[stop]"
    assert cure("no such value", param="top_k") == "leave top_k out of grader.extra_body"
    assert cure("You are not allowed to request logprobs from this model", 403) == "set grader.logprobs=false"


def test_what_is_left_out_already_stays_so():
    sent = {name: value for name, value in SENT.items() if name != "seed"}
    message = "Unsupported value: 'temperature' does not support 0.0"
    assert cure(message, sent=sent, omit=("seed",)) == "set grader.omit=[seed,temperature]"


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ("'max_tokens' is too large: 512. This model supports at most 256 completion tokens", 400),
        ("max_tokens must be between 1 and 4096", 400),
        ("This model's maximum context length is 4096 tokens. However, you requested 5000 tokens", 400),
        ("The model `m` does not exist or is not supported", 404),
        ("Invalid 'messages[0].content': string too long", 400),
        ("Your prompt was flagged: what is the unit of temperature?", 400),
        ("x" * 200 + " 'stop' is not supported", 400),
        ("'seed' is not supported", 401),
        ("'seed' is not supported", 429),
        ("unknown parameter 'reasoning'", 400),
    ],
)
def test_a_refusal_of_something_else_names_no_setting(message, status):
    assert cure(message, status) == ""


@pytest.mark.parametrize(
    "message",
    [
        "System role not supported",
        "Conversation roles must alternate user/assistant/user/assistant/...",
        "Only user and assistant roles are supported!",
        "Jinja Exception: System role not supported",
        "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
        "Developer instruction is not enabled for models/gemma-3-27b-it",
        "system messages aren't supported",
        "Unknown role: system",
        "'system' is not one of ['user', 'assistant']",
    ],
)
def test_a_template_without_a_system_turn_is_told_from_its_refusal(message):
    assert [refuses_system_turn(ErrorReply(status, message)) for status in (400, 422, 500, 401)] == [True] * 3 + [False]


@pytest.mark.parametrize(
    "message",
    [
        "After the optional system message, conversation roles must alternate user/assistant/user/assistant/...",
        "Only user and assistant roles are supported, with the exception of an initial optional system message!",
        "maximum context length is 4096 tokens",
        "The system is overloaded, not now",
    ],
)
def test_other_refusals_are_not_about_the_system_turn(message):
    assert not refuses_system_turn(ErrorReply(400, message))


def test_an_empty_reply_names_the_setting_that_cures_it():
    cut_off = why_empty("reasoning", True, SettingNames("policy", "evaluate.grader_max_tokens"))
    assert "thinking used all tokens; raise evaluate.grader_max_tokens, or turn thinking off" in cut_off
    assert "'+policy.chat_template_kwargs={enable_thinking: false}'" in cut_off
    names = SettingNames("grader")
    assert "parses the whole reply as thinking; turn thinking off" in why_empty("reasoning_content", False, names)
    assert "'+grader.extra_body={tool_choice: none}'" in why_empty("tool_calls", False, names)
