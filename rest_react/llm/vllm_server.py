"""A `vllm serve` of our own: started at the first call, waited for, asked like any OpenAI-compatible server, stopped.

    server = VllmServer("Qwen/Qwen2.5-7B-Instruct", command=["vllm", "serve"], served_name="iteration-1",
                        log=folder / "vllm.log", start_timeout_s=900)
    samples = await server.sample(prompt, n=4, sampling=sampling)
    await server.aclose()

`command` is a setting, so that vLLM may live in an environment of its own (`["/opt/vllm/bin/vllm", "serve"]`, or
`["uv", "run", ...]`). New weights get a new `served_name` each iteration: a request meant for the old ones finds no
model instead of an old answer. A tuned model's weights are whole, a LoRA is merged into them: no adapter is served.

The server's output goes to `log`, and its last lines into the error when it dies. It runs under `supervise`: in a
process group of its own, which ends with `aclose` and, should this process be killed, with this process.
Not here: choosing memory, parallelism or data types (`extra_args`), and the wire (openai_compatible).
"""

import asyncio
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from rest_react import supervise
from rest_react.budget import Meter
from rest_react.error_replies import SettingNames
from rest_react.errors import OutsideFault, UsageError
from rest_react.llm.openai_compatible import OpenAICompatible
from rest_react.records import Completion, Prompt, Sampling

_HOST = "127.0.0.1"
_TAIL_LINES = 15


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
            raise UsageError('vllm_server: `command` is empty; give for example ["vllm", "serve"]')
        self._model = model
        self._command = tuple(command)
        self._served_name = served_name
        self._log = log
        self._port = port
        self._extra_args = tuple(extra_args)
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
        self._process: subprocess.Popen[bytes] | None = None
        self._llm: OpenAICompatible | None = None
        self._starting = asyncio.Lock()
        self._failed = ""

    async def start(self) -> None:
        """Returns once the server answers. Raises OutsideFault with the log's tail if it dies or takes too long."""
        port = _free_port(self._port)
        self._process = self._launch(port)
        healthy = False
        try:
            await self._wait_until_healthy(self._process, f"http://{_HOST}:{port}/health")
            healthy = True
        finally:
            if not healthy:  # also when cancelled: a half-started server holds the GPU all the same
                await self.aclose()
        self._llm = OpenAICompatible(
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

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        """n samples of one prompt from the served model."""
        llm, process = await self._running()
        try:
            return await llm.sample(prompt, n=n, sampling=sampling)
        except OutsideFault as error:
            # A connection breaks a moment before the process is seen to be gone.
            code = await asyncio.to_thread(supervise.exit_code, process, 1.0)
            if code is None:
                raise
            raise OutsideFault(f"{self._command[0]} died with exit code {code}:\n{self._tail()}") from error

    async def _running(self) -> tuple[OpenAICompatible, subprocess.Popen[bytes]]:
        """Starts the server for the first who asks; the others wait, and share its failure."""
        async with self._starting:
            if self._failed:
                raise OutsideFault(self._failed)
            if self._llm is None or self._process is None:
                try:
                    await self.start()
                except OutsideFault as error:
                    self._failed = str(error)
                    raise
            assert self._llm is not None and self._process is not None
            return self._llm, self._process

    async def aclose(self) -> None:
        """Stops the server and everything it started, and waits until it is gone: its memory is free then."""
        self._failed = ""
        llm, self._llm = self._llm, None
        process, self._process = self._process, None
        if llm is not None:
            await llm.aclose()
        if process is not None:
            await asyncio.to_thread(supervise.stop, process, self._stop_timeout_s)

    def _launch(self, port: int) -> subprocess.Popen[bytes]:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            return supervise.start(self._arguments(port), output=log)

    def _arguments(self, port: int) -> list[str]:
        place = ["--host", _HOST, "--port", str(port), "--served-model-name", self._served_name]
        # Else what a request leaves out comes from the model's own generation config: top_p, a repetition penalty.
        plain = ("--generation-config", "vllm")
        return [*self._command, self._model, *place, *plain, *self._extra_args]

    async def _wait_until_healthy(self, process: subprocess.Popen[bytes], url: str) -> None:
        deadline = time.monotonic() + self._start_timeout_s
        pause_s = 0.05
        while not await asyncio.to_thread(_answers, url):
            code = process.poll()
            if code == 127:
                raise UsageError(f"vllm_server: {self._tail(1)}; install it, or set the command to where it is")
            if code is not None:
                raise OutsideFault(f"{self._command[0]} died at start with exit code {code}:\n{self._tail()}")
            if time.monotonic() > deadline:
                raise OutsideFault(
                    f"{self._command[0]} gave no sign of health within {self._start_timeout_s:g} s:\n{self._tail()}"
                )
            await asyncio.sleep(pause_s)
            pause_s = min(1.0, pause_s * 1.5)

    def _tail(self, lines: int = _TAIL_LINES) -> str:
        with self._log.open("rb") as log:
            log.seek(max(0, self._log.stat().st_size - 16_384))
            text = log.read().decode("utf-8", "replace").strip()
        return "\n".join(text.splitlines()[-lines:]) or "(it logged nothing)"


def _free_port(wanted: int) -> int:
    """`wanted` if nobody listens there, any free one for 0. Another server's health must not be taken for ours."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, wanted))
        except OSError as error:
            raise UsageError(
                f"vllm_server: port {wanted} is taken ({error.strerror}); stop what listens there, or set port=0"
            ) from error
        return int(probe.getsockname()[1])


def _answers(url: str) -> bool:
    # No proxy from the environment for our own machine.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except (URLError, OSError):
        return False
