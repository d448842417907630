"""The protocol of a model's settings, and the context from which a client is created.

    llm = settings.policy.open(ModelContext(weights="Qwen/Qwen2.5-7B-Instruct", ...))

Settings of a new client: a frozen dataclass beside the client that subclasses `ModelSettings`, and its name in the
union of `llm`. Not here: the protocol of the client itself (`protocols.LLM`).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Protocol, Self

from rest_react.metrics.prices import Price
from rest_react.protocols import LLM
from rest_react.records import ModelRef
from rest_react.remote.budget import Meter
from rest_react.remote.failures.setting_names import SettingNames
from rest_react.setting_types import Mode

# Arguments of the function that renders a chat template, not of the template itself.
_NO_TEMPLATE_ARGUMENTS = {
    "add_generation_prompt", "chat_template", "continue_final_message", "conversation", "messages", "padding",
    "return_dict", "return_tensors", "sanitize_control_tokens", "tokenize", "tools", "truncation",
}  # fmt: skip
Runs = Literal["machine", "server", "script"]
Tuned = Literal["here", "provider", "nowhere"]


@dataclass(frozen=True, slots=True)
class ModelContext:
    """What a run tells a client: its weights (a path or a name) and what the run calls them, the run's folder,
    the task's scripted policy with given shares, where to account for tokens, and what its settings are called."""

    weights: str
    model: ModelRef
    run_folder: Path
    scripted: Callable[..., LLM]
    meter: Meter
    names: SettingNames


class ModelSettings(Protocol):
    """What the rest of the program asks of a model's settings.

    `runs`: on this `machine`, in its memory and at its speed; on a `server` of somebody else's; or a `script`, which
    knows the built-in world alone, takes no time and cannot judge. `tuned`: `here`, at its `provider`, or `nowhere`."""

    __slots__ = ()
    runs: ClassVar[Runs]
    model: str
    price: Price
    always_needs_key: ClassVar[bool] = False  # False: a server without a key is possible

    @property
    def tuned(self) -> Tuned: ...

    @property
    def gpus(self) -> int:
        """How many GPUs of this machine it needs."""
        return 0

    @property
    def takes_gpu(self) -> bool:
        """Whether it runs on a GPU where there is one, and on the CPU elsewhere."""
        return False

    @property
    def spans_machines(self) -> bool:
        """Whether it runs on other machines too, which the run does not start."""
        return False

    def open(self, context: ModelContext) -> LLM:
        """The client. It connects or loads at its first call."""
        ...

    def in_mode(self, mode: Mode) -> Self:
        """The same model asked in this mode, where it has modes."""
        return self

    def trained_as(self) -> tuple[Mode, Mapping[str, object]]:
        """How local training must render its rows to match what the model is asked: mode, and arguments of its chat
        template."""
        return "completion", {}

    def cpu_threads(self) -> int | None:
        """CPU threads that the model may use on this machine, 0 for all; None if it does not run on this CPU."""
        return None

    def problems(self, path: str) -> Iterator[str]:
        """One message for each impossible combination, with what to do; `path` is the name of these settings."""
        yield from ()

    def lacks(self, path: str) -> Iterator[str]:
        """One message for each setting that this machine cannot follow; asked before a run starts."""
        yield from ()

    def problems_when_tuned(self, path: str) -> Iterator[str]:
        """Values with which the tuned model would get other tokens than in training."""
        yield from ()


def template_problems(path: str, arguments: Mapping[str, object]) -> Iterator[str]:
    """Arguments that no chat template takes."""
    for name in sorted({*arguments} & _NO_TEMPLATE_ARGUMENTS):
        yield f"{path}.chat_template_kwargs: {name} is not an argument of a chat template; remove it"
