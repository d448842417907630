import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.llm.openai_api.openai_replies import Reply, read_reply
from rest_react.records import Completion
from rest_react.remote.failures.error_replies import ErrorInside
from rest_react.remote.retry import TryAgain
from rest_react.remote.usage import Tokens, Usage


def raw(*choices, **fields):
    return json.dumps({"choices": list(choices), **fields}).encode()


def said(content="x", **fields):
    return {"message": {"role": "assistant", "content": content}, "finish_reason": "stop", **fields}


def only(data: bytes) -> Completion:
    (completion,) = read_reply(data).completions
    return completion


def test_a_whole_reply_is_read_with_its_counts():
    logprobs = {"content": [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -0.25}]}
    usage = {"prompt_tokens": 11, "completion_tokens": 4}
    reply = read_reply(raw(said("b", index=1, logprobs=logprobs), said("a", index=0, logprobs=logprobs), usage=usage))
    places = {"a": (1, 1), "b": (0, 1)}
    samples = [Completion(text, 2, -0.75, "stop", 11, places[text], (-0.5, -0.25)) for text in "ab"]
    assert reply == Reply(samples, ["", ""], Usage(11, 4), {"a": -0.5})


@pytest.mark.parametrize(
    "value", ["null", "NaN", "-Infinity", "Infinity", '"-0.5"', '"x"', "true", "{}", "2.5", "1e999", "-1" + "0" * 400]
)
def test_one_odd_log_probability_makes_the_sum_unknown_and_loses_neither_text_nor_count(value):
    chat = (
        '{"choices": [{"message": {"content": "x"}, "logprobs": {"content": [{"logprob": -1}, {"logprob": VALUE}]}}]}'
    )
    plain = '{"choices": [{"text": "x", "logprobs": {"token_logprobs": [VALUE, -1.0]}}]}'
    chat, plain = (text.replace("VALUE", value) for text in (chat, plain))
    assert only(chat.encode()) == only(plain.encode()) == Completion("x", 2, None, "", 0)


@pytest.mark.parametrize(
    "logprobs",
    [None, [], {}, {"content": None}, {"content": []}, {"token_logprobs": None}, {"content": {}}, "none", 0, [[]] * 0],
)
def test_without_log_probabilities_the_usage_counts_the_tokens(logprobs):
    usage = {"prompt_tokens": 5, "completion_tokens": 3}
    assert only(raw(said(logprobs=logprobs), usage=usage)) == Completion("x", 3, None, "stop", 5)


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": 5, "completion_tokens": 0}])
@pytest.mark.parametrize("choice", [{}, {"message": {"role": "assistant", "content": None}, "finish_reason": None}])
def test_a_choice_with_neither_a_text_nor_a_reason_is_no_sample(choice, usage):
    with pytest.raises(TryAgain, match="no choices"):
        read_reply(raw(choice, usage=usage))
    assert [one.text for one in read_reply(raw(choice, said("x"), usage=usage)).completions] == ["x"]
    assert only(raw({**choice, "finish_reason": "stop"}, usage=usage)).text == ""
    assert only(raw(choice, usage={"completion_tokens": 1})).text == ""


def test_a_token_without_any_log_probability_field_is_counted():
    logprobs = {"content": [{"token": "a"}, {"token": "b", "logprob": -0.5}, "odd"]}
    assert only(raw(said(logprobs=logprobs))) == Completion("x", 3, None, "stop", 0)


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 3}, Usage(5, 3)),
        ({"prompt_tokens": 5.0, "completion_tokens": "3"}, Usage(5, 3)),
        ({"input_tokens": 5, "output_tokens": 3}, Usage(5, 3)),
        ({"prompt_tokens": 5, "total_tokens": 8}, Usage(5, 3)),
        ({"prompt_tokens": 5}, Usage(5, None)),
        ({"completion_tokens": 3}, Usage(None, 3)),
        ({"prompt_tokens": None, "completion_tokens": None}, Usage()),
        ({"prompt_tokens": "many", "completion_tokens": [3]}, Usage()),
        ({"prompt_tokens": 5.5, "completion_tokens": True}, Usage()),
        (None, Usage()),
        ([], Usage()),
        ("free", Usage()),
    ],
)
def test_counts_are_read_in_every_spelling_and_unknown_in_any_other(usage, tokens):
    reply = read_reply(raw(said(), usage=usage))
    assert reply == Reply([Completion("x", tokens.completion or 0, None, "stop", tokens.prompt or 0)], [""], tokens)


@pytest.mark.parametrize(
    ("usage", "told"),
    [
        ({"prompt_tokens": -28000, "completion_tokens": 3}, "-28000 prompt and 3 completion tokens"),
        ({"prompt_tokens": "-5", "completion_tokens": 3}, "-5 prompt and 3 completion tokens"),
        ({"prompt_tokens": 5, "completion_tokens": -1}, "5 prompt and -1 completion tokens"),
        ({"prompt_tokens": 9, "total_tokens": 8}, "9 prompt and -1 completion tokens"),
        ({"prompt_tokens": 0, "completion_tokens": 3}, "0 prompt and 3 completion tokens"),
        ({"prompt_tokens": 5, "completion_tokens": 0}, "5 prompt and 0 completion tokens"),
        ({"prompt_tokens": 101, "completion_tokens": 3}, "101 prompt and 3 completion tokens"),
        ({"prompt_tokens": 5, "completion_tokens": 41}, "5 prompt and 41 completion tokens"),
        ({"prompt_tokens": 5, "completion_tokens": 1e30}, "5 prompt and more than 1000000000000 completion tokens"),
        ({"prompt_tokens": 10**30}, "more than 1000000000000 prompt and no completion tokens"),
        ({"prompt_tokens": "9" * 30, "completion_tokens": 3}, "more than 1000000000000 prompt and 3 completion tokens"),
    ],
)
def test_a_usage_with_an_impossible_count_is_ignored(usage, told):
    reply = read_reply(raw(said(), usage=usage), most=Tokens(100, 40))
    assert reply == Reply([Completion("x", 0, None, "stop", 0)], [""], Usage(impossible=told))


def test_a_reply_without_text_may_take_no_tokens():
    reply = read_reply(raw(said(""), usage={"prompt_tokens": 5, "completion_tokens": 0}), most=Tokens(100, 40))
    assert reply.usage == Usage(5, 0)


@pytest.mark.parametrize("said_so", ["reasoning_content", "usage"])
def test_thoughts_may_take_more_than_the_limit_of_a_sample(said_so):
    choice, usage = said(), {"prompt_tokens": 5, "completion_tokens": 900}
    if said_so == "usage":
        usage["completion_tokens_details"] = {"reasoning_tokens": 880}
    else:
        choice["message"]["reasoning_content"] = "Hm."
    assert read_reply(raw(choice, usage=usage), most=Tokens(100, 40)).usage == Usage(5, 900)


def test_without_a_usage_the_log_probabilities_count_what_came():
    logprobs = {"content": [{"logprob": -0.5}] * 7}
    assert read_reply(raw(said(logprobs=logprobs), said(logprobs=logprobs))).usage == Usage(None, 14)
    assert read_reply(raw(said(logprobs=logprobs), said())).usage == Usage()


def test_thoughts_that_the_usage_counts_are_billed_beside_the_tokens_of_the_samples():
    logprobs = {"content": [{"logprob": -0.5}] * 2}
    usage = {"prompt_tokens": 5, "completion_tokens": 900}
    assert read_reply(raw(said(logprobs=logprobs), usage=usage)).usage == Usage(5, 900)


def test_a_server_that_counts_one_sample_for_all_is_charged_what_the_log_probabilities_count():
    logprobs = {"content": [{"logprob": -0.5}] * 7}
    usage = {"prompt_tokens": 5, "completion_tokens": 7}
    reply = read_reply(raw(said(index=0, logprobs=logprobs), said(index=1, logprobs=logprobs), usage=usage))
    assert [one.tokens for one in reply.completions] == [7, 7]
    assert reply.usage == Usage(5, 14)


@pytest.mark.parametrize("indexes", [(None, None), (0, 0), ("1", "0"), (1.0, 0.0), (True, False)])
def test_choices_stay_as_they_came_where_their_indexes_say_nothing(indexes):
    choices = [said(text, index=index) for text, index in zip("ab", indexes, strict=True)]
    assert [one.text for one in read_reply(raw(*choices)).completions] == ["a", "b"]


def test_one_choice_without_a_list_around_it_is_read():
    assert only(json.dumps({"choices": said("a")}).encode()).text == "a"


def test_entries_that_are_not_choices_are_ignored():
    assert [one.text for one in read_reply(raw(None, said("a"), "b", 3, said(5))).completions] == ["a"]


@pytest.mark.parametrize("choices", [[], None, "x", 5, [None], [said(5)], [{"text": True}]])
def test_a_reply_without_a_readable_sample_is_none(choices):
    with pytest.raises(TryAgain, match="the reply has no choices"):
        read_reply(json.dumps({"choices": choices}).encode())


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"content": None, "reasoning_content": "Hm."}, "reasoning_content"),
        ({"content": "", "reasoning": "Hm."}, "reasoning"),
        ({"content": None, "reasoning_details": [{"text": "Hm."}]}, "reasoning_details"),
        ({"content": [{"type": "thinking", "thinking": "Hm."}]}, "reasoning"),
        ({"content": None, "tool_calls": [{"function": {"name": "Search"}}]}, "tool_calls"),
        ({"content": None, "function_call": {"name": "Search"}}, "function_call"),
        ({"content": "x", "reasoning_content": "Hm."}, ""),
        ({"content": None, "tool_calls": [], "reasoning_content": ""}, ""),
    ],
)
def test_a_sample_without_text_says_where_the_text_went(message, field):
    assert read_reply(raw({"message": message, "finish_reason": "stop"})).elsewhere == [field]


def test_thoughts_that_are_only_counted_explain_an_empty_sample():
    usage = {"completion_tokens": 512, "completion_tokens_details": {"reasoning_tokens": 512}}
    assert read_reply(raw(said("", finish_reason="length"), usage=usage)).elsewhere == ["reasoning"]


def test_a_sample_that_was_cut_inside_an_emoji_is_kept_with_a_question_mark_for_its_half():
    whole = b'{"choices": [{"message": {"content": "caf\xc3\xa9 \\ud83d"}, "finish_reason": "length"}]}'
    assert only(whole) == Completion("caf\xe9 ?", 0, None, "length", 0)


def test_bytes_that_are_no_utf_8_cost_one_character_and_not_the_reply():
    assert only(b'{"choices": [{"text": "caf\xe9"}]}').text == "caf\ufffd"


def test_a_reply_nested_too_deep_is_unreadable_and_no_crash():
    for deep in (b"[" * 100_000, b'{"choices": [{"text": ' + b"[" * 900 + b"]" * 900 + b"}]}"):
        try:
            assert only(deep).text == ""
        except (TryAgain, ErrorInside):
            continue


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["content", "text", "type", "logprob", "token_logprobs", "reasoning", "prompt_tokens"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
CHOICES = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("index", "message", "delta", "text", "finish_reason", "logprobs"), JSON)
)


@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: f'{{"choices": [{text}]}}'.encode()))
def test_no_bytes_raise_anything_but_try_again(data):
    try:
        read_reply(data)
    except (TryAgain, ErrorInside):
        return


@given(st.lists(CHOICES | JSON, max_size=3), JSON, st.booleans())
def test_malformed_fields_neither_lose_the_text_nor_invent_numbers(choices, usage, streamed):
    text = said("Paris")
    data = json.dumps({"choices": [text, *choices], "usage": usage}).encode()
    reply = read_reply(b"data: " + data + b"\n\n" if streamed else data)
    assert "Paris" in [one.text for one in reply.completions]
    assert len(reply.completions) == len(reply.elsewhere)
    for one in reply.completions:
        assert one.logprob is None or (math.isfinite(one.logprob) and one.tokens > 0)
        assert one.tokens >= 0 <= one.prompt_tokens
    least = sum(one.tokens for one in reply.completions)
    assert reply.usage.completion is None or reply.usage.completion >= least


def test_tokens_are_told_with_their_places_in_both_modes():
    content = [
        {"token": "caf", "logprob": -0.5, "bytes": [99, 97, 102]},
        {"token": "\\xc3", "logprob": -1.0, "bytes": [195]},
        {"token": "\\xa9", "logprob": -2.0, "bytes": [169]},
        {"token": "<|im_end|>", "logprob": -0.25, "bytes": None},
    ]
    sample = only(raw(said("caf\xe9", logprobs={"content": content})))
    assert sample == Completion("caf\xe9", 4, -3.75, "stop", 0, (3, 4, 5, 5), (-0.5, -1.0, -2.0, -0.25))
    told = {"tokens": [" caf", "\xe9"], "token_logprobs": [-0.5, -1.0], "text_offset": [7, 11]}
    sample = only(raw({"text": " caf\xe9", "finish_reason": "stop", "logprobs": told}))
    assert sample == Completion(" caf\xe9", 2, -1.5, "stop", 0, (4, 6), (-0.5, -1.0))


@pytest.mark.parametrize("token", [{}, {"token": None}, {"token": "other", "bytes": "x"}, {"token": 3, "bytes": [999]}])
def test_tokens_that_do_not_spell_the_text_leave_its_sum(token):
    sample = only(raw(said("Search", logprobs={"content": [{"logprob": -0.5} | token]})))
    assert sample == Completion("Search", 1, -0.5, "stop", 0)
