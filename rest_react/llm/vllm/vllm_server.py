"""Starts a `vllm serve` process for a model at the first call, restarts it if it dies, and stops it.

    server = VllmServer("Qwen/Qwen2.5-7B-Instruct", connect, command=["vllm", "serve"], served_name="iteration-1",
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
`connect` makes the client that asks a started server, from its address.
Not here: settings (settings), memory, parallelism and data types (set them with `extra_args`), and requests
(openai_compatible).
"""

import asyncio
import os
import subprocess
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rest_react.errors import OutsideFault, UsageError
from rest_react.llm.openai_api.openai_compatible import OpenAICompatible
from rest_react.llm.vllm.vllm_arguments import arguments, own_context
from rest_react.llm.vllm.vllm_log import own_length
from rest_react.llm.vllm.vllm_process import (
    HOST,
    OF_POLICY,
    WATCH_S,
    engine_processes,
    free_port,
    wait_until_healthy,
    watch_for_death,
)
from rest_react.processes import child_processes
from rest_react.records import Completion, OptionScores, Prompt, Sampling
from rest_react.remote.failures.setting_names import SettingNames
from rest_react.terminal.console import say
from rest_react.weights import resolve_weights

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Running:
    """One start: its process, the client that asks it, and `dead`, set to the reason once it has died."""

    process: subprocess.Popen[bytes]
    llm: OpenAICompatible
    dead: "asyncio.Future[str]"
    watch: "asyncio.Task[None]"


class VllmServer:
    """A served model. `port=0` takes a free one. After `aclose` the next call starts it anew."""

    def __init__(
        self,
        model: str,
        connect: Callable[[str], OpenAICompatible],
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
        has_others: bool = False,
        environment: Mapping[str, str] | None = None,
        names: SettingNames = OF_POLICY,
    ) -> None:
        self._names = names
        if not command:
            setting = names.setting("command")
            raise UsageError(f'{setting} is empty; set it to the command that starts vLLM, e.g. ["vllm", "serve"]')
        self._model = model
        self._connect = connect
        self._command = tuple(command)
        self._served_name = served_name
        self._log = log
        self._port = port
        self._extra_args = tuple(extra_args)
        self._max_model_len = max_model_len
        self._restarts_left = restarts
        self._start_timeout_s = start_timeout_s
        self._stop_timeout_s = stop_timeout_s
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
        """Returns when the server answers a request again. It is started again if it is dead, or alive and silent for
        as long as a start may take. Raises OutsideFault if that happened too often."""
        while True:
            try:
                now = await self._running()
            except OutsideFault as error:
                self._start_again_after(error)
                continue
            call = asyncio.ensure_future(now.llm.revive())
            try:
                ends: set[asyncio.Future[Any]] = {call, now.dead}
                await asyncio.wait(ends, timeout=self._start_timeout_s, return_when=asyncio.FIRST_COMPLETED)
                if call.done():
                    call.result()
                    return
            finally:
                call.cancel()
                with suppress(asyncio.CancelledError, OutsideFault, UsageError):
                    await call
            silent = f"The server does not answer for {self._start_timeout_s:g} s."
            await self._restart_after(now, now.dead.result() if now.dead.done() else silent)

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

    def _start_again_after(self, failed: OutsideFault) -> None:
        """Lets the next call start the server again, which did not start. Raises the failure if no restart is left."""
        if self._restarts_left == 0:
            raise failed
        self._restarts_left -= 1
        self._failed = None
        say(f"note: {failed}; the server is started again")

    async def _started(self, model: str, length: int | None) -> _Running:
        port = free_port(self._port, self._names.setting("port"))
        self._log.parent.mkdir(parents=True, exist_ok=True)
        since = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            process = child_processes.start(
                [*self._command, *arguments(model, self._served_name, port, length, self._extra_args)],
                output=log,
                environment={**os.environ, **self._environment} if self._environment else None,
            )
        healthy = False
        try:
            await wait_until_healthy(
                process, f"http://{HOST}:{port}/health", self._log, since,
                command=self._command[0], timeout_s=self._start_timeout_s, names=self._names,
            )  # fmt: skip
            engine = await asyncio.to_thread(engine_processes, process.pid)  # before a call can end one of them
            healthy = True
        finally:
            if not healthy:  # also when cancelled: a half-started server holds the GPU all the same
                await asyncio.to_thread(child_processes.stop, process, self._stop_timeout_s)
        llm = self._connect(f"http://{HOST}:{port}/v1")
        dead = asyncio.get_running_loop().create_future()
        watch = watch_for_death(process, engine, dead, self._log, since, command=self._command[0])
        return _Running(process, llm, dead, asyncio.create_task(watch))

    async def _stop(self, now: _Running) -> None:
        now.watch.cancel()
        await now.llm.aclose()
        await asyncio.to_thread(child_processes.stop, now.process, self._stop_timeout_s)


def _is_outage(call: "asyncio.Future[Any]") -> bool:
    return not call.cancelled() and isinstance(call.exception(), OutsideFault)


async def _reason(now: _Running, seconds: float) -> str | None:
    """Why the server died; None where it is seen to live on for some seconds."""
    done, _ = await asyncio.wait({now.dead}, timeout=seconds)
    return now.dead.result() if done else None
