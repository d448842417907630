"""The whole loop against a service that it reaches by HTTP alone, with a scripted model and with the in-process engine
behind the wire; and a server of other people's."""

import asyncio
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.request import urlopen

import pytest
from safetensors.torch import load_file

from rest_react.build import Parts
from rest_react.config.compose import compose
from rest_react.config.settings import Settings
from rest_react.errors import ModelFault
from rest_react.llm.openai_api.openai_compatible import OpenAICompatible
from rest_react.llm.transformers_engine import TransformersEngine
from rest_react.loop import Loop
from rest_react.protocols import LLM
from rest_react.records import Completion, Example, ModelRef, Prompt, Sampling, Trajectory
from rest_react.run import run
from rest_react.seeds import derive_seed
from rest_react.setting_types import Mode
from rest_react.stages.evaluate import evaluate
from rest_react.stages.rollouts import TRAJECTORIES
from rest_react.storage.jsonl import read_lines
from rest_react.storage.locked_settings import locked_settings
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.settings_file import lock_settings
from rest_react.training.hosted import HostedTrainer
from rest_react.weights import resolve_weights
from tests.serving import Service, serving
from tests.test_run import timeless
from tests.training_here import train_in_this_process

BASE = "tiny-random"
LOOP = ("experiment=smoke", "iteration=2", "start=prompted")
HOSTED = (
    "policy=openai", f"policy.model={BASE}", "policy.api_key_env=''", "policy.requests_per_minute=null",
    "policy.in_flight=8", "policy.price={input: 0.0, output: 0.0}",
    "finetune=hosted", "finetune.api_key_env=''", "finetune.poll_s=0.05",
    "finetune.price={input: 0.0, output: 0.0}",
)  # fmt: skip


def as_sent(sampling: Sampling) -> Sampling:
    """Whose seed is the one that a request of the client carries."""
    return replace(sampling, seed=derive_seed(sampling.seed, 0) % 2**31)


@dataclass(frozen=True, slots=True)
class Unwired:
    """A model asked in process as the client asks it over the wire."""

    llm: LLM

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        return await self.llm.sample(prompt, n=n, sampling=as_sent(sampling))

    async def aclose(self) -> None:
        await self.llm.aclose()


@pytest.fixture(autouse=True, scope="module")
def training_here() -> Iterator[None]:
    """The service's trainings need no process of their own."""
    with pytest.MonkeyPatch.context() as patch:
        train_in_this_process(patch)
        yield


# ── the whole loop ────────────────────────────────────────────────────────────────────────────────────────────────────


class ScriptedParts(Parts):
    """A run's parts with a policy that is asked as over the wire."""

    def llm(self, model: ModelRef) -> LLM:
        return Unwired(super().llm(model))


@pytest.fixture(scope="module")
def in_process(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run with policy=scripted, nothing trained."""
    folder = RunFolder(tmp_path_factory.mktemp("in-process") / "smoke")
    settings = compose([*LOOP, "finetune=dry_run"])
    lock_settings(folder.root, locked_settings(settings), {"python": "3"})
    asyncio.run(Loop(settings, ScriptedParts(settings, folder)).run_to(2))
    return folder.root


@pytest.fixture(scope="module")
def over_http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Path]]:
    """Two iterations whose model and training are reached by HTTP."""
    folder = tmp_path_factory.mktemp("over-http")
    scripted = compose(LOOP)
    parts = Parts(scripted, RunFolder(folder / "unused"))

    def open_model(name: str, asked: Mode) -> LLM:
        assert asked == "chat"
        return parts.llm(ModelRef(name, "hosted", tuned=name != BASE))

    with serving(open_model, folder / "service") as service:
        urls = (f"policy.base_url={service.url}", f"finetune.base_url={service.url}")
        run(compose([*LOOP, *HOSTED, f"output={folder}", *urls]))
        yield service, folder / "smoke"


def model_of(run_: Path, iteration: int) -> str:
    return str(json.loads((run_ / f"iter_{iteration}/finetune/model.json").read_text())["name"])


def calls(run_: Path, *stages: str) -> int:
    return sum(
        trajectory.usage.calls for stage in stages for trajectory in read_lines(run_ / stage / TRAJECTORIES, Trajectory)
    )


def test_each_iteration_s_tuned_model_answers_in_the_next_one_and_is_evaluated(over_http: tuple[Service, Path]) -> None:
    service, folder = over_http
    first, second = model_of(folder, 1), model_of(folder, 2)
    assert [first, second] == [f"ft:{BASE}:ftjob-0", f"ft:{BASE}:ftjob-1"]
    assert service.calls == {
        BASE: calls(folder, "iter_0/evaluate/world", "iter_1/grow"),
        first: calls(folder, "iter_1/evaluate/world", "iter_2/grow"),
        second: calls(folder, "iter_2/evaluate/world"),
    }


def test_each_iteration_is_one_upload_and_one_job_that_really_trains_from_the_base(
    over_http: tuple[Service, Path],
) -> None:
    service, folder = over_http
    assert [job.asked["training_file"] for job in service.jobs] == list(service.files)
    for k, job in enumerate(service.jobs, start=1):
        examples = [json.loads(line) for line in (folder / f"iter_{k}/improve/examples.jsonl").read_text().splitlines()]
        rows = [json.loads(row)["messages"] for row in service.files[job.asked["training_file"]].splitlines()]
        assert [[turn["content"] for turn in row] for row in rows] == [[e["prompt"], e["completion"]] for e in examples]
        assert job.asked["model"] == BASE
        events = [json.loads(line) for line in (folder / f"iter_{k}/finetune/events.jsonl").read_text().splitlines()]
        assert [event["message"] for event in events] == job.events
        assert len(events) == 2
        losses = [json.loads(line) for line in (folder / f"iter_{k}/finetune/loss.jsonl").read_text().splitlines()]
        assert losses == [{"step": step, "loss": loss} for step, loss in job.losses]
        assert json.loads((folder / f"iter_{k}/finetune/summary.json").read_text())["trained_tokens"] == job.tokens
    first, second, base = (
        load_file(path / "model.safetensors")["model.norm.weight"]
        for path in (*(service.weights(job.tuned) for job in service.jobs), Path(resolve_weights(BASE)))
    )
    assert not first.equal(base)
    assert not second.equal(base)
    assert not second.equal(first)


def test_the_record_files_equal_those_of_a_run_in_process(over_http: tuple[Service, Path], in_process: Path) -> None:
    _, folder = over_http
    names = [path.relative_to(in_process) for path in sorted(in_process.glob("iter_*/*/*.jsonl"))]
    names += [path.relative_to(in_process) for path in sorted(in_process.glob("iter_*/evaluate/world/*.jsonl"))]
    assert len(names) == 12
    for name in names:
        assert (folder / name).read_bytes() == (in_process / name).read_bytes(), name
    for path in in_process.glob("iter_*/*/*.jsonl"):
        assert b'"logprob":null' not in path.read_bytes()


def test_the_rows_of_results_equal_those_of_a_run_in_process(over_http: tuple[Service, Path], in_process: Path) -> None:
    rows, expected = (
        timeless(json.loads((folder / "results.json").read_text())["rows"]) for folder in (over_http[1], in_process)
    )
    assert rows == expected
    assert [(row["iteration"], row["questions"], row["unscored"]) for row in rows] == [(k, 8, 0) for k in (0, 1, 2)]
    assert any(row["accuracy"]["mean"] > 0 for row in rows)


# ── the in-process engine behind the wire ─────────────────────────────────────────────────────────────────────────────

PROMPTS = [
    Prompt("Instructions.\n", f'ORIGINAL_QUESTION = "Who founded town {i}?"\n\n# step: decision\n') for i in range(4)
]
WARM = Sampling(temperature=0.8, max_tokens=12, seed=5)
GREEDY = Sampling(temperature=0.0, max_tokens=12, seed=5)
STOPPED = Sampling(temperature=0.8, max_tokens=40, seed=5, stop=("e", "a"))


def engine(weights: str, mode: Mode) -> TransformersEngine:
    return TransformersEngine(weights, mode=mode, dtype="float32", device="cpu", threads=1)


def client(service: Service, model: str, mode: Mode, **settings: bool) -> OpenAICompatible:
    return OpenAICompatible(model, base_url=service.url, api_key_env=None, mode=mode, **settings)


def samples(llm: LLM, prompts: list[Prompt], *samplings: Sampling) -> list[Completion]:
    """Three of each prompt under each sampling, all asked for at once."""

    async def main() -> list[Completion]:
        asked = [llm.sample(prompt, n=3, sampling=sampling) for prompt in prompts for sampling in samplings]
        try:
            return [one for found in await asyncio.gather(*asked) for one in found]
        finally:
            await llm.aclose()

    return asyncio.run(main())


def told(completions: list[Completion]) -> list[tuple[str, int, str, int]]:
    """All but the log-probabilities, whose last digits depend on what else was in the batch."""
    return [(one.text, one.tokens, one.finish, one.prompt_tokens) for one in completions]


@contextmanager
def engines_in(folder: Path) -> Iterator[Service]:
    """The engine behind the wire: the tiny model and whatever is tuned of it."""

    def open_model(name: str, mode: Mode) -> LLM:
        return engine(BASE if name == BASE else str(service.weights(name)), mode)

    with serving(open_model, folder) as service:
        yield service


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with engines_in(tmp_path_factory.mktemp("engines")) as service:
        yield service


@pytest.mark.parametrize("mode", ["chat", "completion"])
def test_samples_over_http_equal_those_of_the_engine_in_process(engines: Service, mode: Mode) -> None:
    here = samples(Unwired(engine(BASE, mode)), PROMPTS, WARM, GREEDY, STOPPED)
    there = samples(client(engines, BASE, mode), PROMPTS, WARM, GREEDY, STOPPED)
    assert told(there) == told(here)
    assert [one.logprob for one in there] == pytest.approx([one.logprob for one in here], abs=1e-3)
    assert {one.finish for one in there} == {"stop", "length"}
    bare = samples(client(engines, BASE, mode, logprobs=False), PROMPTS, WARM, GREEDY, STOPPED)
    assert [one.text for one in bare] == [one.text for one in here]
    assert {one.logprob for one in bare} == {None}


def test_a_prompt_that_is_too_long_is_a_model_error_over_http_too(engines: Service) -> None:
    with pytest.raises(ModelFault, match="context too long"):
        samples(client(engines, BASE, "completion"), [Prompt("", "word " * 20_000)], WARM)


def test_the_tuned_name_is_served_with_the_tuned_model(engines: Service, tmp_path: Path) -> None:
    trainer = HostedTrainer(base_url=engines.url, api_key_env=None, poll_s=0.05)
    examples = [Example(f"q{i}.0.0", f"q{i}.0", 0, "decide", PROMPTS[0].state, "Yes.", "first") for i in range(10)]
    model = asyncio.run(trainer.train(examples, ModelRef(BASE, "hosted", tuned=False), tmp_path, seed=3))
    here = samples(Unwired(engine(str(engines.weights(model.name)), "chat")), PROMPTS, WARM)
    there, base = (samples(client(engines, name, "chat"), PROMPTS, WARM) for name in (model.name, BASE))
    assert told(there) == told(here)
    assert [one.logprob for one in there] == pytest.approx([one.logprob for one in here], abs=1e-3)
    assert told(there) != told(base)


@pytest.fixture(scope="module")
def engine_over_http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Settings, Path]]:
    """One iteration that begins with an expert's demonstrations; two random layers learn none of their sense."""
    folder = tmp_path_factory.mktemp("engine-over-http")
    with engines_in(folder / "service") as service:
        settings = compose([
            "experiment=smoke", "iteration=1", *HOSTED, "finetune.mix_demonstrations=true", f"output={folder}",
            f"policy.base_url={service.url}", f"finetune.base_url={service.url}",
        ])  # fmt: skip
        run(settings)
        yield service, settings, folder / "smoke"


def test_the_loop_completes_with_the_engine_over_http(
    engine_over_http: tuple[Service, Settings, Path],
) -> None:
    service, _, folder = engine_over_http
    first, second = model_of(folder, 0), model_of(folder, 1)
    assert first != second
    answered = {first: ("iter_0/evaluate/world", "iter_1/grow"), second: ("iter_1/evaluate/world",)}
    for model, stages in answered.items():
        assert service.calls[model] == calls(folder, *stages) > 0
    for stage, n in (("iter_1/grow", 4), ("iter_1/evaluate/world", 1)):
        trajectories = read_lines(folder / stage / TRAJECTORIES, Trajectory)
        drawn = [step.candidates for trajectory in trajectories for step in trajectory.steps if not step.forced]
        assert {len(candidates) for candidates in drawn} == {n}
        assert all(one.logprob is not None for candidates in drawn for one in candidates)


def test_the_engine_over_http_answers_as_in_process(
    engine_over_http: tuple[Service, Settings, Path], tmp_path: Path
) -> None:
    service, settings, folder = engine_over_http
    parts = Parts(settings, RunFolder(tmp_path / "again"))
    llm = Unwired(engine(str(service.weights(model_of(folder, 1))), settings.policy.mode))

    async def again() -> None:
        try:
            await evaluate(
                parts.task(parts.question_sets.world.passages),
                parts.policy(llm, samples=1, temperature=0.5, tuned=True),
                parts.question_sets.world.evaluation,
                parts.judges.grader(),
                tmp_path,
                repeats=1,
                seed=derive_seed(settings.seed, "evaluate", 1, "world"),
                in_flight=8,
                prices=parts.prices,
                tolerated=0.0,
                make_room=False,
                title="again",
            )
        finally:
            await llm.aclose()

    asyncio.run(again())
    there, here = (
        [
            [(one.text, one.tokens, one.finish) for step in trajectory.steps for one in step.candidates]
            for trajectory in read_lines(path / TRAJECTORIES, Trajectory)
        ]
        for path in (folder / "iter_1/evaluate/world", tmp_path)
    )
    assert there == here
    assert any(trajectory for trajectory in here)


# ── a server of other people's ────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def transformers_serve(model: Path, log_file: Path) -> Iterator[str]:
    """`transformers serve` with a model; its address."""
    for package in ("fastapi", "uvicorn"):
        pytest.importorskip(package, reason="transformers serve needs fastapi and uvicorn")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-c", "from transformers.cli.transformers import main; main()",
        "serve", str(model),
        "--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32",
    ]  # fmt: skip
    with log_file.open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            for _ in range(2400):
                assert process.poll() is None, log_file.read_text()
                try:
                    urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.kill()


def test_transformers_serve_returns_all_samples_although_it_does_not_support_n(tmp_path: Path) -> None:
    weights = shutil.copytree(resolve_weights(BASE), tmp_path / "tiny")
    # Without this it decodes greedily, whatever temperature is asked for.
    (weights / "generation_config.json").write_text(json.dumps({"do_sample": True}))
    with transformers_serve(weights, tmp_path / "serve.log") as url:
        for mode in ("chat", "completion"):
            llm = OpenAICompatible(str(weights), base_url=url, api_key_env=None, mode=mode)
            drawn = samples(llm, PROMPTS[:1], WARM)
            assert [(one.tokens, one.finish, one.logprob) for one in drawn] == [(12, "length", None)] * 3
            assert all(one.prompt_tokens > 0 for one in drawn)
            assert len({one.text for one in drawn}) == 3
