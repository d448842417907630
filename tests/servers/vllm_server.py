"""vLLM's CPU build, as `policy=vllm` starts it."""

import json
from pathlib import Path

from rest_react.config.compose import compose
from rest_react.llm.model_settings import ModelContext
from rest_react.protocols import LLM
from rest_react.records import ModelRef
from rest_react.remote.budget import Budget, Meter
from rest_react.remote.failures.setting_names import SettingNames
from tests.servers.installed import environment
from tests.servers.parity import MODEL

# Else requests with a seed end the engine while it reads a prompt in parts (docs/servers.md).
ARGUMENTS = ["--enforce-eager", "--no-enable-chunked-prefill", "--max-num-batched-tokens", "8192", "--dtype", "float32"]


def overrides(*more: str, model: str = MODEL, arguments: list[str] | None = None) -> list[str]:
    command = json.dumps([str(environment("vllm") / "bin" / "vllm"), "serve"])
    given = json.dumps(ARGUMENTS + (arguments or []))
    return [
        "policy=vllm", f"policy.model={model}", f"policy.command={command}", f"policy.extra_args={given}",
        "start=prompted", *more,
    ]  # fmt: skip


def opened(folder: Path, *more: str, model: str = MODEL, arguments: list[str] | None = None) -> LLM:
    settings = compose(overrides(*more, model=model, arguments=arguments))
    names, meter = SettingNames("policy"), Meter(Budget(), "policy")
    return settings.policy.open(
        ModelContext(model, ModelRef(model, "base", tuned=False), folder, settings.task.scripted, meter, names)  # type: ignore[arg-type]
    )
