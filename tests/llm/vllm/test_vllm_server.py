import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rest_react.config.compose import compose
from rest_react.errors import OutsideFault, UsageError
from rest_react.llm.model_settings import ModelContext
from rest_react.llm.openai_api.openai_compatible import OpenAICompatible
from rest_react.llm.vllm import vllm_process
from rest_react.llm.vllm.visible_gpus import VISIBLE
from rest_react.llm.vllm.vllm_server import VllmServer
from rest_react.records import Completion, ModelRef, OptionScores, Prompt, Sampling
from rest_react.remote.budget import Budget, Meter
from rest_react.remote.failures.setting_names import SettingNames
from rest_react.remote.session import session
from rest_react.seeds import derive_seed
from rest_react.weights import resolve_weights
from rest_react.weights.tiny import TINY
from tests.loopback import Reply, serve

# Speaks as much of `vllm serve` as the client needs. Its arguments and its process id are in what it answers.
FAKE_VLLM = """
import json, os, signal, subprocess, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

arguments = sys.argv[1:]
option = lambda name, default="": arguments[arguments.index(name) + 1] if name in arguments else default
print("loading", arguments[0], flush=True)
there = lambda mark: os.path.exists(option("--pids") + mark)
fails = "--fail-after-a-death" in arguments and there(".died") and not there(".failed")
if fails:
    open(option("--pids") + ".failed", "w").close()
if "--die" in arguments or fails:
    print("torch.OutOfMemoryError: CUDA out of memory", file=sys.stderr)
    for _ in range(100):
        print("RuntimeError: Engine core initialization failed. See root cause above.", file=sys.stderr)
    sys.exit(3)
if "--no-such-flag" in arguments:
    print("vllm serve: error: unrecognized arguments: --no-such-flag", file=sys.stderr)
    sys.exit(2)
if int(option("--max-model-len", "0")) > int(option("--longest", "99999")):
    print("ValueError: max_model_len is greater than the derived max_model_len (None=2048 in", file=sys.stderr)
    sys.exit(1)
if "--stubborn" in arguments:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "VLLM::EngineCore"])
open(option("--pids"), "w").write(json.dumps([os.getpid(), worker.pid]))
names = [option("--served-model-name")]
placed = lambda: f"gpus={os.environ.get('CUDA_VISIBLE_DEVICES')} rank={rank}"
rank, hung = None, False

class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def reply(self, status, body):
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(payload)))
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(payload)
    def do_GET(self):
        self.reply(200 if self.path == "/health" else 404, {})
    def do_POST(self):
        global rank, hung
        rank = self.headers.get("x-data-parallel-rank")
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if body["model"] not in names:
            return self.reply(404, {"object": "error", "message": "no such model", "code": 404})
        state = body["messages"][-1]["content"]
        first = not os.path.exists(option("--pids") + ".died")
        if state == "die" or (state == "die once" and first):
            open(option("--pids") + ".died", "w").close()
            print("torch.AcceleratorError: CUDA error: an illegal access", flush=True)
            os._exit(9)
        hung = hung or state == "hang"
        if hung:
            time.sleep(600)
        if state == "lose the engine" and first:
            open(option("--pids") + ".died", "w").close()
            worker.kill()
            time.sleep(600)
        token = {"logprob": -0.5}
        if body.get("top_logprobs"):
            token["top_logprobs"] = [{"token": "A", "logprob": -0.5}, {"token": " B", "logprob": -1.5}]
        choices = [{"index": i, "message": {"content": f"{body['model']} {' '.join(arguments)} {placed()}"},
                    "finish_reason": "stop", "logprobs": {"content": [token, token]}} for i in range(body.get("n", 1))]
        self.reply(200, {"choices": choices, "usage": {"prompt_tokens": 3, "completion_tokens": 2}})
    def log_message(self, *args):
        pass

time.sleep(float(option("--slow", "0")))
ThreadingHTTPServer(("127.0.0.1", int(option("--port"))), Api).serve_forever()
"""
SAMPLING = Sampling(temperature=0.5, max_tokens=10, seed=1)


@pytest.fixture(autouse=True)
def watched_closely(monkeypatch):
    """A death is noticed at once."""
    monkeypatch.setattr(vllm_process, "WATCH_S", 0.1)


@pytest.fixture
def make(tmp_path):
    script = tmp_path / "vllm.py"
    script.write_text(FAKE_VLLM)

    def make(*extra, model="base-model", timeout_s=600, has_others=False, **settings):
        def connect(url):
            return OpenAICompatible(
                "iteration-1", base_url=url, api_key_env=None, timeout_s=timeout_s, tries=1, has_others=has_others
            )

        settings = {
            "command": [sys.executable, str(script)],
            "served_name": "iteration-1",
            "log": tmp_path / "vllm.log",
            "extra_args": ["--pids", str(tmp_path / "pids"), *extra],
            "start_timeout_s": 20,
            "stop_timeout_s": 5,
            "has_others": has_others,
            **settings,
        }
        return VllmServer(model, connect, **settings)

    return make


def serve_and_ask(server, state="state", n=1):
    async def main():
        try:
            return await server.sample(Prompt("", state), n=n, sampling=SAMPLING)
        finally:
            await server.aclose()

    return asyncio.run(main())


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def pids(tmp_path):
    return json.loads((tmp_path / "pids").read_text())


def wait_until_gone(numbers, seconds):
    deadline = time.monotonic() + seconds
    while any(map(is_alive, numbers)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(map(is_alive, numbers))


def test_a_server_that_starts_slowly_is_waited_for_asked_and_stopped_with_all_its_workers(make, tmp_path):
    completions = serve_and_ask(make("--slow", "0.5"), n=2)
    assert len(completions) == 2
    text = completions[0].text
    assert completions[0] == Completion(text, 2, -1.0, "stop", 3)
    assert text.startswith("iteration-1 base-model --host 127.0.0.1 --port ")
    assert "--served-model-name iteration-1 --generation-config vllm " in text
    assert not any(map(is_alive, pids(tmp_path)))


def test_a_failed_start_is_reported_with_its_cause_and_the_log(make, tmp_path):
    told = rf"(?s)exit code 3\): torch.OutOfMemoryError: CUDA out of memory \(log: {tmp_path}"
    with pytest.raises(OutsideFault, match=told):
        serve_and_ask(make("--die"))


def test_a_start_that_can_never_succeed_is_the_settings_fault(make):
    with pytest.raises(UsageError, match=r"unrecognized arguments: --no-such-flag .*Correct .*policy.extra_args"):
        serve_and_ask(make("--no-such-flag"))


def test_the_settings_that_a_message_names_are_those_of_the_role(make):
    names = SettingNames("reward_model")
    with pytest.raises(UsageError, match=r"Correct reward_model\.model, .* or reward_model\.extra_args"):
        serve_and_ask(make("--no-such-flag", names=names))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(UsageError, match=r"or set reward_model\.port=0"):
            serve_and_ask(make(port=other.getsockname()[1], names=names))


def test_a_server_that_is_never_ready_is_given_up_and_stopped(make, tmp_path):
    with pytest.raises(OutsideFault, match=r"(?s)not ready within 4 s: loading base-model"):
        serve_and_ask(make("--slow", "60", start_timeout_s=4))
    assert not any(map(is_alive, pids(tmp_path)))


def test_the_context_is_the_model_s_own_where_that_is_shorter(make):
    (answer,) = serve_and_ask(make("--longest", "2048", max_model_len=16384))
    assert "--max-model-len 2048" in answer.text


def test_a_context_length_among_the_arguments_is_the_only_one(make):
    (answer,) = serve_and_ask(make("--max_model_len=77", max_model_len=8192))
    assert "--max-model-len" not in answer.text


def test_a_packaged_model_is_served_from_its_folder(make):
    (answer,) = serve_and_ask(make(model=TINY))
    assert str(resolve_weights(TINY)) in answer.text


@pytest.mark.parametrize("state", ["die once", "lose the engine"])
def test_a_server_that_dies_in_mid_run_is_started_again_and_asked_again(state, make, tmp_path, capsys):
    (answer,) = serve_and_ask(make(), state=state)
    assert answer.text.startswith("iteration-1 base-model")
    assert (tmp_path / "vllm.log").read_text().count("loading base-model") == 2
    assert "The server is restarted" in capsys.readouterr().err
    assert not any(map(is_alive, pids(tmp_path)))


def test_scores_of_options_are_asked_for_again_after_a_death(make) -> None:
    server = make()

    async def main() -> OptionScores | None:
        try:
            return await server.score(Prompt("", "die once"), ("A", "B"))
        finally:
            await server.aclose()

    assert asyncio.run(main()) == OptionScores((-0.5, -1.5), (), 3, 2)


def test_a_server_that_keeps_dying_is_given_up_with_the_cause(make, tmp_path):
    told = r"(?s)exit code 9: torch.AcceleratorError: CUDA error.*limit of restarts"
    with pytest.raises(OutsideFault, match=told):
        serve_and_ask(make(restarts=1), state="die")
    assert (tmp_path / "vllm.log").read_text().count("loading base-model") == 2


def test_one_death_costs_one_start_however_many_calls_were_in_flight(make, tmp_path):
    async def main():
        server = make()
        calls = (server.sample(Prompt("", state), n=1, sampling=SAMPLING) for state in ["die once", *"abcdef"])
        try:
            return await asyncio.gather(*calls)
        finally:
            await server.aclose()

    assert len(asyncio.run(main())) == 7
    assert (tmp_path / "vllm.log").read_text().count("loading base-model") == 2


def test_a_replica_that_lives_and_does_not_answer_is_started_again(make, tmp_path, capsys):
    async def main():
        server = make(has_others=True, timeout_s=0.2, start_timeout_s=3)
        try:
            with pytest.raises(OutsideFault):
                await server.sample(Prompt("", "hang"), n=1, sampling=SAMPLING)
            await server.revive()
            return await server.sample(Prompt("", "state"), n=1, sampling=SAMPLING)
        finally:
            await server.aclose()

    assert len(asyncio.run(main())) == 1
    assert (tmp_path / "vllm.log").read_text().count("loading base-model") == 2
    assert "The server does not answer for 3 s." in " ".join(capsys.readouterr().err.split())


def test_a_replica_whose_restart_fails_once_is_started_once_more(make, tmp_path, capsys):
    async def main():
        server = make("--fail-after-a-death", has_others=True)
        try:
            with pytest.raises(OutsideFault):
                await server.sample(Prompt("", "die once"), n=1, sampling=SAMPLING)
            await server.revive()
            return await server.sample(Prompt("", "state"), n=1, sampling=SAMPLING)
        finally:
            await server.aclose()

    assert len(asyncio.run(main())) == 1
    assert (tmp_path / "vllm.log").read_text().count("loading base-model") == 3
    assert "; the server is started again" in " ".join(capsys.readouterr().err.split())


def test_a_replica_that_no_longer_starts_is_given_up_after_the_last_restart(make, tmp_path):
    async def main():
        server = make("--die", has_others=True)
        try:
            with pytest.raises(OutsideFault, match="CUDA out of memory"):
                await server.revive()
        finally:
            await server.aclose()

    asyncio.run(main())
    assert (tmp_path / "vllm.log").read_text().count("loading base-model") == 4


def test_a_server_that_ignores_sigterm_is_killed(make, tmp_path):
    serve_and_ask(make("--stubborn", stop_timeout_s=0.5))
    assert not any(map(is_alive, pids(tmp_path)))


def test_a_command_that_is_not_installed_is_the_settings_fault(make):
    with pytest.raises(UsageError, match="cannot start no-such-vllm"):
        serve_and_ask(make(command=["no-such-vllm", "serve"]))


def test_a_port_in_use_is_refused_before_anothers_server_can_pass_for_ours(make):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(UsageError, match=r"port \d+ is in use"):
            serve_and_ask(make(port=other.getsockname()[1]))


async def ask_at_once(server, callers):
    calls = (server.sample(Prompt("", "x"), n=1, sampling=SAMPLING) for _ in range(callers))
    try:
        return await asyncio.gather(*calls, return_exceptions=True)
    finally:
        await server.aclose()


def test_the_first_of_many_callers_starts_the_server_for_all_and_after_a_close_again(make, tmp_path):
    async def main():
        server = make("--slow", "0.3")
        for callers in (5, 2):
            assert {type(answer) for answer in await ask_at_once(server, callers)} == {list}

    asyncio.run(main())
    assert (tmp_path / "vllm.log").read_text().count("loading base-model") == 2


def test_a_start_that_failed_is_not_tried_again_by_every_caller(make, tmp_path):
    faults = asyncio.run(ask_at_once(make("--die"), 4))
    assert {type(fault) for fault in faults} == {OutsideFault}
    assert len({str(fault) for fault in faults}) == 1
    assert (tmp_path / "vllm.log").read_text().count("loading base-model") == 1


def test_a_cancelled_start_leaves_no_process_behind(make, tmp_path):
    async def main():
        async with asyncio.timeout(1.5):
            await make("--slow", "60").start()

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert wait_until_gone(pids(tmp_path), 2)


def test_the_server_does_not_outlive_a_parent_that_is_killed(make, tmp_path):
    parent = f"""
import asyncio
from pathlib import Path
from rest_react.llm.openai_api.openai_compatible import OpenAICompatible
from rest_react.llm.vllm.vllm_server import VllmServer

async def main():
    server = VllmServer("m", lambda url: OpenAICompatible("x", base_url=url, api_key_env=None),
                        command=[{sys.executable!r}, {str(tmp_path / "vllm.py")!r}], served_name="x",
                        log=Path({str(tmp_path / "log")!r}), extra_args=["--pids", {str(tmp_path / "pids")!r}])
    await server.start()
    print("up", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""
    root = Path(__file__).parents[3]
    process = subprocess.Popen(
        [sys.executable, "-c", parent], stdout=subprocess.PIPE, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    numbers = pids(tmp_path)
    assert all(map(is_alive, numbers))
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert wait_until_gone(numbers, 5)


def replicas(tmp_path, count, *extra):
    """The settings `policy=vllm policy.replicas=count` with the fake server."""
    (tmp_path / "vllm.py").write_text(FAKE_VLLM)
    arguments = ["--pids", str(tmp_path / "pids"), *extra]
    return compose([
        "policy=vllm", "policy.model=base-model", "policy.port=0", f"policy.replicas={count}", "policy.tries=1",
        f"policy.command={json.dumps([sys.executable, str(tmp_path / 'vllm.py')])}",
        f"policy.extra_args={json.dumps(arguments)}",
    ]).policy  # fmt: skip


def open_replicas(tmp_path, count, *extra):
    """The client of these settings."""
    model = ModelRef("base-model", "base", tuned=False)
    return replicas(tmp_path, count, *extra).open(
        ModelContext("base-model", model, tmp_path, lambda **_: None, Meter(Budget(), "policy"), SettingNames("policy"))
    )


def test_each_replica_has_its_own_gpus_and_one_that_dies_hands_its_call_over(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(VISIBLE, "4,5,6,7")

    async def ask(llm, id_, state):
        with session(id_):
            [answer] = await llm.sample(Prompt("", state), n=1, sampling=SAMPLING)
            return answer.text.partition(" gpus=")[2]

    async def main():
        llm = open_replicas(tmp_path, 2, "--data-parallel-size", "2")
        try:
            both = await asyncio.gather(ask(llm, "a.0", "die once"), ask(llm, "b.0", "state"))
            while "answers again" not in capsys.readouterr().err:
                await asyncio.sleep(0.05)
            return [*both, await ask(llm, "c.0", "state")]
        finally:
            await llm.aclose()

    rank_a, rank_b, rank_c = (derive_seed(id_) % 2 for id_ in ("a.0", "b.0", "c.0"))
    assert asyncio.run(main()) == [f"6,7 rank={rank_a}", f"6,7 rank={rank_b}", f"4,5 rank={rank_c}"]
    assert [(tmp_path / f"vllm-{i}.log").read_text().count("loading base-model") for i in (1, 2)] == [2, 1]


@pytest.mark.parametrize(
    ("count", "each", "message"),
    [
        (5, 1, "policy.replicas: 5 need 5 GPUs, but this machine has 4; set it to 4 or less"),
        (4, 2, "policy.replicas: 4 need 8 GPUs, but this machine has 4; set it to 2 or less"),
        (
            2,
            8,
            "policy.replicas: 2 need 16 GPUs, but this machine has 4; lower the parallel sizes in policy.extra_args",
        ),
        (2, 2, None),
    ],
)
def test_replicas_that_need_more_gpus_than_there_are_compose_but_do_not_run(
    tmp_path, monkeypatch, count, each, message
):
    """Such settings compose, because another machine may have the GPUs."""
    monkeypatch.setenv(VISIBLE, "0,1,2,3")
    policy = replicas(tmp_path, count, "--tensor-parallel-size", str(each))
    assert list(policy.lacks("policy")) == ([message] if message else [])


def test_a_server_that_answers_in_place_of_one_that_has_died_is_not_ours(tmp_path):
    log = tmp_path / "vllm.log"
    log.write_text("OSError: [Errno 98] address already in use\n")
    with subprocess.Popen(["false"]) as process, serve(lambda _: Reply()) as other:
        process.wait()
        waiting = vllm_process.wait_until_healthy(process, other.url, log, 0, command="vllm", timeout_s=9)
        with pytest.raises(OutsideFault, match=r"failed to start \(exit code 1\): .*address already in use"):
            asyncio.run(waiting)
