"""vllm-router and smg between us and three servers whose every answer the test decides."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from rest_react.concurrency import gather_or_cancel
from rest_react.llm.openai_api.openai_compatible import OpenAICompatible
from rest_react.llm.vllm.vllm_process import free_port
from rest_react.records import Completion, Prompt, Sampling
from rest_react.remote.session import session
from tests.loopback import Reply, Request, Server, serve
from tests.servers.installed import environment, running
from tests.serving import reply_with

COMMANDS = {"vllm-router": ("--health-check-interval-secs", "1"), "smg": ("launch",)}
CHOOSING = [
    ("vllm-router", "consistent_hash"), ("vllm-router", "sticky_least_loaded"), ("smg", "consistent_hashing"),
    ("smg", "manual"),
]  # fmt: skip
pytestmark = [pytest.mark.servers, pytest.mark.parametrize(("name", "policy"), CHOOSING)]
TRAJECTORIES, CALLS = 24, 4


def named(name: str) -> Callable[[Request], Reply]:
    """The answers of a server, whose texts are its name."""

    def answer(request: Request) -> Reply:
        if request.method == "GET":
            return Reply(200, {"object": "list", "data": [{"id": "m", "object": "model"}]})
        texts = [Completion(name, 2, -1.5, "stop", 5)] * request.json["n"]
        about = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m"}
        return Reply(200, {**about, **reply_with(texts, "chat", logprobs=True).body})  # type: ignore[dict-item]

    return answer


@contextmanager
def router(servers: Sequence[Server], name: str, policy: str, folder: Path) -> Iterator[str]:
    port = free_port(0)
    command = [
        str(environment("routers") / "bin" / name), *COMMANDS[name], "--host", "127.0.0.1", "--port", str(port),
        "--prometheus-port", str(free_port(0)), "--policy", policy, "--worker-urls", *(one.url for one in servers),
    ]  # fmt: skip
    with running(command, f"http://127.0.0.1:{port}/v1/models", folder / "log.txt", {}):
        yield f"http://127.0.0.1:{port}/v1"


def answers(url: str, *, between: Callable[[], object] = lambda: None) -> dict[str, list[Completion]]:
    """The first sample of each call of each trajectory; `between` is called when all have half of their answers."""

    async def half(llm: OpenAICompatible, id_: str) -> list[Completion]:
        with session(id_):
            prompts = [Prompt("Instructions.\n", f"State {n}.\n") for n in range(CALLS // 2)]
            return [(await llm.sample(prompt, n=2, sampling=Sampling(0.7, 16, seed=3)))[0] for prompt in prompts]

    async def main() -> dict[str, list[Completion]]:
        llm = OpenAICompatible("m", base_url=url, api_key_env=None, tries=4, first_wait_s=0.5)
        ids = [f"q{n}.0" for n in range(TRAJECTORIES)]
        try:
            first = await gather_or_cancel(half(llm, id_) for id_ in ids)
            between()
            then = await gather_or_cancel(half(llm, id_) for id_ in ids)
        finally:
            await llm.aclose()
        return {id_: [*one, *two] for id_, one, two in zip(ids, first, then, strict=True)}

    return asyncio.run(main())


def test_all_requests_of_a_trajectory_reach_one_server_and_every_server_has_trajectories(
    name: str, policy: str, tmp_path: Path
) -> None:
    with ExitStack() as open_, ExitStack() as routed:
        servers = [open_.enter_context(serve(named(own))) for own in "abc"]
        url = routed.enter_context(router(servers, name, policy, tmp_path))
        with urlopen(f"{url}/models", timeout=10) as listed:
            assert b'"m"' in listed.read()
        found = answers(url)
    assert all(len({one.text for one in of}) == 1 for of in found.values())
    assert Counter(of[0].text for of in found.values()).keys() == {"a", "b", "c"}
    assert {one.logprob for of in found.values() for one in of} == {-1.5}


def test_trajectories_of_a_server_that_is_gone_go_to_the_others_and_stay_there(
    name: str, policy: str, tmp_path: Path
) -> None:
    with ExitStack() as open_, ExitStack() as gone, ExitStack() as routed:
        servers = [gone.enter_context(serve(named("a")))]
        servers += [open_.enter_context(serve(named(own))) for own in "bc"]
        url = routed.enter_context(router(servers, name, policy, tmp_path))
        found = answers(url, between=gone.close)
    moved = {id_: [one.text for one in of] for id_, of in found.items() if of[0].text == "a"}
    assert moved
    assert all(of[:2] == ["a", "a"] and len(set(of[2:])) == 1 and "a" not in of[2:] for of in moved.values())
    assert all(len({one.text for one in of}) == 1 for id_, of in found.items() if id_ not in moved)
