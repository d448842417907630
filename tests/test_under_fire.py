"""A provider at its worst: a third of its answers fail, or we are killed in the middle of its work."""

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from rest_react.config.compose import compose
from rest_react.errors import StageIncomplete
from rest_react.llm.openai_api.openai_compatible import OpenAICompatible
from rest_react.records import Completion, Sampling, Trajectory
from rest_react.remote.budget import Budget, Meter
from rest_react.search.bm25 import Bm25Search
from rest_react.stages.rollouts import TRAJECTORIES, answer_all, in_order
from rest_react.storage.jsonl import read_lines
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.summaries import refuse_damaged_stages
from rest_react.tasks.protocol import Policy
from rest_react.tasks.search_qa.agent import SearchAgent
from rest_react.tasks.search_qa.scripted import ScriptedLLM
from rest_react.tasks.search_qa.task import SearchQA
from rest_react.tasks.search_qa.world import World, build_world
from tests.loopback import Reply, Request, serve
from tests.serving import chat_prompt
from tests.training.hosted.tuning_api import Api

KEY = "sk-proj-Zx93-very-secret-4711"


class Provider:
    """An OpenAI-shaped service: a scripted model that also ranks, and the fine-tuning API. `done` counts the calls that
    it has answered; while it is not `free`, requests come in and no answer goes out."""

    def __init__(self, world: World) -> None:
        self.model = ScriptedLLM(world.plans, seed=1, right=0.7, wrong=0.2, unparsable=0.0, empty=0.1)
        self.tuning = Api()
        self.done: Counter[bytes] = Counter()
        self.models: Counter[str] = Counter()
        self.tokens = 0
        self.free, self.lock = threading.Event(), threading.Lock()
        self.free.set()

    def __call__(self, request: Request) -> Reply:
        is_chat = request.path.endswith("/chat/completions")
        reply = self.chat(request) if is_chat else self.tuning.answer(request)
        if not self.free.is_set():
            self.free.wait(60)  # and nobody is there any more to hear it
        elif is_chat:
            with self.lock:
                self.done[request.body] += 1
        return reply

    def chat(self, request: Request) -> Reply:
        body = request.json
        prompt = chat_prompt(body["messages"])
        if "*** Model Output #1" in prompt.state:
            completions = [Completion("RANKING: 1\nBEST: 1", 6, -1.0, "stop", 200)]
        else:
            sampling = Sampling(body["temperature"], body["max_tokens"], body["seed"])
            completions = asyncio.run(self.model.sample(prompt, n=body.get("n", 1), sampling=sampling))
        with self.lock:
            self.models[body["model"]] += 1
            self.tokens += completions[0].prompt_tokens + sum(one.tokens for one in completions)
        return chat_reply(completions)


def chat_reply(completions: list[Completion]) -> Reply:
    choices = [
        {
            "index": i,
            "message": {"content": one.text},
            "finish_reason": one.finish,
            "logprobs": {"content": [{"logprob": one.logprob / one.tokens}] * one.tokens},
        }
        for i, one in enumerate(completions)
        if one.logprob is not None
    ]
    used = {"prompt_tokens": completions[0].prompt_tokens, "completion_tokens": sum(one.tokens for one in completions)}
    return Reply(200, {"choices": choices, "usage": used})


# ── a third of all answers fail ───────────────────────────────────────────────────────────────────────────────────────

FAULTS = ("429", "500", "hang up", "stall", "invalid JSON", "no choices", "truncated text")


def spoilt(fault: str, reply: Reply) -> Reply:
    """What becomes of a good reply."""
    match fault:
        case "429":
            return Reply(429, {"error": {"message": "slow down"}}, {"retry-after": "0.02"})
        case "500":
            return Reply(500, b"<html>oops</html>", {"content-type": "text/html"})
        case "hang up":
            return Reply(hang_up=True)
        case "stall":
            return replace(reply, delay_s=60)
        case "invalid JSON":
            return Reply(200, json.dumps(reply.body).encode()[:-20])
        case "no choices":
            return Reply(200, {**reply.body, "choices": []})  # type: ignore[dict-item]
    body = json.loads(json.dumps(reply.body))
    first = body["choices"][0]
    first["message"]["content"], first["finish_reason"] = first["message"]["content"][:20], "length"
    return Reply(200, body)


def lines(path: Path) -> dict[str, bytes]:
    """Each line of a file of trajectories, by id; two of one id are a mistake."""
    found = path.read_bytes().splitlines()
    by_id = {json.loads(line)["id"]: line for line in found}
    assert len(by_id) == len(found)
    return by_id


@pytest.mark.parametrize("count", [40, pytest.param(500, marks=pytest.mark.slow)])
def test_no_trajectory_is_lost_or_repeated(tmp_path: Path, count: int) -> None:
    world = build_world(7, passages=300, demonstrations=0, train=20, evaluation=0)
    questions = [labelled.question for labelled in world.train]
    repeats = count // len(questions)
    order = list(in_order([question.id for question in questions], repeats))
    provider, rng, met = Provider(world), Random(3), Counter[str]()
    path, search, budget = tmp_path / TRAJECTORIES, Bm25Search(world.passages), Budget()
    budget.keep_in(tmp_path / "spending.json")

    def answer(request: Request) -> Reply:
        reply = provider(request)
        with provider.lock:
            fault = rng.choice(FAULTS) if rng.random() < 0.3 else ""
            met[fault] += 1
        return spoilt(fault, reply) if fault else reply

    def roll_out_all(url: str, tries: int) -> bool:
        """Whether nothing is owed any more."""

        async def main() -> None:
            llm = OpenAICompatible(
                "m", base_url=f"{url}/v1", api_key_env=None, max_in_flight=24, timeout_s=0.5, tries=tries,
                first_wait_s=0.01, meter=Meter(budget, "policy"),
            )  # fmt: skip
            task = SearchQA(SearchAgent(search, max_searches=4))
            policy = Policy(llm, 2, 0.5, 128, "perplexity", tuned=True)
            try:
                await answer_all(task, policy, questions, path, repeats=repeats, seed=3, in_flight=40, title="grow")
            finally:
                await llm.aclose()

        try:
            asyncio.run(main())
        except StageIncomplete:
            return False
        return True

    with serve(answer) as server:
        passes, kept = 0, dict[str, bytes]()
        while not roll_out_all(server.url, tries=2 if passes == 0 else 4):
            passes += 1
            now = lines(path)
            assert list(now) == order
            assert {id_: now[id_] for id_ in kept} == kept
            kept = {id_: line for id_, line in now.items() if b'"whose":"outside"' not in line}
            assert 0 < len(kept) < count
            assert passes < 20
    assert passes > 0, "the first pass must have met outages that it could not sit out"
    now = lines(path)
    assert list(now) == order
    assert {id_: now[id_] for id_ in kept} == kept
    assert {t.outcome for t in read_lines(path, Trajectory)} == {"finished"}
    assert set(met) == {"", *FAULTS}
    assert 0.2 < 1 - met[""] / met.total() < 0.4
    account = json.loads((tmp_path / "spending.json").read_text())["policy"]
    assert provider.tokens <= account["prompt_tokens"] + account["completion_tokens"]


# ── killed in the middle ──────────────────────────────────────────────────────────────────────────────────────────────


def arguments(url: str, output: Path) -> list[str]:
    return [
        "run=smoke", "smoke=true", f"output={output}", f"cache={output}/cache", "tracking=wandb",
        "world.passages=200", "world.train=6", "world.demonstrations=0", "world.evaluation=4",
        "policy=openai", f"policy.base_url={url}/v1", "policy.in_flight=4", "policy.requests_per_minute=null",
        "start=prompted", "improve.selector=reward_model", "improve.keep=all", "reward_model=same",
        "finetune=hosted", f"finetune.base_url={url}/v1", "finetune.poll_s=0.02",
    ]  # fmt: skip


class Run:
    """The command, with a key in its environment and everything it prints kept."""

    def __init__(self, url: str, folder: Path) -> None:
        self.folder, self.printed = folder, ""
        home = folder.parent / "home"
        home.mkdir()
        quiet = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
        self.environment = {**quiet, "HOME": str(home), "OPENAI_API_KEY": KEY}
        self.command = [sys.executable, "-m", "rest_react.run", *arguments(url, folder)]

    def start(self, *more: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*self.command, *more], env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def finish(self, *more: str) -> int:
        process = self.start(*more)
        self.printed += process.communicate(timeout=280)[0]
        return process.returncode

    def kill(self, process: "subprocess.Popen[str]") -> None:
        assert process.poll() is None, process.communicate()[0]
        process.send_signal(signal.SIGKILL)
        self.printed += process.communicate()[0]


def wait_until(happened: "Iterator[bool]", process: "subprocess.Popen[str]") -> None:
    for now in happened:
        assert process.poll() is None, process.communicate()[0]
        if now:
            return
        time.sleep(0.005)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Provider, Run]]:
    """A whole iteration over HTTP that was killed in Grow, in Improve, at an upload and with its job running."""
    folder = tmp_path_factory.mktemp("fire")
    world = compose([*arguments("http://127.0.0.1:9", folder)]).world
    sizes = {"passages": world.passages, "demonstrations": world.demonstrations, "train": world.train}
    provider = Provider(build_world(world.seed, **sizes, evaluation=world.evaluation))
    provider.tuning.statuses = ["running"]
    stage = folder / "outputs" / "smoke" / "iter_1"

    def written(path: Path) -> Iterator[bool]:
        while True:
            yield path.exists() and path.stat().st_size > 0

    def noted(what: str) -> Iterator[bool]:
        while True:
            path = stage / "finetune" / "job.json"
            yield path.exists() and bool(json.loads(path.read_text())[what])

    def uploaded() -> Iterator[bool]:
        while True:
            yield bool(provider.tuning.files)

    moments = {
        "grow": written(stage / "grow" / TRAJECTORIES),
        "improve": written(stage / "improve" / "rankings.jsonl"),
        "upload": uploaded(),
        "job": noted("job"),
    }
    with serve(provider) as server:
        run = Run(server.url, folder / "outputs")
        for name, moment in moments.items():
            if name == "upload":
                provider.tuning.before_answer = lambda what: provider.free.clear() if what == "files" else None
            process = run.start()
            wait_until(moment, process)
            # What is on its way now is never answered; what was answered has half a second to arrive.
            provider.free.clear()
            time.sleep(0.5)
            run.kill(process)
            provider.tuning.before_answer = lambda what: None
            provider.free.set()
        provider.tuning.statuses = ["succeeded"]
        assert run.finish() == 0, run.printed[-3000:]
        yield provider, run


def test_after_kills_no_finished_call_no_upload_and_no_job_is_made_twice(killed: tuple[Provider, Run]) -> None:
    provider, run = killed
    assert {call: times for call, times in provider.done.items() if times > 1} == {}
    rows = json.loads((run.folder / "smoke/results.json").read_text())["rows"]
    assert [(row["iteration"], row["questions"], row["failed"]) for row in rows] == [(0, 4, 0), (1, 4, 0)]
    assert (len(provider.tuning.files), len(provider.tuning.jobs)) == (1, 1)


def test_after_kills_every_stage_is_complete_and_no_partial_file_is_left(killed: tuple[Provider, Run]) -> None:
    _, run = killed
    folder = RunFolder(run.folder / "smoke")
    refuse_damaged_stages(folder.root)
    assert len(list(folder.root.glob("iter_1/**/summary.json"))) == 5
    assert [path for path in folder.root.rglob("*") if path.name.endswith(".tmp") or path.name == ".taken"] == []


def test_the_evaluation_uses_the_tuned_model_s_name(killed: tuple[Provider, Run]) -> None:
    provider, run = killed
    (base, tuned) = sorted(provider.models, key=len)
    assert tuned == f"ft:{base}:ftjob-0"
    assert json.loads((run.folder / "smoke/iter_1/finetune/model.json").read_text())["name"] == tuned
    trajectories = read_lines(run.folder / "smoke/iter_1/evaluate/world/trajectories.jsonl", Trajectory)
    assert provider.models[tuned] == sum(trajectory.usage.calls for trajectory in trajectories)


def test_an_api_key_is_in_no_file_and_no_output(
    killed: tuple[Provider, Run],
) -> None:
    _, run = killed
    statuses = itertools.cycle((400, 429, 500))

    def telling(request: Request) -> Reply:
        return Reply(next(statuses), {"error": {"message": f"prompt too long: {request.headers['authorization']}"}})

    with serve(telling) as server:
        assert run.finish(f"policy.base_url={server.url}/v1", "policy.tries=1", "run=other") == 3
    told = (run.folder / "other/iter_0/evaluate/world/trajectories.jsonl").read_text()
    assert "prompt too long: Bearer ***" in told and told.count("HTTP 429") == 1
    files = [path for path in run.folder.parent.rglob("*") if path.is_file()]
    assert any(path.suffix == ".wandb" for path in files)
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
    assert KEY not in run.printed
