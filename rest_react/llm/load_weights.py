"""Makes servers that the run did not start serve its weights, by a command of the user.

    llm = WithLoadedWeights(llm, ["./load.sh"], "/runs/a/iter_1/finetune/model", "a-iter_1-finetune-model-7f3d2c91",
                            servers=[llm], timeout_s=1800, log=run_folder / "load_weights.log", names=names)

Before the first request the command runs as
`./load.sh /runs/a/iter_1/finetune/model a-iter_1-finetune-model-7f3d2c91`: the folder of the weights, which the servers
must be able to read, and the name under which they must serve them. For the model before any training both are
`policy.model`. It must return 0 when every server has loaded them. Each of `servers` is then asked for its list of
models, which must contain the name. Requests use that name too, so a server that still has other weights refuses them
instead of answering.
Not here: servers that the run starts itself (vllm_server).
"""

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from rest_react.errors import OutsideFault, UsageError
from rest_react.llm.model_settings import ModelContext
from rest_react.processes import child_processes
from rest_react.protocols import LLM
from rest_react.records import Completion, OptionScores, Prompt, Sampling
from rest_react.remote.failures.setting_names import SettingNames
from rest_react.terminal.console import say

_LOOK_S = 0.2
_STOP_S = 5.0
_SHOWN = 600  # characters of the command's last output in a message


def served_name(context: ModelContext) -> str:
    """What the servers call these weights: `policy.model` before any training, then a name for each run and iteration,
    with a digest of the folder's files: other weights, of another run or trained anew, never answer for these."""
    if context.model.where != "local":
        return context.weights
    folder = Path(context.weights).absolute()
    files = sorted((path.relative_to(folder).as_posix(), path.stat()) for path in folder.rglob("*") if path.is_file())
    told = [str(folder), *(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in files)]
    digest = hashlib.sha256("\n".join(told).encode("utf-8", "replace")).hexdigest()[:8]
    return "-".join([context.run_folder.name, *context.model.name.strip("/").split("/"), digest])


def weights_for_command(context: ModelContext) -> str:
    """The folder of the weights, absolute; before any training the name of the model."""
    return str(Path(context.weights).absolute()) if context.model.where == "local" else context.weights


class Server(Protocol):
    """A client that can tell its address, and which models its server has."""

    @property
    def where(self) -> str: ...

    async def models(self) -> list[str]:
        """The names of the models. Raises OutsideFault if the server does not tell them."""
        ...


class WithLoadedWeights:
    """An `LLM` whose servers load its weights before the first call, and again after `aclose`: other weights may have
    been loaded since."""

    def __init__(
        self,
        llm: LLM,
        command: Sequence[str],
        weights: str,
        name: str,
        *,
        servers: Sequence[Server],
        timeout_s: float,
        log: Path,
        names: SettingNames,
    ) -> None:
        self._llm = llm
        self._command = [*command, weights, name]
        self._name = name
        self._servers = servers
        self._timeout_s = timeout_s
        self._log = log
        self._setting = names.setting("load_weights")
        self._loading = asyncio.Lock()
        self._loaded = False

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        """n samples of one prompt. Raises UsageError if the command fails, or a server does not list the model."""
        await self._load_once()
        return await self._llm.sample(prompt, n=n, sampling=sampling)

    async def score(self, prompt: Prompt, options: Sequence[str]) -> OptionScores | None:
        """The log-probability of each option as the beginning of the reply. Raises like `sample`."""
        await self._load_once()
        return await self._llm.score(prompt, options)

    async def aclose(self) -> None:
        """Closes the connections."""
        self._loaded = False
        await self._llm.aclose()

    async def _load_once(self) -> None:
        async with self._loading:
            if not self._loaded:
                await self._load()
                self._loaded = True

    async def _load(self) -> None:
        say(f"loading {self._name} ({self._command[0]})")
        await self._run()
        for server in self._servers:
            try:
                listed = await server.models()
            except OutsideFault as error:
                raise UsageError(
                    f"{self._setting}: succeeded, but {error}; let it wait until the server is up"
                ) from error
            if self._name not in listed:
                raise UsageError(
                    f"{self._setting}: succeeded, but {server.where} serves {', '.join(listed) or 'no model'}; let the "
                    f"command load the weights under the name of its last argument ({self._name})"
                )

    async def _run(self) -> None:
        """Runs the command to its end. Raises UsageError if it fails, or takes longer than `timeout_s`."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        since = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            process = child_processes.start(self._command, output=log)
        ended = False
        try:
            async with asyncio.timeout(self._timeout_s):
                while process.poll() is None:
                    await asyncio.sleep(_LOOK_S)
            ended = True
        except TimeoutError:
            pass  # told below
        finally:
            if process.stdin is not None:
                process.stdin.close()
            if not ended:  # also when cancelled; what a finished command left running are the servers
                await asyncio.to_thread(child_processes.stop, process, _STOP_S)
        if not ended or process.returncode:
            how = f"failed (exit code {process.returncode})" if ended else f"took longer than {self._timeout_s:g} s"
            said = self._log.read_bytes()[since:].decode("utf-8", "replace").strip()[-_SHOWN:]
            raise UsageError(f"{self._setting}: {' '.join(self._command)} {how}: {said} (log: {self._log}); correct it")
