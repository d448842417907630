"""Scores of options by a server on loopback: the request, and replies that lack some or all of what was asked."""

import asyncio
import math

import pytest

from rest_react.errors import OutsideFault, UsageError
from rest_react.llm.openai_api.openai_compatible import OpenAICompatible
from rest_react.records import OptionScores, Prompt
from rest_react.remote.budget import Budget, Meter
from rest_react.remote.failures.setting_names import SettingNames
from tests.loopback import Reply, serve

PROMPT = Prompt("Judge.\n", "Which one is best?\nBEST:", closing="\nReply with a letter.")
OPTIONS = ("A", "B", "C")


def listed(tops, logprobs: object = ..., text="A", tokens=(11, 1)):
    """A chat's reply that lists these tokens; `logprobs` stands in for its field."""
    content = [{"token": text, "logprob": -0.1, "bytes": None, "top_logprobs": tops}]
    choice = {"message": {"content": text}, "finish_reason": "length"}
    choice["logprobs"] = {"content": content} if logprobs is ... else logprobs
    return Reply(200, {"choices": [choice], "usage": {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]}})


def tokens(**logprobs):
    return [{"token": text, "logprob": value} for text, value in logprobs.items()]


def score(answer, **settings):
    """What the client makes of the replies, and the bodies of its requests."""
    replies = iter(answer) if isinstance(answer, list) else None

    async def main(url):
        settings.setdefault("names", SettingNames("reward_model"))
        llm = OpenAICompatible("m", base_url=f"{url}/v1", api_key_env=None, tries=3, first_wait_s=0.001, **settings)
        try:
            return await llm.score(PROMPT, OPTIONS)
        finally:
            await llm.aclose()

    with serve(lambda request: next(replies) if replies else answer) as server:
        scores = asyncio.run(main(server.url))
        return scores, [request.json for request in server.requests]


def test_one_token_is_asked_for_with_a_list_of_likely_ones() -> None:
    scores, [body] = score(listed(tokens(A=-0.1, B=-3.0, C=-4.0, The=-5.0)))
    assert scores == OptionScores((-0.1, -3.0, -4.0), (), 11, 1)
    assert {name: body[name] for name in ("temperature", "max_tokens", "logprobs", "top_logprobs")} == {
        "temperature": 1.0, "max_tokens": 1, "logprobs": True, "top_logprobs": 20,
    }  # fmt: skip
    assert body["messages"][-1]["content"] == "Which one is best?\nBEST:\nReply with a letter."


def test_a_text_completion_lists_tokens_in_its_own_way() -> None:
    logprobs = {"tokens": [" B"], "token_logprobs": [-0.2], "top_logprobs": [{" B": -0.2, " A": -2.0, "C": -3.0}]}
    reply = {"choices": [{"text": " B", "logprobs": logprobs}], "usage": {"prompt_tokens": 7, "completion_tokens": 1}}
    scores, [body] = score(Reply(200, reply), mode="completion")
    assert scores == OptionScores((-2.0, -0.2, -3.0), (), 7, 1)
    assert (body["logprobs"], "top_logprobs" in body) == (20, False)


def test_an_option_that_is_not_listed_gets_the_floor() -> None:
    scores, _ = score(listed(tokens(A=math.log(0.6), The=math.log(0.3))))
    assert scores is not None
    assert (scores.floored, scores.logprobs) == ((1, 2), pytest.approx([math.log(p) for p in (0.6, 0.1, 0.1)]))


LIKELY = {"A": math.log(0.3), **{f"t{i}": math.log(0.02) for i in range(19)}}


@pytest.mark.parametrize("value", [-9999.0, -14.0])
@pytest.mark.parametrize("tops", [tokens(**LIKELY), tokens(**LIKELY, drawn=-14.0)], ids=["OpenAI", "vLLM"])
def test_a_drawn_token_that_is_not_among_the_likeliest_does_not_lower_the_floor(tops, value) -> None:
    reply = listed(tops, text="drawn")
    reply.body["choices"][0]["logprobs"]["content"][0]["logprob"] = value
    scores, _ = score(reply)
    assert scores == OptionScores((math.log(0.3), math.log(0.02), math.log(0.02)), (1, 2), 11, 1)


def test_a_drawn_option_that_is_not_among_the_likeliest_of_a_text_has_the_floor_too() -> None:
    tops = {**LIKELY, "B": -14.0}
    choice = {"text": "B", "logprobs": {"tokens": ["B"], "token_logprobs": [-14.0], "top_logprobs": [tops]}}
    usage = {"prompt_tokens": 11, "completion_tokens": 1}
    scores, _ = score(Reply(200, {"choices": [choice], "usage": usage}), mode="completion")
    assert scores == OptionScores((math.log(0.3), math.log(0.02), math.log(0.02)), (1, 2), 11, 1)


@pytest.mark.parametrize(
    "logprobs",
    [None, [], {}, {"content": None}, {"content": []}, {"content": [None]}, {"top_logprobs": None, "tokens": ["A"]}],
)
def test_a_reply_without_log_probabilities_gives_no_scores(logprobs) -> None:
    assert score(listed([], logprobs))[0] == OptionScores((), (), 11, 1)


def test_null_and_impossible_values_count_as_not_listed() -> None:
    tops = [{"token": "B", "logprob": None}, {"token": None, "logprob": -1.0}, {"token": "C", "logprob": True}, 3]
    scores, _ = score(listed(tops))
    assert scores is not None
    assert (scores.logprobs[0], scores.floored) == (-0.1, (1, 2))


def test_with_logprobs_false_no_request_is_made() -> None:
    assert score(listed([]), logprobs=False) == (None, [])


@pytest.mark.parametrize(
    "message",
    [
        "Requested sample logprobs of 20, which is greater than max allowed: 5",
        "Invalid value for 'top_logprobs': must be less than or equal to 5.",
    ],
)
@pytest.mark.parametrize("mode", ["chat", "completion"])
def test_a_server_that_lists_fewer_tokens_is_asked_for_fewer(message, mode) -> None:
    refusal = Reply(400, {"error": {"message": message}})
    scores, bodies = score([refusal, listed(tokens(A=-0.1))], mode=mode)
    assert scores is not None
    assert [body["top_logprobs" if mode == "chat" else "logprobs"] for body in bodies] == [20, 5]


def test_a_refusal_of_log_probabilities_names_the_setting() -> None:
    refusal = Reply(400, {"error": {"message": "'top_logprobs' is not supported with this model."}})
    with pytest.raises(UsageError, match=r"set reward_model\.logprobs=false"):
        score(refusal)


def test_outages_are_retried_and_each_call_is_charged() -> None:
    budget = Budget()
    meter = Meter(budget, "reward_model")
    scores, bodies = score([Reply(503), listed(tokens(A=-0.1, B=-3.0, C=-4.0))], meter=meter)
    assert (scores, len(bodies)) == (OptionScores((-0.1, -3.0, -4.0), (), 11, 1), 2)
    with pytest.raises(OutsideFault, match="503"):
        score(Reply(503), meter=meter)


def echoed(text: str, values: list[float | None], prompt_tokens: int = 0) -> Reply:
    """A text completion that begins with its prompt."""
    choice = {"text": text, "finish_reason": "length", "logprobs": {"token_logprobs": values, "tokens": []}}
    return Reply(200, {"choices": [choice], "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": 1}})


def read(answer, mode="completion"):
    """The score of one text behind a prompt, and the bodies of the requests."""

    async def main(url):
        llm = OpenAICompatible("m", base_url=f"{url}/v1", api_key_env=None, mode=mode, tries=2, first_wait_s=0.001)
        try:
            return await llm.score(Prompt("", "Answer:"), ("Vell is it",))
        finally:
            await llm.aclose()

    with serve(lambda request: answer(request.json["prompt"])) as server:
        return asyncio.run(main(server.url)), [request.json for request in server.requests]


@pytest.mark.parametrize("counted", [True, False])
def test_a_text_is_read_from_the_prompts_that_the_server_repeats(counted) -> None:
    def answer(prompt):
        values = [None, -2.0, -0.5, -0.25, -1.0] if prompt.endswith("it") else [None, -2.0]
        return echoed(f"{prompt} so", [*values, -9.0], prompt_tokens=len(values) if counted else 0)

    scores, bodies = read(answer)
    assert scores == OptionScores((-1.75,), (), 7 if counted else 0, 2)
    assert sorted(body["prompt"] for body in bodies) == ["Answer:", "Answer: Vell is it"]
    assert all((body["echo"], body["max_tokens"], body["logprobs"]) == (True, 1, 1) for body in bodies)


@pytest.mark.parametrize(
    "answer",
    [
        lambda prompt: echoed(" so", [-9.0], prompt_tokens=3),
        lambda prompt: echoed(f"{prompt} so", []),
        lambda prompt: echoed(f"{prompt} so", [None, None, -3.0, -9.0], prompt_tokens=3),
    ],
)
def test_a_server_that_does_not_repeat_the_prompt_gives_no_score(answer) -> None:
    assert read(answer)[0] is None


def test_a_chat_cannot_read_a_text_and_is_not_asked() -> None:
    assert read(lambda prompt: echoed(prompt, []), mode="chat") == (None, [])
