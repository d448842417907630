import asyncio
import json
import logging
import re
import threading
import time
import traceback

import pytest

from rest_react.concurrency import gather_or_cancel
from rest_react.errors import ModelFault, OutsideFault, RestReactError, UsageError
from rest_react.llm.openai_api.openai_compatible import OpenAICompatible
from rest_react.records import Completion, Prompt, Sampling
from rest_react.remote.budget import Budget, Meter, worst_case
from rest_react.remote.failures.setting_names import SettingNames
from rest_react.seeds import derive_seed
from tests.loopback import Reply, Request, Server, serve
from tests.odd_bodies import ODD_BODIES, endless

PROMPT = Prompt(prefix="Instructions.\n", state="QUESTION = 1\n")
SAMPLING = Sampling(temperature=0.5, max_tokens=40, seed=7, stop=("# [END]",))
KEY = "sk-very-secret-0123456789"


def choice(text, logprobs=(-0.5, -0.25), index=0, finish="stop"):
    content = [{"token": "t", "logprob": value, "bytes": [1], "top_logprobs": []} for value in logprobs]
    message = {"role": "assistant", "content": text, "refusal": None}
    return {"index": index, "message": message, "logprobs": {"content": content}, "finish_reason": finish}


def chat(*choices, prompt_tokens=11, completion_tokens=4):
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, "total_tokens": 15}
    return Reply(200, {"id": "x", "object": "chat.completion", "choices": list(choices), "usage": usage})


def plain(request: Request) -> Reply:
    """As many samples as asked for, each named by its seed."""
    body = request.json
    return chat(*(choice(f"{body['seed']}/{i}", index=i) for i in range(body.get("n", 1))))


def error(status, message="no", **fields):
    headers = fields.pop("headers", {})
    return Reply(status, {"error": {"message": message, **fields}}, headers)


def fastapi(kind, name, message):
    return {"type": kind, "loc": ["body", name], "msg": message, "input": "Who wrote the song 'stop' ?"}


def ask(server: Server, n=1, prompt=PROMPT, sampling=SAMPLING, **settings):
    settings = {"api_key_env": None, "tries": 3, "first_wait_s": 0.001, **settings}

    async def main():
        llm = OpenAICompatible("some-model", base_url=f"{server.url}/v1", **settings)
        try:
            return await llm.sample(prompt, n=n, sampling=sampling)
        finally:
            await llm.aclose()

    return asyncio.run(main())


def wire_seed(index):
    return derive_seed(SAMPLING.seed, index) % 2**31


def test_n_samples_come_from_one_chat_request_with_their_log_probabilities():
    with serve(plain) as server:
        completions = ask(server, n=3)
    seed = wire_seed(0)
    assert completions == [Completion(f"{seed}/{i}", 2, -0.75, "stop", 11) for i in range(3)]
    [request] = server.requests
    assert request.path == "/v1/chat/completions"
    assert request.json == {
        "model": "some-model",
        "messages": [
            {"role": "system", "content": "Instructions.\n"},
            {"role": "user", "content": "QUESTION = 1\n"},
        ],
        "n": 3,
        "temperature": 0.5,
        "max_tokens": 40,
        "stop": ["# [END]"],
        "seed": seed,
        "logprobs": True,
    }


def test_exemplars_are_messages_of_user_and_assistant():
    with serve(plain) as server:
        ask(server, prompt=Prompt("Instructions.\n", "state\n", (("A\n", "a"),), "Now write."))
    assert server.requests[0].json["messages"] == [
        {"role": "system", "content": "Instructions.\n"},
        {"role": "user", "content": "A\n"},
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": "state\nNow write."},
    ]


def test_a_tuned_models_bare_state_has_no_system_message():
    with serve(plain) as server:
        ask(server, prompt=Prompt("", "state"))
    assert server.requests[0].json["messages"] == [{"role": "user", "content": "state"}]


def test_completion_mode_joins_the_prompt_and_reads_token_logprobs():
    def answer(request):
        choices = [
            {"index": 1, "text": "b", "finish_reason": "length", "logprobs": {"token_logprobs": [-1.0]}},
            {"index": 0, "text": "a", "finish_reason": "stop", "logprobs": {"token_logprobs": [-0.5, -0.5]}},
        ]
        return Reply(200, {"choices": choices, "usage": {"prompt_tokens": 5, "completion_tokens": 3}})

    with serve(answer) as server:
        completions = ask(server, n=2, mode="completion")
    assert completions == [Completion("a", 2, -1.0, "stop", 5), Completion("b", 1, -1.0, "length", 5)]
    [request] = server.requests
    assert request.path == "/v1/completions"
    assert request.json["prompt"] == "Instructions.\nQUESTION = 1\n"
    assert request.json["logprobs"] == 1
    assert "messages" not in request.json


def test_samples_that_a_server_leaves_out_are_asked_for_one_by_one_under_their_own_seeds():
    with serve(lambda request: chat(choice(str(request.json["seed"])), completion_tokens=2)) as server:
        completions = ask(server, n=4)
    assert [one.text for one in completions] == [str(wire_seed(i)) for i in range(4)]
    assert sorted(request.json.get("n", 1) for request in server.requests) == [1, 1, 1, 4]


def test_without_n_per_request_every_sample_is_a_request_and_the_order_is_not_that_of_arrival():
    def answer(request):
        index = [wire_seed(i) for i in range(3)].index(request.json["seed"])
        return Reply(200, plain(request).body, delay_s=0.1 * (2 - index))

    with serve(answer) as server:
        completions = ask(server, n=3, n_per_request=False)
    assert [one.text for one in completions] == [f"{wire_seed(i)}/0" for i in range(3)]
    assert all("n" not in request.json for request in server.requests)


def test_without_log_probabilities_the_usage_is_shared_out():
    choices = [{"index": i, "message": {"content": "x"}, "finish_reason": "stop", "logprobs": None} for i in range(3)]
    with serve(lambda _: chat(*choices, completion_tokens=8)) as server:
        completions = ask(server, n=3, logprobs=False)
    assert [(one.tokens, one.logprob) for one in completions] == [(3, None), (3, None), (2, None)]
    assert "logprobs" not in server.requests[0].json


def test_extra_fields_and_another_name_for_the_token_limit_reach_the_server():
    with serve(plain) as server:
        ask(server, token_limit="max_completion_tokens", extra_body={"reasoning_effort": "none"})
    body = server.requests[0].json
    assert (body["max_completion_tokens"], body["reasoning_effort"]) == (40, "none")
    assert "max_tokens" not in body


def test_fields_that_the_server_refuses_are_left_out_and_extra_fields_have_the_last_word():
    with serve(plain_without_seed) as server:
        ask(server, omit=("temperature", "seed", "stop"), extra_body={"max_tokens": 99, "top_k": 0})
    body = server.requests[0].json
    assert sorted(body) == ["logprobs", "max_tokens", "messages", "model", "top_k"]
    assert (body["max_tokens"], body["top_k"]) == (99, 0)


def plain_without_seed(_: Request) -> Reply:
    return chat(choice("x"))


def test_judges_are_asked_without_log_probabilities():
    judged = Sampling(0.0, 40, 7, logprobs=False)
    with serve(plain) as server:
        ask(server, sampling=judged)
        ask(server, sampling=judged, mode="completion", extra_body={"n": 1})
    assert ["logprobs" in request.json for request in server.requests] == [False, False]


def test_at_temperature_0_one_sample_is_requested_and_returned_n_times():
    greedy = Sampling(0.0, 40, 7)
    with serve(plain) as server:
        completions = ask(server, n=4, sampling=greedy)
        assert len(ask(server, n=4, sampling=greedy, extra_body={"temperature": 1})) == 4
        assert len(ask(server, n=4, sampling=greedy, omit=("temperature",))) == 4
    assert completions == [Completion(f"{wire_seed(0)}/0", 2, -0.75, "stop", 11)] * 4
    assert [request.json.get("n", 1) for request in server.requests] == [1, 4, 4]


def test_a_text_is_cut_at_the_stop_string_that_the_server_was_not_given():
    texts = ["a  # [END]\nACTION_SELECTED = b", "a  # [END]", "a"]
    with serve(lambda _: chat(*(choice(text, index=i) for i, text in enumerate(texts)))) as server:
        completions = ask(server, n=3, omit=("stop",))
    assert [(one.text, one.finish, one.logprob) for one in completions] == [
        ("a  ", "stop", None),
        ("a  ", "stop", -0.75),
        ("a", "stop", -0.75),
    ]


def test_a_sample_of_all_the_tokens_asked_for_is_cut_off_where_the_server_does_not_say_how_it_ended():
    full = choice("x", [-0.5] * 40, finish=None)
    with serve(lambda _: chat(full, choice("x", index=1, finish=None))) as server:
        assert [one.finish for one in ask(server, n=2)] == ["length", ""]


def no_system_turn(request: Request) -> Reply:
    if request.json["messages"][0]["role"] == "system":
        return error(400, "Conversation roles must alternate user/assistant/user/assistant/...")
    return plain(request)


def test_where_the_server_has_no_system_turn_instructions_go_into_the_user_s_from_then_on(capsys):
    async def twice(url):
        llm = OpenAICompatible("some-model", base_url=f"{url}/v1", api_key_env=None)
        try:
            await gather_or_cancel(llm.sample(PROMPT, n=1, sampling=SAMPLING) for _ in range(2))
            return await llm.sample(PROMPT, n=1, sampling=SAMPLING)
        finally:
            await llm.aclose()

    with serve(no_system_turn) as server:
        assert len(asyncio.run(twice(server.url))) == 1
    folded = [{"role": "user", "content": "Instructions.\nQUESTION = 1\n"}]
    # In any order: the two calls at once race.
    assert sorted(request.json["messages"] == folded for request in server.requests) == [False, False, True, True, True]
    assert capsys.readouterr().err.count("in the user's turn") == 1


def test_the_system_turn_is_a_setting():
    with serve(no_system_turn) as server:
        assert len(ask(server, system_turn=False)) == 1
        with pytest.raises(UsageError, match=r"must alternate.*; set grader\.system_turn=auto"):
            ask(server, system_turn=True, names=SettingNames("grader"))
    assert len(server.requests) == 2


def test_arguments_of_the_chat_template_are_sent_in_chat_mode_alone():
    with serve(plain) as server:
        ask(server, chat_template_kwargs={"enable_thinking": False})
        ask(server, chat_template_kwargs={"enable_thinking": False}, mode="completion")
    assert [request.json.get("chat_template_kwargs") for request in server.requests] == [
        {"enable_thinking": False},
        None,
    ]


@pytest.mark.parametrize("finish", ["length", "stop"])
def test_a_reply_whose_text_is_all_thought_is_a_fault_that_names_the_setting(finish):
    thought = {"message": {"content": None, "reasoning_content": "Hm."}, "finish_reason": finish}
    with (
        serve(lambda _: chat(thought)) as server,
        pytest.raises(ModelFault, match=r"reasoning_content instead of text.*thinking off"),
    ):
        ask(server)


def test_one_text_among_thoughts_is_enough():
    thought = {"index": 0, "message": {"content": None, "reasoning_content": "Hm."}, "finish_reason": "length"}
    with serve(lambda _: chat(thought, choice("x", index=1))) as server:
        assert [one.text for one in ask(server, n=2)] == ["", "x"]


@pytest.mark.parametrize(
    "bad",
    [
        error(429, headers={"retry-after": "0.01"}),
        error(500),
        Reply(502, b"<html>bad gateway</html>", {"content-type": "text/html"}),
        Reply(hang_up=True),
        Reply(200, b'{"choices": [{"mess'),
        Reply(200, {"choices": []}),
        Reply(200, {"error": {"message": "upstream is down", "code": 502}}),
        Reply(200, {"choices": [{"message": {"content": 5}}]}),
    ],
    ids=["429", "500", "502-html", "hang-up", "cut-json", "no-choices", "error-in-200", "wrong-type"],
)
def test_what_may_pass_is_tried_again_and_is_an_outside_fault_when_it_lasts(bad):
    count = iter(range(100))
    with serve(lambda request: plain(request) if next(count) == 2 else bad) as server:
        assert len(ask(server)) == 1
    assert len(server.requests) == 3
    with serve(lambda _: bad) as server, pytest.raises(OutsideFault, match=r"some-model at .*\(after 3 tries\)"):
        ask(server)
    assert len(server.requests) == 3


def test_a_stalled_server_is_left_at_the_deadline_and_tried_again():
    count = iter(range(100))
    with serve(lambda r: plain(r) if next(count) else Reply(200, plain(r).body, delay_s=30)) as server:
        started = time.monotonic()
        assert len(ask(server, timeout_s=0.3)) == 1
    assert time.monotonic() - started < 20


def test_a_refused_connection_is_an_external_fault():
    with serve(plain) as server:
        pass
    with pytest.raises(OutsideFault, match=r"cannot connect .*check that the server runs"):
        ask(server)


def test_retry_after_is_honoured():
    count = iter(range(100))
    with serve(lambda r: plain(r) if next(count) else error(429, headers={"retry-after": "0.3"})) as server:
        ask(server)
    first, second = server.requests
    assert second.at - first.at >= 0.3


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (error(400, "maximum context length is 4096", code="context_length_exceeded"), ModelFault, "maximum context"),
        (error(400, "flagged", code="content_filter"), ModelFault, "flagged"),
        (Reply(400, {"object": "error", "message": "prompt too long", "code": 400}), ModelFault, "prompt too long"),
        (Reply(422, {"detail": "input too long"}), ModelFault, "input too long"),
        (error(400, "unknown", code="unsupported_parameter", param="max_tokens"), UsageError, "set token_limit="),
        (error(400, "n must be 1", param="n"), UsageError, "n must be 1"),
        (error(400, "'n' : number must be at most 1", type="invalid_request_error"), UsageError, "at most 1"),
        (error(400, "`logprobs` is not supported with this model"), UsageError, "not supported"),
        (error(400, "'max_tokens' is too large: 512, the context is 4096"), ModelFault, "too large"),
        (
            Reply(422, {"detail": [fastapi("extra_forbidden", "user", "Not permitted")]}),
            UsageError,
            "body.user: Not perm",
        ),
        (Reply(422, {"message": {"detail": [fastapi("int_type", "seed", "No int")]}}), UsageError, "body.seed: No int"),
        (Reply(422, {"detail": [fastapi("string_too_long", "prompt", "At most 9")]}), ModelFault, "prompt: At most 9$"),
        (error(400, "flagged: " + "x " * 99 + "Who wrote 'stop' ?"), ModelFault, "flagged"),
        (Reply(400, {"status": 400, "model": "x", "reason": "prompt too long"}), ModelFault, "prompt too long"),
        (error(400, "not 'none'", code="invalid_value", param="reasoning_effort"), UsageError, "not 'none'"),
        (error(401, "bad key"), UsageError, "set api_key_env"),
        (error(404, "no model some-model"), UsageError, "no model some-model"),
        (error(402, "pay"), OutsideFault, "quota used up"),
        (error(429, "quota", code="insufficient_quota"), OutsideFault, "quota used up"),
        (chat(choice("", finish="content_filter")), ModelFault, "refused \\(content_filter\\)"),
        (chat({"message": {"content": None, "refusal": "I cannot"}}), ModelFault, "refused \\(refusal\\)"),
    ],
)
def test_a_permanent_error_is_not_retried_and_names_whose_fault_it_is(reply, kind, words):
    with serve(lambda _: reply) as server, pytest.raises(kind, match=words):
        ask(server)
    assert len(server.requests) == 1


@pytest.mark.parametrize("strange", [error(400, "njet"), error(403, "njet"), Reply(422, {"detail": [{"loc": 5}]})])
def test_an_unknown_refusal_concerns_one_request_if_a_harmless_request_succeeds(strange):
    def answer(request):
        return strange if "QUESTION = 1" in str(request.json["messages"]) else plain(request)

    with serve(answer) as server, pytest.raises(ModelFault, match=rf"^some-model at .*: HTTP {strange.status}: "):
        ask(server, n=2)
    refused, harmless = (request.json for request in server.requests)
    assert [message["content"] for message in harmless["messages"]] == ["Answer briefly.\n", "Say hello.\n"]
    assert {**harmless, "messages": 0} == {**refused, "messages": 0}


def test_an_unknown_refusal_of_every_request_is_a_usage_error():
    with serve(lambda _: error(400, "njet")) as server, pytest.raises(UsageError) as caught:
        ask(server, names=SettingNames("grader"))
    assert str(caught.value).startswith(f"some-model at {server.url}/v1: HTTP 400: njet (")
    assert str(caught.value).endswith("; check grader.model, grader.base_url and grader.token_limit")


def test_an_unknown_refusal_of_every_request_after_successes_is_an_external_fault():
    async def twice(url):
        llm = OpenAICompatible("m", base_url=url, api_key_env=None, tries=1)
        try:
            await llm.sample(PROMPT, n=1, sampling=SAMPLING)
            await llm.sample(PROMPT, n=1, sampling=SAMPLING)
        finally:
            await llm.aclose()

    count = iter(range(100))
    with (
        serve(lambda request: error(400, "njet") if next(count) else plain(request)) as server,
        pytest.raises(OutsideFault, match="refused every request since then"),
    ):
        asyncio.run(twice(f"{server.url}/v1"))


def test_a_new_model_is_waited_for_and_one_that_stays_unknown_is_an_error(capsys):
    count = iter(range(100))
    unknown = error(404, "The model `some-model` does not exist", code="model_not_found")
    with serve(lambda request: plain(request) if next(count) > 2 else unknown) as server:
        assert len(ask(server, ready_within_s=60)) == 1
    assert len(server.requests) == 4
    assert "not available yet; trying again for up to 1 minutes" in " ".join(capsys.readouterr().err.split())
    with serve(lambda _: unknown) as server, pytest.raises(UsageError, match="does not exist; set model to a model"):
        ask(server, ready_within_s=0.01)


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ({"error": {"message": "Insufficient credits", "code": 402}}, OutsideFault, "quota used up"),
        ({"error": {"message": "no", "code": "content_filter"}}, ModelFault, "no"),
        ({"choices": [{"error": {"message": "flagged", "code": 403}}]}, ModelFault, "flagged"),
        ({"choices": [{"finish_reason": "error", "message": {"content": "half a"}}]}, OutsideFault, "3 tries"),
        ({"choices": [{"finish_reason": "abort", "text": "half a"}]}, OutsideFault, "3 tries"),
        ({"error": {"message": "upstream is down", "code": 502}, "choices": []}, OutsideFault, "3 tries"),
        ({"object": "error", "message": "CUDA out of memory", "code": 50002}, OutsideFault, "3 tries"),
        ({"object": "error", "message": "The model `m` does not exist.", "code": 404}, UsageError, "set model"),
    ],
)
def test_an_error_inside_a_reply_of_status_200_is_read_like_any_other(body, kind, words):
    with serve(lambda _: Reply(200, body)) as server, pytest.raises(kind, match=words):
        ask(server)


def test_samples_beside_one_that_broke_off_are_kept_and_that_one_is_asked_for_again():
    def answer(request):
        if request.json.get("n", 1) == 2:
            return chat(choice("a"), {"index": 1, "error": {"message": "upstream"}, "finish_reason": "error"})
        return chat(choice("b"))

    with serve(answer) as server:
        assert [one.text for one in ask(server, n=2)] == ["a", "b"]


def test_one_filtered_sample_of_several_is_kept_as_a_sample():
    with serve(lambda _: chat(choice("a"), choice("", (), 1, "content_filter"))) as server:
        completions = ask(server, n=2)
    assert [(one.text, one.finish) for one in completions] == [("a", "stop"), ("", "content_filter")]


def test_an_invalid_base_url_is_an_error_before_any_request():
    with pytest.raises(UsageError) as refused:
        OpenAICompatible("m", base_url="localhost:8000/v1", api_key_env=None)
    assert str(refused.value) == (
        "base_url: 'localhost:8000/v1' is not an http:// or https:// address; give one such as http://localhost:8000/v1"
    )


def test_a_missing_key_is_an_error_before_any_request(monkeypatch):
    monkeypatch.delenv("CLIENT_KEY", raising=False)
    with serve(plain) as server, pytest.raises(UsageError, match="CLIENT_KEY"):
        ask(server, api_key_env="CLIENT_KEY")
    assert server.requests == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_the_key_is_sent_but_is_in_no_message_traceback_or_log(monkeypatch, caplog, status):
    monkeypatch.setenv("CLIENT_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    refusal = error(status, f"Incorrect API key provided: {KEY}")
    with serve(lambda _: refusal) as server, pytest.raises(RestReactError) as caught:
        ask(server, api_key_env="CLIENT_KEY", tries=1)
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    told = "".join(traceback.format_exception(caught.value))
    assert KEY not in told
    assert KEY not in caplog.text
    assert status not in (401, 403) or "CLIENT_KEY" in str(caught.value)


def test_calls_in_flight_and_their_rate_stay_within_the_limits_by_the_servers_own_count():
    def answer(request):
        return Reply(200, plain(request).body, delay_s=0.02)

    with serve(answer) as server:

        async def main():
            settings = {"base_url": f"{server.url}/v1", "api_key_env": None, "max_in_flight": 4}
            llm = OpenAICompatible("m", requests_per_minute=3000, **settings)
            await gather_or_cancel(llm.sample(PROMPT, n=1, sampling=SAMPLING) for _ in range(30))
            await llm.aclose()

        asyncio.run(main())
    assert server.most_in_flight <= 4
    assert server.requests[-1].at - server.requests[0].at >= 29 * 0.02 - 0.02


def test_calls_one_after_another_share_a_connection():
    with serve(plain) as server:

        async def main():
            llm = OpenAICompatible("m", base_url=f"{server.url}/v1", api_key_env=None)
            for _ in range(3):
                await llm.sample(PROMPT, n=1, sampling=SAMPLING)
            await llm.aclose()

        asyncio.run(main())
    assert len(server.requests) == 3
    assert len({request.port for request in server.requests}) == 1


def test_all_calls_that_may_be_in_flight_are():
    everyone = threading.Barrier(120)

    def answer(request):
        everyone.wait(60)
        return plain(request)

    with serve(answer) as server:

        async def main():
            llm = OpenAICompatible("m", base_url=f"{server.url}/v1", api_key_env=None, max_in_flight=120, tries=1)
            await gather_or_cancel(llm.sample(PROMPT, n=1, sampling=SAMPLING) for _ in range(120))
            await llm.aclose()

        asyncio.run(main())
    assert len(server.requests) == 120


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_a_proxy_that_the_environment_names_is_used_but_not_where_it_says_no(monkeypatch, scheme):
    with serve(plain) as proxy, serve(plain) as server:
        monkeypatch.setenv("http_proxy", proxy.url.replace("http://", scheme))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        ask(server)
        ask(Server("http://model.example", []))
    assert [request.path for request in server.requests] == ["/v1/chat/completions"]
    assert [request.path for request in proxy.requests] == ["http://model.example/v1/chat/completions"]


def test_a_server_on_this_machine_is_asked_without_the_environment_s_proxy(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    with serve(plain) as server:
        assert len(ask(server)) == 1
        assert len(ask(Server(server.url.replace("127.0.0.1", "localhost"), []))) == 1


def test_the_wait_that_a_gateway_passes_on_is_honoured():
    count = iter(range(100))
    busy = error(429, headers={"llm_provider-retry-after": "0.3"})
    with serve(lambda r: plain(r) if next(count) else busy) as server:
        ask(server)
    first, second = server.requests
    assert second.at - first.at >= 0.3


def test_nothing_is_lost_or_doubled_when_a_third_of_all_calls_fail():
    faults = [error(429), error(500), Reply(hang_up=True), Reply(200, b"{"), Reply(200, {"choices": []}), error(503)]
    lock, count = threading.Lock(), iter(range(10_000))

    def answer(request):
        with lock:
            number = next(count)
        return faults[number // 3 % len(faults)] if number % 3 == 0 else plain(request)

    with serve(answer) as server:

        async def main():
            settings = {"base_url": f"{server.url}/v1", "api_key_env": None, "tries": 30, "first_wait_s": 0.001}
            llm = OpenAICompatible("m", max_in_flight=16, **settings)
            samplings = [Sampling(0.5, 40, seed=i) for i in range(100)]
            replies = await gather_or_cancel(llm.sample(PROMPT, n=2, sampling=one) for one in samplings)
            await llm.aclose()
            return replies

        replies = asyncio.run(main())
    expected = [[f"{derive_seed(seed, 0) % 2**31}/{i}" for i in range(2)] for seed in range(100)]
    assert [[one.text for one in reply] for reply in replies] == expected


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_does_not_carry_the_prompt_along(status):
    with serve(plain) as other:
        place = other.url.replace("://", "://me:hunter2@")
        redirect = Reply(status, b"", {"location": f"{place}/v1/chat/completions?key=hunter2"})

        with serve(lambda _: redirect) as server, pytest.raises(UsageError) as caught:
            ask(server, names=SettingNames("grader"))
        told = rf"some-model at {server.url}/v1: HTTP {status}: .*redirects to {other.url}\. .*; set grader\.base_url"
        assert re.match(told, str(caught.value)) and "hunter2" not in str(caught.value)
        assert (len(server.requests), other.requests) == (1, [])


@pytest.mark.parametrize("status", [200, 400, 401, 404, 429, 500])
@pytest.mark.parametrize("body", ODD_BODIES)
def test_no_body_ends_the_run_with_a_traceback(status, body):
    with serve(lambda _: Reply(status, body)) as server, pytest.raises(RestReactError) as caught:
        ask(server, tries=1)
    message = str(caught.value)
    assert (message.encode().decode(), len(message) < 1000) == (message, True)


def test_a_reply_without_end_is_left_at_its_limit_and_charged(tmp_path):
    budget = Budget()
    budget.keep_in(tmp_path / "spending.json")
    with serve(lambda _: Reply(200, endless())) as server, pytest.raises(OutsideFault, match="larger than 64 MB"):
        ask(server, meter=Meter(budget, "policy"))
    assert len(server.requests) == 1
    worst = worst_case(PROMPT, 1, SAMPLING)
    account = {"calls": 1, "prompt_tokens": worst.prompt, "completion_tokens": worst.completion}
    assert json.loads((tmp_path / "spending.json").read_text()) == {"policy": account}


def test_an_error_reply_without_end_is_read_at_its_beginning():
    body = endless(b'{"error": {"message": "wrong API key')
    with serve(lambda _: Reply(401, body)) as server, pytest.raises(UsageError, match="access refused"):
        ask(server)


def test_a_reply_that_trickles_has_one_limit_for_all_of_it():
    started = time.monotonic()
    with (
        serve(lambda _: Reply(200, endless(part=b" ", wait_s=0.05))) as server,
        pytest.raises(OutsideFault, match=r"no complete reply within 0\.3 s.*\(after 2 tries\)"),
    ):
        ask(server, timeout_s=0.3, tries=2)
    assert time.monotonic() - started < 20


def test_an_interrupted_call_ends_at_once():
    async def main(url):
        llm = OpenAICompatible("m", base_url=url, api_key_env=None)
        task = asyncio.create_task(llm.sample(PROMPT, n=1, sampling=SAMPLING))
        await asyncio.sleep(0.2)
        task.cancel()
        await asyncio.wait([task])
        await llm.aclose()

    with serve(lambda _: Reply(200, {}, delay_s=30)) as server:
        started = time.monotonic()
        asyncio.run(main(server.url))
        assert time.monotonic() - started < 20


def test_a_server_that_loses_its_model_is_an_external_error_until_it_has_the_model_again() -> None:
    """As after a restart with other weights: a replica is then lost, and the run goes on with the others."""
    lost = error(404, "The model `some-model` does not exist")
    replies = iter([False, True, True, True, False])

    async def main(url: str) -> None:
        llm = OpenAICompatible("some-model", base_url=f"{url}/v1", api_key_env=None, tries=1, first_wait_s=0.001)
        try:
            await llm.sample(PROMPT, n=1, sampling=SAMPLING)
            with pytest.raises(OutsideFault, match="it answered before: was the server started again"):
                await llm.sample(PROMPT, n=1, sampling=SAMPLING)
            await llm.revive()
        finally:
            await llm.aclose()

    with serve(lambda request: lost if next(replies) else plain(request)) as server:
        asyncio.run(main(server.url))
        assert len(server.requests) == 5
