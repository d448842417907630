import asyncio
import json
import sys
from pathlib import Path

import pytest

from rest_react.config.compose import compose
from rest_react.errors import ConfigError, UsageError
from rest_react.llm.load_weights import served_name
from rest_react.llm.model_settings import ModelContext
from rest_react.protocols import LLM
from rest_react.records import Completion, ModelRef, Prompt, Sampling
from rest_react.remote.budget import Budget, Meter
from rest_react.remote.failures.setting_names import SettingNames
from rest_react.storage.locked_settings import locked_settings
from tests.loopback import Reply, Request, serve
from tests.serving import listing, reply_with

TUNED = ModelRef("iter_1/finetune/model", "local", tuned=True)
BASE = ModelRef("base", "base", tuned=False)


def context(run_folder: Path, model: ModelRef) -> ModelContext:
    weights = str(run_folder / model.name) if model.where == "local" else model.name
    names, meter = SettingNames("policy"), Meter(Budget(), "policy")
    return ModelContext(weights, model, run_folder, lambda **_: None, meter, names)  # type: ignore[arg-type, return-value]


def opened(urls: list[str], program: str, run_folder: Path, model: ModelRef, **settings: object) -> LLM:
    policy = [
        "policy=vllm_remote", "policy.model=base", f"policy.base_url={json.dumps(urls)}",
        f"policy.load_weights={json.dumps([sys.executable, '-c', program])}", "policy.tries=1",
        *(f"policy.{name}={value}" for name, value in settings.items()),
    ]  # fmt: skip
    return compose([*policy, "start=prompted"]).policy.open(context(run_folder, model))


def ask(*clients: LLM, times: int) -> None:
    """One client after the other, each as often at once."""

    async def main() -> None:
        for llm in clients:
            asked = (llm.sample(Prompt("", "state"), n=1, sampling=Sampling(0.5, 8, seed=1)) for _ in range(times))
            try:
                await asyncio.gather(*asked)
            finally:
                await llm.aclose()

    asyncio.run(main())


class Weights:
    """A server that serves the name in the last line of `loaded`, and refuses requests for another model."""

    def __init__(self, loaded: Path) -> None:
        self.loaded = loaded
        self.program = f"import sys; print(*sys.argv[1:], file=open({str(loaded)!r}, 'a'))"

    def __call__(self, request: Request) -> Reply:
        name = self.loaded.read_text().split()[-1] if self.loaded.exists() else "another"
        if request.method == "GET":
            return listing([{"id": name}])
        if request.json["model"] != name:
            return Reply(404, {"error": {"message": f"The model {request.json['model']} does not exist."}})
        return reply_with([Completion("text", 1, -1.0, "stop", 1)], "chat")


def test_the_command_gets_weights_and_name_once_and_again_after_other_weights_were_loaded(tmp_path: Path) -> None:
    weights = Weights(tmp_path / "loaded")
    with serve(weights) as one, serve(weights) as two:
        urls = [f"{server.url}/v1" for server in (one, two)]
        tuned, base = (opened(urls, weights.program, tmp_path, model) for model in (TUNED, BASE))
        ask(base, tuned, base, times=4)
    folder = f"{tmp_path}/iter_1/finetune/model {served_name(context(tmp_path, TUNED))}"
    assert weights.loaded.read_text().splitlines() == ["base base", folder, "base base"]


def test_weights_of_another_run_and_weights_made_anew_have_another_name(tmp_path: Path) -> None:
    folders = [tmp_path / "a" / "run", tmp_path / "b" / "run"]
    for folder in folders:
        (folder / TUNED.name).mkdir(parents=True)
        (folder / TUNED.name / "model.safetensors").write_bytes(b"weights")
    names = [served_name(context(folder, TUNED)) for folder in folders]
    assert names[0] == served_name(context(folders[0], TUNED))
    (folders[0] / TUNED.name / "model.safetensors").write_bytes(b"other weights")
    names.append(served_name(context(folders[0], TUNED)))
    assert len(set(names)) == 3
    assert all(name.startswith("run-iter_1-finetune-model-") for name in names)


@pytest.mark.parametrize(
    ("program", "settings", "told"),
    [
        ("print('no such folder'); raise SystemExit(3)", {}, r"failed \(exit code 3\): no such folder \(log: "),
        ("import time; time.sleep(60)", {"load_timeout_s": 0.5}, r"took longer than 0.5 s"),
        ("pass", {}, r"succeeded, but \S+ at \S+ serves another; .* \(\S+-iter_1-finetune-model-\w{8}\)"),
    ],
)
def test_weights_that_are_not_loaded_end_the_run_before_its_first_request(
    program: str, settings: dict[str, object], told: str, tmp_path: Path
) -> None:
    with serve(Weights(tmp_path / "loaded")) as server:
        with pytest.raises(UsageError, match=rf"(?s)^policy.load_weights: .*{told}"):
            ask(opened([f"{server.url}/v1"], program, tmp_path, TUNED, **settings), times=2)
        assert [request.method for request in server.requests] in ([], ["GET"])


def test_with_such_a_command_given_servers_may_be_tuned_here_and_without_it_not() -> None:
    run = ["policy=vllm_remote", "finetune=local", "start=prompted"]
    with pytest.raises(ConfigError, match=r"policy.load_weights=\[<command>\]"):
        compose(run)
    settings = compose(
        [*run, "policy.load_weights=[./load.sh]", "+policy.chat_template_kwargs={enable_thinking: false}"]
    )
    assert settings.policy.trained_as() == ("chat", {"enable_thinking": False})
    with pytest.raises(ConfigError, match=r"extra_body.template_kwargs: changes the prompt, but not that of training"):
        compose([*run, "policy.load_weights=[./load.sh]", "+policy.extra_body.template_kwargs={a: 1}"])


def test_neither_replicas_nor_the_command_are_locked() -> None:
    run = ["policy=vllm_remote", "start=prompted", "finetune=dry_run"]
    one = compose([*run, "policy.base_url=http://a/v1"])
    three = compose([
        *run, "policy.base_url=[http://a/v1,http://b/v1,http://c/v1]", "policy.load_weights=[./load.sh]",
        "policy.data_parallel=2",
    ])  # fmt: skip
    assert locked_settings(three) == locked_settings(one)
    other = locked_settings(compose([*run, "policy.base_url=[http://b/v1]"]))
    assert {name for name, value in other.items() if value != locked_settings(one)[name]} == {"policy.base_url"}
    with pytest.raises(ConfigError, match=r"policy.base_url: a list of replicas has one address or more, each once"):
        compose([*run, "policy.base_url=[http://a/v1,http://a/v1]"])
