"""Starts a `vllm serve` process for a model at the first call, restarts it if it dies, and stops it.

    server = VllmServer("Qwen/Qwen2.5-7B-Instruct", command=["vllm", "serve"], served_name="iteration-1",
                        log=folder / "vllm.log", max_model_len=16384, start_timeout_s=900)
    samples = await server.sample(prompt, n=4, sampling=sampling)
    await server.aclose()

New weights: each iteration's policy is a new `VllmServer` over the tuned folder, after `aclose` of the one before, with
a `served_name` of its own: a request meant for the old weights finds no model instead of an old answer. Tuned weights
are whole, a LoRA is merged into them: no adapter is served.

Crashes: a server that dies is restarted, at most `restarts` times, and the calls in flight are repeated with the same
seeds, so their samples are the same. A start that would always fail (an unknown flag, no such model) raises UsageError.
The process and, if /proc lists them, its engine processes are watched, because an API server whose engine was killed
may answer health checks forever (vllm_process). A server that `has_others` (llm.replicas) hands the calls in flight to
them instead, and starts again meanwhile. The server's output goes to `log`; errors quote the cause from it
(vllm_log).

`command` is a setting, so that vLLM may live in an environment of its own (`["/opt/vllm/bin/vllm", "serve"]`, or
`["uv", "run", ...]`). The context length is `max_model_len`, or the model's own where that is shorter. The server runs
under `child_processes`: it ends with `aclose` and, should this process be killed, with this process.
Not here: memory, parallelism and data types (set them with `extra_args`), and requests (openai_compatible).
"""

import asyncio
import json
import os
import subprocess
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from annotated_types import Interval

from rest_react import child_processes
from rest_react.console import say
from rest_react.errors import OutsideFault, UsageError
from rest_react.llm.model_settings import ModelContext, ModelSettings, Runs, Tuned, template_problems
from rest_react.llm.openai_api.openai_compatible import OpenAICompatible
from rest_react.llm.replicas import Replicas
from rest_react.llm.vllm.visible_gpus import VISIBLE, shares, visible_gpus
from rest_react.llm.vllm.vllm_log import own_length
from rest_react.llm.vllm.vllm_process import (
    HOST,
    WATCH_S,
    engine_processes,
    free_port,
    wait_until_healthy,
    watch_for_death,
)
from rest_react.metrics.prices import Price
from rest_react.protocols import LLM
from rest_react.records import Completion, OptionScores, Prompt, Sampling
from rest_react.remote.budget import Meter
from rest_react.remote.failures.setting_names import SettingNames
from rest_react.setting_types import Count, Mode, Name, Positive, SystemTurn
from rest_react.weights import resolve_weights

_LENGTH_FLAG = "--max-model-len"
_DATA_PARALLEL = ("--data-parallel-size", "-dp")
_LAST_PORT = 65535
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Running:
    """One start: its process, the client that asks it, and `dead`, set to the reason once it has died."""

    process: subprocess.Popen[bytes]
    llm: OpenAICompatible
    dead: "asyncio.Future[str]"
    watch: "asyncio.Task[None]"


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

    def open(self, context: ModelContext) -> LLM:
        if self.replicas == 1:
            return self._server(context, self.port, context.run_folder / "vllm.log")
        gpus = shares(visible_gpus(), self.replicas)
        servers = [
            self._server(
                context, self.port and self.port + i, context.run_folder / f"vllm-{i + 1}.log", has_others=True,
                environment={VISIBLE: ",".join(own)} if own else {},
            )
            for i, own in enumerate(gpus)
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
    ) -> "VllmServer":
        return VllmServer(
            context.weights, command=self.command, extra_args=self.extra_args, port=port, mode=self.mode,
            system_turn=self.system_turn, chat_template_kwargs=self.chat_template_kwargs,
            # A name that begins with a dash would be read as an option.
            served_name=context.model.name.replace("/", "-").lstrip("-"), log=log,
            has_others=has_others, environment=environment,
            max_model_len=self.max_model_len, start_timeout_s=self.start_timeout_s, timeout_s=self.timeout_s,
            max_in_flight=self.in_flight, tries=self.tries, meter=context.meter, names=context.names,
        )  # fmt: skip

    def in_mode(self, mode: Mode) -> Self:
        return replace(self, mode=mode)

    def trained_as(self) -> tuple[Mode, Mapping[str, object]]:
        return self.mode, self.chat_template_kwargs

    def problems(self, path: str) -> Iterator[str]:
        yield from template_problems(path, self.chat_template_kwargs)
        if self.replicas > 1 and 0 < (gpus := len(visible_gpus())) < self.replicas:
            yield f"{path}.replicas: {self.replicas}, but this machine has {gpus} GPUs; set it to {gpus} or less"
        if self.port and self.port + self.replicas - 1 > _LAST_PORT:
            yield f"{path}.port: {self.port} leaves no port for {self.replicas} replicas; set {path}.port=0"

    def problems_when_tuned(self, path: str) -> Iterator[str]:
        for flag in self.extra_args:
            name = flag.partition("=")[0].replace("_", "-")
            if name in _CHANGES_SERVED_PROMPT:
                yield f"{path}.extra_args: {name} {_CHANGES_SERVED_PROMPT[name]}"


class VllmServer:
    """A served model. `port=0` takes a free one. After `aclose` the next call starts it anew."""

    def __init__(
        self,
        model: str,
        *,
        command: Sequence[str],
        served_name: str,
        log: Path,
        port: int = 0,
        extra_args: Sequence[str] = (),
        max_model_len: int | None = None,
        restarts: int = 3,
        start_timeout_s: float = 900.0,
        stop_timeout_s: float = 30.0,
        mode: Literal["chat", "completion"] = "chat",
        system_turn: bool | Literal["auto"] = "auto",
        chat_template_kwargs: Mapping[str, object] | None = None,
        timeout_s: float = 600.0,
        max_in_flight: int = 256,
        tries: int = 3,
        meter: Meter | None = None,
        names: SettingNames | None = None,
        has_others: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        if not command:
            raise UsageError('policy.command is empty; set it to the command that starts vLLM, e.g. ["vllm", "serve"]')
        self._model = model
        self._command = tuple(command)
        self._served_name = served_name
        self._log = log
        self._port = port
        self._extra_args = tuple(extra_args)
        self._max_model_len = max_model_len
        self._restarts_left = restarts
        self._start_timeout_s = start_timeout_s
        self._stop_timeout_s = stop_timeout_s
        self._mode = mode
        self._system_turn = system_turn
        self._template_kwargs = chat_template_kwargs
        self._timeout_s = timeout_s
        self._max_in_flight = max_in_flight
        self._tries = tries
        self._meter = meter
        self._names = names
        self._has_others = has_others
        self._environment = environment
        self._now: _Running | None = None
        self._starting = asyncio.Lock()
        self._failed: OutsideFault | UsageError | None = None

    async def start(self) -> None:
        """Returns once the server answers. Raises UsageError where no start with these settings can succeed,
        OutsideFault where it died for another reason or took too long."""
        model = str(await asyncio.to_thread(resolve_weights, self._model))
        length = self._max_model_len
        if length is not None and (own := own_context(Path(model))) is not None:
            length = min(length, own)
        try:
            self._now = await self._started(model, length)
        except UsageError as error:
            own = own_length(str(error))
            if length is None or own is None or own >= length:
                raise
            say(f"note: {self._model} has a context of {own} tokens; the server uses it instead of {length}")
            self._max_model_len = own
            self._now = await self._started(model, own)

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        """n samples of one prompt from the served model."""
        return await self._ask(lambda llm: llm.sample(prompt, n=n, sampling=sampling))

    async def score(self, prompt: Prompt, options: Sequence[str]) -> OptionScores | None:
        """The log-probability of each option as the first token of the reply; None if the server lists none of them."""
        return await self._ask(lambda llm: llm.score(prompt, options))

    async def _ask(self, ask: Callable[[OpenAICompatible], Coroutine[Any, Any, T]]) -> T:
        """The answer to a request, which is repeated if the server dies."""
        while True:
            now = await self._running()
            call = asyncio.ensure_future(ask(now.llm))
            try:
                ends: set[asyncio.Future[Any]] = {call, now.dead}
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                if call.done() and not _is_outage(call):
                    return call.result()
                # A connection breaks a moment before the process is seen to be gone.
                reason = await _reason(now, 4 * WATCH_S)
                if reason is None:
                    return call.result()
            finally:
                call.cancel()
                with suppress(asyncio.CancelledError, OutsideFault, UsageError):
                    await call
            await self._restart_after(now, reason)
            if self._has_others:
                raise OutsideFault(reason)

    async def revive(self) -> None:
        """Starts the server again after its death. Raises OutsideFault if it died too often."""
        await self._running()

    async def aclose(self) -> None:
        """Stops the server and everything it started, and waits until it is gone: its memory is free then."""
        self._failed = None
        now, self._now = self._now, None
        if now is not None:
            await self._stop(now)

    async def _running(self) -> _Running:
        """Starts the server for the first who asks; the others wait, and share its failure."""
        async with self._starting:
            if self._failed is not None:
                raise self._failed
            if self._now is None:
                try:
                    await self.start()
                except (OutsideFault, UsageError) as error:
                    self._failed = error
                    raise
            assert self._now is not None
            return self._now

    async def _restart_after(self, now: _Running, reason: str) -> None:
        """After a death, lets the next call start the server anew, once for all calls that were lost. After the last
        restart that is allowed, every call fails."""
        async with self._starting:
            if self._now is not now:
                return
            self._now = None
            await self._stop(now)
            if self._restarts_left == 0:
                self._failed = OutsideFault(
                    f"{reason} The server is not restarted again: the limit of restarts is reached."
                )
                return
            self._restarts_left -= 1
            repeated = "" if self._has_others else ", and calls in flight are repeated"
            say(f"note: {reason} The server is restarted{repeated}.")

    async def _started(self, model: str, length: int | None) -> _Running:
        port = free_port(self._port)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        since = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            process = child_processes.start(
                [*self._command, *self._arguments(model, port, length)],
                output=log,
                environment={**os.environ, **self._environment} if self._environment else None,
            )
        healthy = False
        try:
            await wait_until_healthy(
                process, f"http://{HOST}:{port}/health", self._log, since,
                command=self._command[0], timeout_s=self._start_timeout_s,
            )  # fmt: skip
            healthy = True
        finally:
            if not healthy:  # also when cancelled: a half-started server holds the GPU all the same
                await asyncio.to_thread(child_processes.stop, process, self._stop_timeout_s)
        llm = OpenAICompatible(
            self._served_name,
            base_url=f"http://{HOST}:{port}/v1",
            api_key_env=None,
            mode=self._mode,
            system_turn=self._system_turn,
            chat_template_kwargs=self._template_kwargs,
            timeout_s=self._timeout_s,
            max_in_flight=self._max_in_flight,
            tries=self._tries,
            meter=self._meter,
            names=self._names,
            data_parallel=_data_parallel(self._extra_args),
            has_others=self._has_others,
        )
        engine = await asyncio.to_thread(engine_processes, process.pid)  # before a call can end one of them
        dead = asyncio.get_running_loop().create_future()
        watch = watch_for_death(process, engine, dead, self._log, since, command=self._command[0])
        return _Running(process, llm, dead, asyncio.create_task(watch))

    async def _stop(self, now: _Running) -> None:
        now.watch.cancel()
        await now.llm.aclose()
        await asyncio.to_thread(child_processes.stop, now.process, self._stop_timeout_s)

    def _arguments(self, model: str, port: int, length: int | None) -> list[str]:
        place = ["--host", HOST, "--port", str(port), "--served-model-name", self._served_name]
        # Else what a request leaves out comes from the model's own generation config: top_p, a repetition penalty.
        plain = ("--generation-config", "vllm")
        own = any(flag.partition("=")[0].replace("_", "-") == _LENGTH_FLAG for flag in self._extra_args)
        context = [] if own or length is None else [_LENGTH_FLAG, str(length)]
        return [model, *place, *plain, *context, *self._extra_args]


def _data_parallel(extra_args: Sequence[str]) -> int:
    """How many engines the server runs.

    >>> _data_parallel(["--enforce-eager", "--data-parallel-size", "2"]), _data_parallel(["-dp=4"]), _data_parallel([])
    (2, 4, 1)
    """
    words = [word for argument in extra_args for word in argument.split("=", 1)]
    for flag, value in pairwise(words):
        if flag.replace("_", "-") in _DATA_PARALLEL and value.isdecimal():
            return int(value)
    return 1


def _is_outage(call: "asyncio.Future[Any]") -> bool:
    return not call.cancelled() and isinstance(call.exception(), OutsideFault)


async def _reason(now: _Running, seconds: float) -> str | None:
    """Why the server died; None where it is seen to live on for some seconds."""
    done, _ = await asyncio.wait({now.dead}, timeout=seconds)
    return now.dead.result() if done else None


def own_context(folder: Path) -> int | None:
    """The context length that the weights in a folder were made for; None where they do not say, or stretch it."""
    config = folder / "config.json"
    if not config.is_file():
        return None
    told: dict[str, Any] = json.loads(config.read_text(encoding="utf-8"))
    told = told.get("text_config") or told
    length = told.get("max_position_embeddings")
    stretched = (told.get("rope_scaling") or told.get("rope_parameters") or {}).get("factor")
    return length if isinstance(length, int) and not stretched else None
