"""A `vllm serve` of our own: started at the first call, waited for, asked like any OpenAI-compatible server, stopped.

    server = VllmServer("Qwen/Qwen2.5-7B-Instruct", command=["vllm", "serve"], served_name="iteration-1",
                        log=folder / "vllm.log", max_model_len=16384, start_timeout_s=900)
    samples = await server.sample(prompt, n=4, sampling=sampling)
    await server.aclose()

`command` is a setting, so that vLLM may live in an environment of its own (`["/opt/vllm/bin/vllm", "serve"]`, or
`["uv", "run", ...]`). New weights get a new `served_name` each iteration: a request meant for the old ones finds no
model instead of an old answer. A tuned model's weights are whole, a LoRA is merged into them: no adapter is served.

The server's output goes to `log`; when it dies, the error names the cause found there (vllm_log). A start that no
repetition can save (an unknown flag, no such model) is a UsageError. A server that dies while it serves is started
again, at most `restarts` times, and the calls that were in flight are made again: their seeds are the same, so are
their samples. Death is seen by watching the process and, where /proc tells them, the processes of its engine: an API
server whose engine was killed may answer health checks for ever. The context length is `max_model_len`, or the model's
own where that is shorter.

It runs under `supervise`: in a process group of its own, which ends with `aclose` and, should this process be killed,
with this process.
Not here: choosing memory, parallelism or data types (`extra_args`), and the wire (openai_compatible).
"""

import asyncio
import json
import os
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from rest_react import supervise
from rest_react.console import say
from rest_react.errors import OutsideFault, UsageError
from rest_react.llm.openai_compatible import OpenAICompatible
from rest_react.llm.vllm_log import can_never_start, cause, own_length
from rest_react.records import Completion, Prompt, Sampling
from rest_react.remote.budget import Meter
from rest_react.remote.setting_names import SettingNames
from rest_react.weights import resolve_weights

_HOST = "127.0.0.1"
_WATCH_S = 1.0
_LENGTH_FLAG = "--max-model-len"


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
    ) -> None:
        if not command:
            raise UsageError('policy.command is empty; set it to how vLLM is started, e.g. ["vllm", "serve"]')
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
            say(f"note: {self._model} has a context of {own} tokens, not {length}; the server is started with that")
            self._max_model_len = own
            self._now = await self._started(model, own)

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        """n samples of one prompt from the served model."""
        while True:
            now = await self._running()
            call = asyncio.ensure_future(now.llm.sample(prompt, n=n, sampling=sampling))
            try:
                ends: set[asyncio.Future[Any]] = {call, now.dead}
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                if call.done() and not _is_outage(call):
                    return call.result()
                # A connection breaks a moment before the process is seen to be gone.
                reason = await _reason(now, 4 * _WATCH_S)
                if reason is None:
                    return call.result()
            finally:
                call.cancel()
                with suppress(asyncio.CancelledError, OutsideFault, UsageError):
                    await call
            await self._bury(now, reason)

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

    async def _bury(self, now: _Running, reason: str) -> None:
        """Makes way for another start after a death, once for all whose calls were lost; the last death is final."""
        async with self._starting:
            if self._now is not now:
                return
            self._now = None
            await self._stop(now)
            if self._restarts_left == 0:
                self._failed = OutsideFault(f"{reason} It was started again as often as allowed.")
                return
            self._restarts_left -= 1
            say(f"note: {reason} It is started again; calls in flight are repeated.")

    async def _started(self, model: str, length: int | None) -> _Running:
        port = _free_port(self._port)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        since = self._log.stat().st_size if self._log.exists() else 0
        process = self._launch([*self._command, *self._arguments(model, port, length)])
        healthy = False
        try:
            await self._wait_until_healthy(process, f"http://{_HOST}:{port}/health", since)
            healthy = True
        finally:
            if not healthy:  # also when cancelled: a half-started server holds the GPU all the same
                await asyncio.to_thread(supervise.stop, process, self._stop_timeout_s)
        llm = OpenAICompatible(
            self._served_name,
            base_url=f"http://{_HOST}:{port}/v1",
            api_key_env=None,
            mode=self._mode,
            system_turn=self._system_turn,
            chat_template_kwargs=self._template_kwargs,
            timeout_s=self._timeout_s,
            max_in_flight=self._max_in_flight,
            tries=self._tries,
            meter=self._meter,
            names=self._names,
        )
        engine = await asyncio.to_thread(_engine_processes, process.pid)  # before a call can end one of them
        dead = asyncio.get_running_loop().create_future()
        return _Running(process, llm, dead, asyncio.create_task(self._watch(process, engine, dead, since)))

    async def _stop(self, now: _Running) -> None:
        now.watch.cancel()
        await now.llm.aclose()
        await asyncio.to_thread(supervise.stop, now.process, self._stop_timeout_s)

    async def _watch(
        self, process: subprocess.Popen[bytes], engine: Sequence[int], dead: "asyncio.Future[str]", since: int
    ) -> None:
        """Tells `dead` why, as soon as the server or a process of its engine is gone."""
        while not dead.done():
            code = process.poll()
            lost = [pid for pid in engine if not _is_alive(pid)]
            if code is not None or lost:
                how = f"ended with exit code {code}" if code is not None else "lost a process of its engine"
                await asyncio.sleep(_WATCH_S)  # its other processes still write why
                why = await asyncio.to_thread(cause, self._log, since, started=True)
                dead.set_result(f"{self._command[0]} {how}: {why} (log: {self._log}).")
            await asyncio.sleep(_WATCH_S)

    def _launch(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return supervise.start(command, output=log)

    def _arguments(self, model: str, port: int, length: int | None) -> list[str]:
        place = ["--host", _HOST, "--port", str(port), "--served-model-name", self._served_name]
        # Else what a request leaves out comes from the model's own generation config: top_p, a repetition penalty.
        plain = ("--generation-config", "vllm")
        own = any(flag.partition("=")[0].replace("_", "-") == _LENGTH_FLAG for flag in self._extra_args)
        context = [] if own or length is None else [_LENGTH_FLAG, str(length)]
        return [model, *place, *plain, *context, *self._extra_args]

    async def _wait_until_healthy(self, process: subprocess.Popen[bytes], url: str, since: int) -> None:
        deadline = time.monotonic() + self._start_timeout_s
        pause_s = 0.05
        while not await asyncio.to_thread(_answers, url):
            code = process.poll()
            if code is None and time.monotonic() < deadline:
                await asyncio.sleep(pause_s)
                pause_s = min(1.0, pause_s * 1.5)
                continue
            why = await asyncio.to_thread(cause, self._log, since, started=False)
            if code == 127:
                raise UsageError(f"{why}; install vLLM, or set policy.command to where it is")
            if code is None:
                raise OutsideFault(
                    f"{self._command[0]} was not ready within {self._start_timeout_s:g} s: {why} (log: {self._log}). "
                    "Raise policy.start_timeout_s if it was still loading"
                )
            died = f"{self._command[0]} ended at its start with exit code {code}: {why} (log: {self._log})"
            if can_never_start(why):
                raise UsageError(f"{died}. Correct policy.model, policy.max_model_len or policy.extra_args")
            raise OutsideFault(died)


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


def _engine_processes(group: int) -> list[int]:
    """The processes of the group that do the server's work, where /proc tells: vLLM's own, or spawned by Python."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            command = (place / "cmdline").read_bytes()
            if os.getpgid(int(place.name)) == group and (b"VLLM::" in command or b"spawn_main(" in command):
                found.append(int(place.name))
    return found


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _free_port(wanted: int) -> int:
    """`wanted` if nobody listens there, any free one for 0. Another server's health must not be taken for ours."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, wanted))
        except OSError as error:
            raise UsageError(
                f"port {wanted} is taken ({error.strerror}); stop what listens there, or set policy.port=0"
            ) from error
        return int(probe.getsockname()[1])


def _answers(url: str) -> bool:
    # No proxy from the environment for our own machine.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except (URLError, OSError, HTTPException):
        return False
