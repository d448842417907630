"""LiteLLM's proxy between us and a server whose every answer the test decides, or llama.cpp's server."""

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rest_react.errors import ModelFault, OutsideFault, UsageError
from rest_react.llm.openai_api.openai_compatible import OpenAICompatible
from rest_react.llm.vllm.vllm_process import free_port
from rest_react.records import Completion, Prompt, Sampling
from rest_react.remote.session import session
from tests.loopback import Reply, Request, serve
from tests.servers.installed import environment, running
from tests.servers.llamacpp_server import NAME, embedded_weights, serving
from tests.serving import reply_with

pytestmark = pytest.mark.servers
KEY = "sk-test"
SAMPLING = Sampling(0.7, 16, seed=3, stop=("# [END]",))


class Behind:
    """The server behind the proxy."""

    def __init__(self) -> None:
        self.answer: Callable[[Request], Reply] = good
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Reply:
        self.requests.append(request)
        return self.answer(request)


def good(request: Request) -> Reply:
    body = request.json
    texts = [Completion(f"text {i}", 2, -1.5, "stop", 5) for i in range(body.get("n", 1))]
    reply = reply_with(texts, "chat", logprobs=bool(body.get("logprobs")))
    for choice in reply.body["choices"]:  # type: ignore[index]
        for token in choice.get("logprobs", {}).get("content", ()):
            token |= {"token": "t", "bytes": None, "top_logprobs": []}
    about = {"id": "c1", "object": "chat.completion", "created": 1, "model": body["model"]}
    return Reply(200, {**about, **reply.body})  # type: ignore[dict-item]


@contextmanager
def through(url: str, model: str, folder: Path) -> Iterator[str]:
    """The base_url of a proxy, whose model `m` is that of another server, until the block ends."""
    port = free_port(0)
    own = {"model": f"hosted_vllm/{model}", "api_base": url, "api_key": "none"}
    config = {
        "model_list": [{"model_name": "m", "litellm_params": own}],
        "litellm_settings": {"num_retries": 0, "telemetry": False},
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
        "general_settings": {"master_key": KEY, "forward_client_headers_to_llm_api": True},
    }
    (folder / "config.yaml").write_text(json.dumps(config))
    command = [
        str(environment("litellm") / "bin" / "litellm"), "--config", str(folder / "config.yaml"),
        "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
    more = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}  # else it is fetched from the web
    with running(command, f"http://127.0.0.1:{port}/health/liveliness", folder / "litellm.txt", more):
        yield f"http://127.0.0.1:{port}/v1"


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Behind, str]]:
    behind = Behind()
    with serve(behind) as server, through(f"{server.url}/v1", "m", tmp_path_factory.mktemp("litellm")) as url:
        yield behind, url


@pytest.fixture
def behind(proxy: tuple[Behind, str]) -> Behind:
    proxy[0].answer = good
    proxy[0].requests.clear()
    return proxy[0]


@pytest.fixture
def ask(proxy: tuple[Behind, str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Completion]]:
    def ask(*, key: str = KEY, model: str = "m", n: int = 1, tries: int = 1) -> list[Completion]:
        monkeypatch.setenv("PROXY_KEY", key)

        async def main() -> list[Completion]:
            llm = OpenAICompatible(model, base_url=proxy[1], api_key_env="PROXY_KEY", tries=tries, first_wait_s=0.05)
            try:
                with session("w17.0"):
                    return await llm.sample(Prompt("Instructions.\n", "State.\n"), n=n, sampling=SAMPLING)
            finally:
                await llm.aclose()

        return asyncio.run(main())

    return ask


def test_samples_pass_with_their_log_probabilities_and_the_request_with_all_its_fields(
    behind: Behind, ask: Callable[..., list[Completion]]
) -> None:
    assert ask(n=3) == [Completion(f"text {i}", 2, -1.5, "stop", 5) for i in range(3)]
    [request] = behind.requests
    asked = request.json
    sent = {"temperature": 0.7, "max_tokens": 16, "n": 3, "stop": ["# [END]"], "logprobs": True}
    assert {name: asked[name] for name in sent} == sent
    assert asked["seed"] > 0
    assert [turn["role"] for turn in asked["messages"]] == ["system", "user"]
    assert request.headers.get("x-session-id") == "w17.0"


def test_a_busy_server_is_asked_again_after_the_wait_that_it_named(
    behind: Behind, ask: Callable[..., list[Completion]]
) -> None:
    def busy_once(request: Request) -> Reply:
        if len(behind.requests) > 1:
            return good(request)
        return Reply(429, {"error": {"message": "slow down"}}, {"retry-after": "2"})

    behind.answer = busy_once
    started = time.monotonic()
    assert [one.text for one in ask(tries=3)] == ["text 0"]
    assert time.monotonic() - started >= 2
    assert len(behind.requests) == 2


@pytest.mark.parametrize(
    ("reply", "fault", "told"),
    [
        (Reply(503, {"error": {"message": "overloaded"}}), OutsideFault, "overloaded"),
        (
            Reply(
                400,
                {"error": {"message": "This model's maximum context length is 64 tokens.", "type": "BadRequestError"}},
            ),
            ModelFault,
            "maximum context length",
        ),
        (Reply(401, {"error": {"message": "bad key"}}), UsageError, "PROXY_KEY"),
    ],
)
def test_an_error_of_the_server_behind_keeps_its_meaning(
    reply: Reply, fault: type[Exception], told: str, behind: Behind, ask: Callable[..., list[Completion]]
) -> None:
    behind.answer = lambda _: reply
    with pytest.raises(fault, match=told):
        ask()


def test_a_wrong_key_and_an_unknown_model_end_the_run(behind: Behind, ask: Callable[..., list[Completion]]) -> None:
    with pytest.raises(UsageError, match="PROXY_KEY"):
        ask(key="sk-wrong")
    with pytest.raises(UsageError, match="model"):
        ask(model="unknown")
    assert not behind.requests


def test_a_server_behind_that_is_down_is_an_external_error(
    behind: Behind, ask: Callable[..., list[Completion]], tmp_path: Path
) -> None:
    behind.answer = lambda _: Reply(hang_up=True)
    with pytest.raises(OutsideFault):
        ask()


def test_the_embedded_model_behind_llama_cpp_gives_the_same_greedy_texts_through_the_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROXY_KEY", KEY)
    prompts = [Prompt("Answer in one sentence.\n", f"{q}\n") for q in ("Who wrote Middlemarch?", "What is a lamp?")]
    greedy = Sampling(0.0, 24, seed=5)

    async def texts(url: str, model: str, key: str | None) -> list[str]:
        llm = OpenAICompatible(model, base_url=url, api_key_env=key)
        try:
            return [one.text for prompt in prompts for one in await llm.sample(prompt, n=1, sampling=greedy)]
        finally:
            await llm.aclose()

    with serving(embedded_weights(), tmp_path) as url, through(url, NAME, tmp_path) as proxied:
        direct = asyncio.run(texts(url, NAME, None))
        assert all(direct)
        assert asyncio.run(texts(proxied, "m", "PROXY_KEY")) == direct
