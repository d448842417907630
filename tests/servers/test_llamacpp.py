"""llama.cpp's server over the GGUF file of the embedded model, over Gemma 3 270M, and over Qwen2.5 as a judge."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rest_react.config.compose import compose
from rest_react.errors import OutsideFault
from rest_react.llm.model_settings import ModelContext
from rest_react.llm.vllm.vllm_process import free_port
from rest_react.protocols import LLM
from rest_react.records import Hit, ModelRef, Prompt
from rest_react.remote.budget import Budget, Meter
from rest_react.remote.failures.setting_names import SettingNames
from rest_react.selection.reward_model import RewardModel
from rest_react.setting_types import Mode
from rest_react.trajectories.parsed import Evidence
from tests.servers import gemma
from tests.servers.installed import environment, running
from tests.servers.llamacpp_server import NAME, embedded_weights, script, serving
from tests.servers.parity import (
    CHOICE,
    GREEDY,
    PROMPTS,
    WARM,
    ask,
    check_context,
    check_sampling,
    check_scores,
    check_stop,
    in_process,
    loop,
    per_token,
    same_beginning,
)

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def weights() -> Path:
    return embedded_weights()


@pytest.fixture(scope="module")
def url(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(weights, tmp_path_factory.mktemp("llamacpp")) as url:
        yield url


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with loop() as runner:
        yield runner


def client(url: str, mode: Mode, folder: Path, *more: str) -> LLM:
    """As `policy=llamacpp` opens it."""
    settings = compose([
        "policy=llamacpp", f"policy.model={NAME}", f"policy.base_url={url}", f"policy.mode={mode}", "start=prompted",
        "finetune=dry_run", *more,
    ])  # fmt: skip
    names, meter = SettingNames("policy"), Meter(Budget(), "policy")
    return settings.policy.open(
        ModelContext(NAME, ModelRef(NAME, "base", tuned=False), folder, settings.task.scripted, meter, names)  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("mode", ["chat", "completion"])
def test_texts_log_probabilities_and_scores_are_nearly_those_in_process(
    mode: Mode, url: str, runner: asyncio.Runner, tmp_path: Path
) -> None:
    """Nearly: it multiplies by the four-bit weights with activations in eight bits, the engine with both in 32."""
    expected, scores, _ = in_process(mode)
    llm = client(url, mode, tmp_path)
    served = [samples[0] for samples in ask(runner, llm, GREEDY)]
    shares = [same_beginning(a.text, b.text) for a, b in zip(served, expected, strict=True)]
    assert sum(shares) / len(shares) > 0.5, [(a.text, b.text) for a, b in zip(served, expected, strict=True)]
    for a, b in zip(served, expected, strict=True):
        assert per_token(a) == pytest.approx(per_token(b), abs=0.25)
    check_scores(runner.run(llm.score(CHOICE, ["yes", "no"])), scores, tolerance=0.5)
    runner.run(llm.aclose())


@pytest.mark.parametrize("mode", ["chat", "completion"])
def test_samples_seeds_stop_strings_and_the_context_limit(
    mode: Mode, url: str, runner: asyncio.Runner, tmp_path: Path
) -> None:
    llm = client(url, mode, tmp_path)
    check_sampling(runner, llm, at_once=False)
    check_stop(runner, llm, at_once=False)
    check_context(runner, llm, words=9000)
    runner.run(llm.aclose())


def test_a_server_killed_in_mid_request_and_started_again_costs_no_sample(
    weights: Path, runner: asyncio.Runner, tmp_path: Path
) -> None:
    port = free_port(0)
    command, health = script(weights, port), f"http://127.0.0.1:{port}/health"
    one_at_a_time = "policy.in_flight=1"  # its rounding depends on what else it reads in the same batch
    llm = client(f"http://127.0.0.1:{port}/v1", "chat", tmp_path, one_at_a_time)

    async def killed_meanwhile(server: "subprocess.Popen[bytes]") -> list[str]:
        asked = [asyncio.create_task(llm.sample(prompt, n=1, sampling=GREEDY)) for prompt in PROMPTS]
        await asyncio.sleep(0.3)
        assert not all(one.done() for one in asked)
        server.kill()
        server.wait()
        with running(command, health, tmp_path / "second.txt", os.environ):
            return [samples[0].text for samples in await asyncio.gather(*asked)]

    with running(command, health, tmp_path / "first.txt", os.environ) as server:
        expected = [samples[0].text for samples in ask(runner, llm, GREEDY)]
        assert runner.run(killed_meanwhile(server)) == expected
    with pytest.raises(OutsideFault, match=r"cannot connect .* check that the server runs"):
        runner.run(client(f"http://127.0.0.1:{port}/v1", "chat", tmp_path, "policy.tries=1").sample(
            PROMPTS[0], n=1, sampling=GREEDY
        ))  # fmt: skip
    runner.run(llm.aclose())


def test_a_taken_port_an_unknown_flag_and_a_missing_file_end_the_server_with_a_message(
    url: str, weights: Path, tmp_path: Path
) -> None:
    taken = int(url.rpartition(":")[2].removesuffix("/v1"))
    for command, told in (
        (script(weights, taken), f"port {taken} is taken"),
        (script(weights, free_port(0), "--kontext", "5"), "unrecognized arguments: --kontext 5"),
        (script(tmp_path / "none.gguf", free_port(0)), "none.gguf cannot be served"),
    ):
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert (ended.returncode, told in ended.stderr) == (2, True), ended.stderr[-3000:]


def test_instructions_reach_gemma_which_has_no_system_turn(tmp_path: Path, runner: asyncio.Runner) -> None:
    template = tmp_path / "gemma.jinja"
    template.write_text(gemma.TEMPLATE)
    told = Prompt("Answer in one sentence, in French.\n", "Who wrote Middlemarch?\n")
    bare = Prompt("", told.state)
    with serving(gemma.gguf_file(), tmp_path, "--template", str(template)) as url:
        for turn in ("auto", "false"):
            llm = client(url, "chat", tmp_path, f"policy.system_turn={turn}")
            samples = runner.run(llm.sample(told, n=2, sampling=WARM))
            [without] = runner.run(llm.sample(bare, n=1, sampling=WARM))
            again = runner.run(llm.sample(told, n=2, sampling=WARM))
            assert [one.text for one in again] == [one.text for one in samples]
            assert all(one.tokens > 0 and one.logprob is not None for one in samples)
            assert samples[0].prompt_tokens - without.prompt_tokens >= 7, turn
            runner.run(llm.aclose())


VELL = Hit("p1", "Ada Mell", "Ada Mell was born in Vell. The father of Ada Mell is Odo Mell.")
GARL = Hit("p2", "The Tower of Garl", "The architect of The Tower of Garl is Ada Mell. The tower is 40 metres high.")
ANSWERS = (  # a question, an answer that its cited snippets support, one that they do not
    ("Where was Ada Mell born?", "Ada Mell was born in Vell [link_id=1].", "Ada Mell was born in Garl [link_id=1]."),
    ("Who is the architect of The Tower of Garl?", "It is Ada Mell [link_id=2].", "It is Odo Mell [link_id=2]."),
    ("How high is The Tower of Garl?", "It is 40 metres high [link_id=2].", "It is 90 metres high [link_id=2]."),
)


def test_qwen_scores_supported_answers_above_others(tmp_path: Path, runner: asyncio.Runner) -> None:
    prompt = compose([]).task.packaged_prompts / "judged_answer.txt"
    weights = environment("qwen") / "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
    with serving(weights, tmp_path) as url:
        llm = client(url, "chat", tmp_path)
        judge = RewardModel(llm, "", "", 16, best_option="", judged_answer=prompt.read_text(encoding="utf-8"))

        def score(question: str, answer: str) -> float:
            found = Evidence(question, answer, "", cited=((1, VELL), (2, GARL)))
            yes, no = runner.run(judge.is_right(found, seed=0)).logprobs
            return yes - no

        assert all(score(question, right) > score(question, wrong) for question, right, wrong in ANSWERS)
        runner.run(llm.aclose())
