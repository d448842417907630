"""vLLM's CPU build and the engine in this process over Gemma 3 270M."""

import asyncio
from collections.abc import Iterator

import pytest

from rest_react.llm.transformers_engine import TransformersEngine
from rest_react.protocols import LLM
from rest_react.records import Completion, Prompt
from tests.servers import gemma
from tests.servers.parity import GREEDY, PROMPTS, WARM, loop, per_token
from tests.servers.vllm_server import opened

pytestmark = pytest.mark.servers

FACTS = "".join(f"The town of Vell{i} lies on the river Arn{i}. " for i in range(80))
LONG = Prompt(
    "Answer in one sentence.\n", f"{FACTS}\nOn which river does the town of Vell7 lie?\n"
)  # beyond the window


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return gemma.model_folder(tmp_path_factory.mktemp("gemma"))


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with loop() as runner:
        yield runner


@pytest.fixture(scope="module")
def served(model: str, runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LLM]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        short = ["--max-model-len", "8192"]  # as many tokens as a batch may have
        settings = ("policy.mode=chat", "policy.port=0")
        llm = opened(tmp_path_factory.mktemp("vllm"), *settings, model=model, arguments=short)
        yield llm
        runner.run(llm.aclose())


async def greedy(llm: LLM) -> list[Completion]:
    return [(await llm.sample(prompt, n=1, sampling=GREEDY))[0] for prompt in (*PROMPTS, LONG)]


def test_after_the_refused_system_turn_texts_and_log_probabilities_are_those_in_process(
    model: str, served: LLM, runner: asyncio.Runner
) -> None:
    """The first request has a system turn, which the template refuses: the client folds it into the user's."""
    engine = TransformersEngine(model, mode="chat", dtype="float32", device="cpu", threads=1)
    try:
        expected = runner.run(greedy(engine))
    finally:
        runner.run(engine.aclose())
    answers = runner.run(greedy(served))
    assert expected[-1].prompt_tokens > 600
    assert [(one.text, one.tokens, one.prompt_tokens) for one in answers] == [
        (one.text, one.tokens, one.prompt_tokens) for one in expected
    ]
    for a, b in zip(answers, expected, strict=True):
        assert per_token(a) == pytest.approx(per_token(b), abs=5e-3)


def test_instructions_are_in_the_prompt_and_samples_repeat(served: LLM, runner: asyncio.Runner) -> None:
    told, bare = PROMPTS[0], Prompt("", PROMPTS[0].state)
    samples = runner.run(served.sample(told, n=2, sampling=WARM))
    [without] = runner.run(served.sample(bare, n=1, sampling=WARM))
    assert [one.text for one in runner.run(served.sample(told, n=2, sampling=WARM))] == [one.text for one in samples]
    assert samples[0].prompt_tokens - without.prompt_tokens >= 5
