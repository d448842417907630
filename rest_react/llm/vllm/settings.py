"""The settings of a model that `vllm serve` serves, and which of them cannot go together.

    llm = VllmModel(kind="vllm", model="Qwen/Qwen2.5-7B-Instruct", command=("vllm", "serve"), ...).open(context)

With `replicas` above 1 each server gets its share of the GPUs and a log of its own.
Not here: the values (configs/llm/vllm.yaml), and the servers (vllm_server).
"""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from annotated_types import Interval

from rest_react.llm.model_settings import ModelContext, ModelSettings, Runs, Tuned, template_problems
from rest_react.llm.openai_api.openai_compatible import OpenAICompatible
from rest_react.llm.replicas import Replicas
from rest_react.llm.vllm.visible_gpus import VISIBLE, shares, visible_gpus
from rest_react.llm.vllm.vllm_arguments import by_ray, engines, gpus
from rest_react.llm.vllm.vllm_server import VllmServer
from rest_react.metrics.prices import Price
from rest_react.protocols import LLM
from rest_react.setting_types import Count, Mode, Name, Positive, SystemTurn

_LAST_PORT = 65535
# Arguments of `vllm serve` with which a tuned model would be asked with other tokens than it was trained on.
_OTHER_TEMPLATE = "makes serving differ from training; save that template with the tokenizer in the model's folder"
_CHANGES_SERVED_PROMPT = {
    "--chat-template": _OTHER_TEMPLATE,
    "--default-chat-template-kwargs": "makes serving differ from training; use policy.chat_template_kwargs",
    "--tokenizer": "makes serving differ from training; use a model whose folder has that tokenizer",
    "--tokenizer-mode": "makes serving differ from training; remove it",
    "--tokenizer-revision": "makes serving differ from training; use a local copy of the model",
    "--revision": "makes serving differ from training; use a local copy of that revision",
}


@dataclass(frozen=True, slots=True)
class VllmModel(ModelSettings):
    """`vllm serve`, started and stopped by the run; `command` may live in an environment of its own."""

    runs: ClassVar[Runs] = "machine"
    tuned: ClassVar[Tuned] = "here"

    kind: Literal["vllm"]
    model: Name  # a Hub id or a folder
    mode: Mode  # chat: through the model's chat template; completion: one text
    # instructions as a system turn; false: at the head of the user's; auto: false where the template has none
    system_turn: SystemTurn
    chat_template_kwargs: dict[str, object]  # arguments of the chat template, in requests and in training
    command: tuple[str, ...]  # what starts the server
    max_model_len: Count | None  # context in tokens, at most the model's own; null: the model's own
    extra_args: tuple[str, ...]  # more arguments of `vllm serve`
    replicas: Count  # servers, each with its share of the GPUs; a trajectory stays on one of them
    port: Annotated[int, Interval(ge=0, le=65535)]  # 0: a free one; replicas take this one and those that follow
    start_timeout_s: Positive  # seconds until a server that does not answer is given up
    in_flight: Count  # requests, and of a policy trajectories, at once
    timeout_s: Positive  # seconds until a request is given up and tried again
    tries: Count  # attempts at one request
    price: Price  # US dollars per million tokens, input and output; null: unknown

    @property
    def gpus(self) -> int:
        return self.replicas * gpus(self.extra_args)

    @property
    def spans_machines(self) -> bool:
        return by_ray(self.extra_args)

    def open(self, context: ModelContext) -> LLM:
        if self.replicas == 1:
            return self._server(context, self.port, context.run_folder / "vllm.log")
        given = shares(visible_gpus(), self.replicas)
        servers = [
            self._server(
                context, self.port and self.port + i, context.run_folder / f"vllm-{i + 1}.log", has_others=True,
                environment={VISIBLE: ",".join(own)} if own else {},
            )
            for i, own in enumerate(given)
        ]  # fmt: skip
        return Replicas(servers, patience_s=self.start_timeout_s)

    def _server(
        self,
        context: ModelContext,
        port: int,
        log: Path,
        *,
        has_others: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> VllmServer:
        name = context.model.name.replace("/", "-").lstrip("-")  # with a dash in front it would be read as an option

        def connect(base_url: str) -> OpenAICompatible:
            return OpenAICompatible(
                name, base_url=base_url, api_key_env=None, mode=self.mode, system_turn=self.system_turn,
                chat_template_kwargs=self.chat_template_kwargs, timeout_s=self.timeout_s, max_in_flight=self.in_flight,
                tries=self.tries, meter=context.meter, names=context.names,
                data_parallel=engines(self.extra_args), has_others=has_others,
            )  # fmt: skip

        return VllmServer(
            context.weights, connect, command=self.command, extra_args=self.extra_args, port=port, served_name=name,
            log=log, max_model_len=self.max_model_len, start_timeout_s=self.start_timeout_s, has_others=has_others,
            environment=environment, names=context.names,
        )  # fmt: skip

    def in_mode(self, mode: Mode) -> Self:
        return replace(self, mode=mode)

    def trained_as(self) -> tuple[Mode, Mapping[str, object]]:
        return self.mode, self.chat_template_kwargs

    def problems(self, path: str) -> Iterator[str]:
        yield from template_problems(path, self.chat_template_kwargs)
        if self.port and self.port + self.replicas - 1 > _LAST_PORT:
            yield f"{path}.port: {self.port} leaves no port for {self.replicas} replicas; set {path}.port=0"
        if behind := self.command[self.command.index("serve") + 1 :] if "serve" in self.command else ():
            yield f"{path}.command: must end with serve; give {' '.join(behind)} in {path}.extra_args"

    def lacks(self, path: str) -> Iterator[str]:
        if not self.command or shutil.which(self.command[0]) is None:
            yield (
                f"{path}.command: {' '.join(self.command) or 'nothing'} cannot be run here; install vLLM in an "
                f"environment of its own (README, GPUs) and set '{path}.command=[<its folder>/bin/vllm,serve]'"
            )
        if self.replicas > 1 and 0 < (found := len(visible_gpus())) < self.gpus:
            fit = found // gpus(self.extra_args)
            out = f"set it to {fit} or less" if fit else f"lower the parallel sizes in {path}.extra_args"
            yield f"{path}.replicas: {self.replicas} need {self.gpus} GPUs, but this machine has {found}; {out}"

    def problems_when_tuned(self, path: str) -> Iterator[str]:
        for setting, words in (("extra_args", self.extra_args), ("command", self.command)):
            for name in (word.partition("=")[0].replace("_", "-") for word in words):
                if name in _CHANGES_SERVED_PROMPT:
                    yield f"{path}.{setting}: {name} {_CHANGES_SERVED_PROMPT[name]}"
