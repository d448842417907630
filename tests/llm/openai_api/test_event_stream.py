import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.llm.openai_api.event_stream import parse_body
from rest_react.llm.openai_api.openai_replies import read_reply
from rest_react.records import Completion
from rest_react.remote.failures.error_replies import ErrorInside
from rest_react.remote.retry import TryAgain


def event(**fields):
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


@pytest.mark.parametrize(
    "around", [b"data: %b\n\n", b": busy\n\nevent: message\r\ndata: %b\r\n\r\ndata: [DONE]\r\n\r\n"]
)
def test_a_reply_that_comes_as_one_event_is_read_as_it_stands(around):
    reply = {"choices": [{"message": {"content": "caf\u00e9"}, "finish_reason": "stop"}], "usage": None}
    assert parse_body(around % json.dumps(reply).encode()) == reply


def test_a_byte_order_mark_and_space_before_the_reply_are_passed_over():
    assert parse_body(b"\xef\xbb\xbf\n {}") == {}


def test_a_reply_that_comes_in_pieces_is_put_together_by_index():
    def piece(index, text, logprob, finish=None):
        return {
            "index": index,
            "delta": {"content": text},
            "logprobs": {"content": [{"logprob": logprob}]},
            "finish_reason": finish,
        }

    stream = (
        event(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
        + event(choices=[piece(1, "B", -0.5), piece(0, "Par", -0.25)])
        + event(choices=[piece(0, "is", -0.5, "length")])
        + event(choices=[piece(1, "onn", -0.5, "stop")])
        + event(choices=[], usage={"prompt_tokens": 5, "completion_tokens": 4})
        + b"data: [DONE]\n\n"
    )
    assert read_reply(stream).completions == [
        Completion("Paris", 2, -0.75, "length", 5),
        Completion("Bonn", 2, -1.0, "stop", 5),
    ]


@given(st.lists(st.tuples(st.integers(0, 2), st.text(max_size=4)), min_size=1, max_size=12))
def test_a_text_comes_back_however_it_is_cut_into_events(pieces):
    events = [event(choices=[{"index": index, "delta": {"content": text}}]) for index, text in pieces]
    body = parse_body(b"".join(events) + b"data: [DONE]\n\n")
    texts = {index: "".join(text for at, text in pieces if at == index) for index, _ in pieces}
    assert {choice["index"]: choice["message"]["content"] for choice in body["choices"]} == texts


@pytest.mark.parametrize(
    "stream",
    [
        event(choices=[{"index": 0, "delta": {"content": "Par"}, "finish_reason": None}]),
        event(choices=[{"index": 0, "delta": {"content": "Par"}}]) + event(error={"message": "upstream is down"}),
        b"data: \n\n",
        b'data: {"choices": [{"del',
    ],
)
def test_a_stream_that_breaks_off_or_ends_in_an_error_is_no_reply(stream):
    with pytest.raises((TryAgain, ErrorInside)):
        read_reply(stream)


def test_of_a_stream_that_breaks_off_only_the_samples_that_had_ended_are_read():
    first = event(choices=[{"index": 0, "delta": {"content": "Paris"}, "finish_reason": "stop"}])
    second = event(choices=[{"index": 1, "delta": {"content": "Lon"}, "finish_reason": None}])
    assert [one.text for one in read_reply(first + second).completions] == ["Paris"]
    assert [one.text for one in read_reply(first + second + b"data: [DONE]\n\n").completions] == ["Paris", "Lon"]
