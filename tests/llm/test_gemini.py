import asyncio
import json
import logging
import re
import ssl
import time
import traceback
from dataclasses import replace

import pytest

from rest_react.errors import ModelFault, OutsideFault, RestReactError, UsageError
from rest_react.llm.gemini import Gemini
from rest_react.records import Completion, Prompt, Sampling
from rest_react.remote.budget import Budget, Meter, worst_case
from rest_react.remote.failures.setting_names import SettingNames
from rest_react.seeds import derive_seed
from tests.loopback import Reply, Server, serve
from tests.odd_bodies import ODD_BODIES, endless

SAMPLING = Sampling(temperature=0.5, max_tokens=40, seed=7, stop=("# [END]",))
KEY = "AIza-very-secret-0123456789"


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", KEY)


@pytest.fixture(autouse=True)
def no_certificates(monkeypatch):
    """Reading the certificates of all authorities takes three quarters of a test, and loopback needs none."""
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda *_, **__: None)


def candidate(text, index=0, finish="STOP", **fields):
    content = {"role": "model", "parts": [{"text": text}]} if text else {}
    return {"index": index, "content": content, "finishReason": finish, **fields}


def reply(*candidates, tokens=4):
    usage = {"promptTokenCount": 11, "candidatesTokenCount": tokens, "totalTokenCount": 11 + tokens}
    return Reply(200, {"candidates": list(candidates), "usageMetadata": usage})


def error(status, message="no", name="", details=()):
    return Reply(status, {"error": {"code": status, "message": message, "status": name, "details": list(details)}})


def ask(server: Server, n=1, prompt=Prompt("Instructions.", "state"), sampling=SAMPLING, **settings):  # noqa: B008
    async def main():
        llm = Gemini("gemini-x", base_url=server.url, **{"tries": 3, "first_wait_s": 0.001, **settings})
        try:
            return await llm.sample(prompt, n=n, sampling=sampling)
        finally:
            await llm.aclose()

    return asyncio.run(main())


def wire_seed(index):
    return derive_seed(SAMPLING.seed, index) % 2**31


def test_n_candidates_come_from_one_request_with_their_log_probabilities():
    chosen = {"chosenCandidates": [{"token": "a", "logProbability": -0.25}, {"token": "b", "logProbability": -0.5}]}
    answers = [
        candidate("second", 1, "MAX_TOKENS", avgLogprobs=-0.5, tokenCount=3),
        candidate("first", 0, logprobsResult=chosen),
        candidate("third", 2),
    ]
    with serve(lambda _: reply(*answers, tokens=9)) as server:
        completions = ask(server, n=3, logprobs=True, thinking_budget=0)
    assert completions == [
        Completion("first", 2, -0.75, "stop", 11),
        Completion("second", 3, -1.5, "length", 11),
        Completion("third", 3, None, "stop", 11),
    ]
    [request] = server.requests
    assert request.path.endswith("/models/gemini-x:generateContent")
    body = request.json
    assert body["contents"] == [{"role": "user", "parts": [{"text": "state"}]}]
    assert body["systemInstruction"]["parts"] == [{"text": "Instructions."}]
    assert body["generationConfig"] == {
        "temperature": 0.5,
        "candidateCount": 3,
        "maxOutputTokens": 40,
        "stopSequences": ["# [END]"],
        "seed": wire_seed(0),
        "responseLogprobs": True,
        "thinkingConfig": {"thinking_budget": 0},  # the SDK spells it so; the API reads both
    }


def test_exemplars_are_turns_of_user_and_model():
    with serve(lambda _: reply(candidate("x"))) as server:
        ask(server, prompt=Prompt("Instructions.", "state\n", (("A\n", "a"),), "Now write."))
    assert server.requests[0].json["contents"] == [
        {"role": "user", "parts": [{"text": "A\n"}]},
        {"role": "model", "parts": [{"text": "a"}]},
        {"role": "user", "parts": [{"text": "state\nNow write."}]},
    ]


def test_a_tuned_models_bare_state_has_no_system_instruction():
    with serve(lambda _: reply(candidate("x"))) as server:
        ask(server, prompt=Prompt("", "state"))
    assert "systemInstruction" not in server.requests[0].json


def test_candidates_that_are_left_out_are_asked_for_one_by_one_under_their_own_seeds():
    def answer(request):
        return reply(candidate(str(request.json["generationConfig"]["seed"])), tokens=2)

    with serve(answer) as server:
        completions = ask(server, n=3)
    assert [(one.text, one.tokens) for one in completions] == [(str(wire_seed(i)), 2) for i in range(3)]
    counts = [request.json["generationConfig"]["candidateCount"] for request in server.requests]
    assert sorted(counts) == [1, 1, 3]


def test_a_model_that_refuses_to_give_several_is_asked_for_one_at_a_time_from_then_on():
    def answer(request):
        wanted = request.json["generationConfig"]
        if wanted["candidateCount"] > 1:
            return error(400, "Multiple candidates is not enabled for this model", "INVALID_ARGUMENT")
        return reply(candidate(str(wanted["seed"])), tokens=2)

    async def twice(url):
        llm = Gemini("gemini-x", base_url=url, tries=3)
        try:
            return [await llm.sample(Prompt("", "state"), n=2, sampling=SAMPLING) for _ in range(2)]
        finally:
            await llm.aclose()

    with serve(answer) as server:
        first, second = asyncio.run(twice(server.url))
    assert (
        first
        == second
        == [
            Completion(str(wire_seed(0)), 2, None, "stop", 22),
            Completion(str(wire_seed(1)), 2, None, "stop", 11),
        ]
    )
    assert [r.json["generationConfig"]["candidateCount"] for r in server.requests] == [2, 1, 1, 1, 1]


def test_thoughts_are_billed_as_output_and_count_for_no_sample(tmp_path):
    usage = {"promptTokenCount": 50, "candidatesTokenCount": 10, "thoughtsTokenCount": 900}
    budget = Budget()
    budget.keep_in(tmp_path / "spending.json")
    with serve(lambda _: Reply(200, {"candidates": [candidate("x")], "usageMetadata": usage})) as server:
        assert ask(server, meter=Meter(budget, "policy")) == [Completion("x", 10, None, "stop", 50)]
    spent = json.loads((tmp_path / "spending.json").read_text())
    assert spent == {"policy": {"calls": 1, "prompt_tokens": 50, "completion_tokens": 910}}


@pytest.mark.parametrize(
    ("told", "prompt_tokens", "completion_tokens", "tokens"),
    [
        ({"promptTokenCount": -28000, "candidatesTokenCount": 4}, None, None, 0),
        ({"promptTokenCount": 11, "candidatesTokenCount": -4}, None, None, 0),
        ({"promptTokenCount": 11, "candidatesTokenCount": 10**30}, None, None, 0),
        ({"promptTokenCount": 11, "candidatesTokenCount": 4, "thoughtsTokenCount": -3}, None, None, 0),
        ({"promptTokenCount": 11, "candidatesTokenCount": 4, "thoughtsTokenCount": 10**9}, None, None, 0),
        ({"promptTokenCount": 0, "candidatesTokenCount": 4}, None, None, 0),
        ({"promptTokenCount": 11}, 11, None, 0),
        ({"candidatesTokenCount": 4}, None, 4, 4),
        ({}, None, None, 0),
    ],
)
def test_a_count_that_is_impossible_or_not_told_is_charged_at_its_worst_case(
    tmp_path, capsys, told, prompt_tokens, completion_tokens, tokens
):
    budget, worst = Budget(), worst_case(Prompt("Instructions.", "state"), 1, SAMPLING)
    budget.keep_in(tmp_path / "spending.json")
    answer = Reply(200, {"candidates": [candidate("x")], "usageMetadata": told})
    with serve(lambda _: answer) as server:
        completions = ask(server, meter=Meter(budget, "policy"))
        ask(server, meter=Meter(budget, "policy"))
    assert completions == [Completion("x", tokens, None, "stop", prompt_tokens or 0)]
    assert json.loads((tmp_path / "spending.json").read_text())["policy"] == {
        "calls": 2,
        "prompt_tokens": 2 * (prompt_tokens or worst.prompt),
        "completion_tokens": 2 * (completion_tokens or worst.completion),
    }
    lies = prompt_tokens is None and completion_tokens is None and told != {}
    assert capsys.readouterr().err.count("note: policy: the server reports") == (1 if lies else 0)


def test_a_reply_that_is_all_thought_is_a_fault_that_names_the_settings():
    usage = {"promptTokenCount": 50, "thoughtsTokenCount": 40}
    cut_off = Reply(200, {"candidates": [candidate("", finish="MAX_TOKENS")], "usageMetadata": usage})
    names = SettingNames("grader", "evaluate.grader_max_tokens")
    with serve(lambda _: cut_off) as server, pytest.raises(ModelFault) as caught:
        ask(server, names=names)
    told = r"gemini-x: .*thinking used all tokens; raise evaluate\.grader_max_tokens, or set grader\.thinking_budget"
    assert re.match(told, str(caught.value))


@pytest.mark.parametrize("value", ["null", "NaN", "-Infinity"])
def test_one_odd_log_probability_makes_the_sum_unknown_and_loses_neither_text_nor_count(value):
    chosen = [{"token": "a", "logProbability": -0.25}, {"token": "b", "logProbability": "VALUE"}]
    odd = candidate("x", logprobsResult={"chosenCandidates": chosen}, avgLogprobs="VALUE")
    raw = json.dumps({"candidates": [odd], "usageMetadata": None}).replace('"VALUE"', value).encode()
    with serve(lambda _: Reply(200, raw)) as server:
        assert ask(server, logprobs=True) == [Completion("x", 2, None, "stop", 0)]


def test_judges_are_asked_without_log_probabilities():
    judged = replace(SAMPLING, logprobs=False)
    with serve(lambda _: reply(candidate("x"))) as server:
        ask(server, logprobs=True, sampling=judged)
    assert "responseLogprobs" not in server.requests[0].json["generationConfig"]


def test_thoughts_are_no_part_of_the_text():
    thinking = {"parts": [{"text": "Hmm.", "thought": True}, {"text": "x"}]}
    with serve(lambda _: reply({"content": thinking, "finishReason": "STOP"})) as server:
        assert ask(server)[0].text == "x"


@pytest.mark.parametrize(
    "bad",
    [
        error(429, "slow down", "RESOURCE_EXHAUSTED"),
        error(503, "overloaded", "UNAVAILABLE"),
        Reply(hang_up=True),
        Reply(200, b'{"candidates": [{"con'),
        Reply(200, {"candidates": []}),
        Reply(200, {"candidates": [{}]}),
    ],
    ids=["429", "503", "hang-up", "cut-json", "no-candidates", "empty-candidate"],
)
def test_what_may_pass_is_tried_again_and_is_an_outside_fault_when_it_lasts(bad):
    count = iter(range(100))
    with serve(lambda _: reply(candidate("x")) if next(count) == 2 else bad) as server:
        assert ask(server)[0].text == "x"
    assert len(server.requests) == 3
    with serve(lambda _: bad) as server, pytest.raises(OutsideFault, match=r"gemini-x: .*\(after 3 tries\)"):
        ask(server)
    assert len(server.requests) == 3


def test_the_wait_in_a_retry_info_is_honoured():
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.4s"}
    count = iter(range(100))
    busy = error(429, "quota", "RESOURCE_EXHAUSTED", [info])
    with serve(lambda _: reply(candidate("x")) if next(count) else busy) as server:
        ask(server)
    first, second = server.requests
    assert second.at - first.at >= 0.4


def test_a_stalled_server_is_left_at_the_deadline():
    stalled = Reply(200, {}, delay_s=30)
    started = time.monotonic()
    with serve(lambda _: stalled) as server, pytest.raises(OutsideFault, match="Time"):
        ask(server, timeout_s=0.3, tries=2)
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    ("bad", "kind", "words"),
    [
        (error(400, "input token count exceeds 1048576", "INVALID_ARGUMENT"), ModelFault, "token count"),
        (error(400, "API key not valid", "", [{"reason": "API_KEY_INVALID"}]), UsageError, "GEMINI_API_KEY"),
        (error(400, "Logprobs is not enabled for gemini-x"), UsageError, "logprobs=false"),
        (error(400, "Budget 0 is invalid. This model only works in thinking mode."), UsageError, "thinking_budget"),
        (error(403, "forbidden", "PERMISSION_DENIED"), UsageError, "GEMINI_API_KEY"),
        (error(403, "forbidden", "PERMISSION_DENIED", ["odd"]), UsageError, "GEMINI_API_KEY"),
        (error(404, "no such model", "NOT_FOUND"), UsageError, "no such model"),
        (
            error(400, "User location is not supported for the API use.", "FAILED_PRECONDITION"),
            UsageError,
            "location is not supported.*; check model",
        ),
        (error(403, "Your API key was reported as leaked.", "PERMISSION_DENIED"), UsageError, "GEMINI_API_KEY"),
        (
            error(429, "You exceeded your current quota, check your billing details.", "RESOURCE_EXHAUSTED"),
            OutsideFault,
            "quota used up",
        ),
        (
            error(400, "The input token count (90000) exceeds the maximum number of tokens", "INVALID_ARGUMENT"),
            ModelFault,
            "input token count",
        ),
        (Reply(200, {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}), ModelFault, "PROHIBITED_CONTENT"),
        (Reply(200, {"promptFeedback": {"blockReason": "SAFETY"}}), ModelFault, "blocked \\(SAFETY\\)"),
        (reply(candidate("", finish="SAFETY")), ModelFault, "refused \\(safety\\)"),
    ],
)
def test_a_permanent_error_is_not_retried_and_names_whose_fault_it_is(bad, kind, words):
    with serve(lambda _: bad) as server, pytest.raises(kind, match=words):
        ask(server)
    assert len(server.requests) == 1


def test_a_quota_that_tells_when_it_opens_again_is_waited_for():
    opens = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.01s"}
    count = iter(range(100))
    closed = error(429, "You exceeded your current quota, check your billing.", "RESOURCE_EXHAUSTED", [opens])
    with serve(lambda _: reply(candidate("x")) if next(count) else closed) as server:
        assert [one.text for one in ask(server)] == ["x"]


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500])
def test_the_key_is_sent_but_is_in_no_message_traceback_or_log(caplog, status):
    caplog.set_level(logging.DEBUG)
    with serve(lambda _: error(status, f"bad key {KEY}")) as server, pytest.raises(RestReactError) as caught:
        ask(server, tries=1)
    assert server.requests[0].headers["x-goog-api-key"] == KEY
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert KEY not in caplog.text


def test_a_missing_key_is_an_error_before_any_request(monkeypatch):
    monkeypatch.delenv("GEMINI_API_KEY")
    with serve(lambda _: reply()) as server, pytest.raises(UsageError, match="GEMINI_API_KEY"):
        ask(server)
    assert server.requests == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_does_not_carry_the_prompt_along(status):
    with serve(lambda _: reply(candidate("x"))) as other:
        redirect = Reply(status, b"", {"location": f"{other.url}/v1?key=hunter2"})
        with serve(lambda _: redirect) as server, pytest.raises(UsageError) as caught:
            ask(server)
        told = rf"gemini-x: HTTP {status}: .*redirects to {other.url}\. .*GOOGLE_GEMINI_BASE_URL"
        assert re.match(told, str(caught.value)) and "hunter2" not in str(caught.value)
        assert (len(server.requests), other.requests) == (1, [])


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("body", ODD_BODIES)
def test_no_body_ends_the_run_with_a_traceback(status, body):
    with serve(lambda _: Reply(status, body)) as server, pytest.raises(RestReactError) as caught:
        ask(server, tries=1)
    message = str(caught.value)
    assert (message.encode().decode(), len(message) < 1000) == (message, True)


@pytest.mark.parametrize("status", [200, 500])
def test_a_reply_without_end_is_left_at_its_limit(status):
    with serve(lambda _: Reply(status, endless())) as server, pytest.raises(OutsideFault, match="larger than 64 MB"):
        ask(server)
    assert len(server.requests) == 1


def test_a_reply_that_trickles_has_one_limit_for_all_of_it():
    started = time.monotonic()
    with (
        serve(lambda _: Reply(200, endless(part=b" ", wait_s=0.05))) as server,
        pytest.raises(OutsideFault, match=r"TimeoutError.*\(after 2 tries\)"),
    ):
        ask(server, timeout_s=0.5, tries=2)
    assert time.monotonic() - started < 20


def test_options_are_not_scored_so_that_callers_ask_for_text(monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", "a-key")
    llm = Gemini("gemini-x", base_url="http://127.0.0.1:9")
    assert asyncio.run(llm.score(Prompt("", "Which one?"), ("A", "B"))) is None
