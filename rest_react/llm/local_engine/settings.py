"""The settings of a model in this process, and which of them cannot go together.

    llm = TransformersModel(kind="transformers", model="smollm2-135m-instruct", mode="completion", ...).open(context)

Not here: the values (configs/llm/smollm2.yaml), and the engine (llm.transformers_engine).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

from rest_react.llm.model_settings import ModelContext, ModelSettings, Runs, Tuned, template_problems
from rest_react.llm.transformers_engine import TransformersEngine
from rest_react.metrics.prices import Price
from rest_react.remote.budget import Metered
from rest_react.setting_types import Count, Mode, Name, NotNegative
from rest_react.weights.number_type import NumberType


@dataclass(frozen=True, slots=True)
class TransformersModel(ModelSettings):
    """Weights in this process, on the CPU or one GPU, batched by transformers' continuous batching."""

    runs: ClassVar[Runs] = "machine"
    tuned: ClassVar[Tuned] = "here"

    kind: Literal["transformers"]
    model: Name  # smollm2-135m-instruct, tiny-random, a Hub id or a folder
    mode: Mode  # completion: the bare state as plain text; chat: through the model's chat template
    chat_template_kwargs: dict[str, object]  # arguments of the chat template
    dtype: NumberType  # auto: bfloat16 where the processor is fast at it, unless the weights are stored in float32
    device: Literal["auto", "cpu", "cuda"]  # auto: the GPU where there is one
    threads: NotNegative  # 0: all cores
    cache_tokens: Count  # size of the key-value cache, in tokens; too few, and prompts are read again
    batch_requests: Count  # sequences in one forward pass
    batch_tokens: Count  # tokens in one forward pass
    in_flight: Count  # trajectories at once
    price: Price  # US dollars per million tokens, input and output

    @property
    def gpus(self) -> int:
        return int(self.device == "cuda")

    @property
    def takes_gpu(self) -> bool:
        return self.device == "auto"

    def open(self, context: ModelContext) -> Metered:
        engine = TransformersEngine(
            context.weights, mode=self.mode, chat_template_kwargs=self.chat_template_kwargs, dtype=self.dtype,
            device=self.device, threads=self.threads, cache_tokens=self.cache_tokens,
            batch_requests=self.batch_requests, batch_tokens=self.batch_tokens, block=context.names.block or "policy",
        )  # fmt: skip
        return Metered(engine, context.meter)

    def in_mode(self, mode: Mode) -> Self:
        return replace(self, mode=mode)

    def trained_as(self) -> tuple[Mode, Mapping[str, object]]:
        return self.mode, self.chat_template_kwargs

    def cpu_threads(self) -> int | None:
        return None if self.device == "cuda" else self.threads

    def problems(self, path: str) -> Iterator[str]:
        return template_problems(path, self.chat_template_kwargs)

    def lacks(self, path: str) -> Iterator[str]:
        if self.device == "cuda":
            import torch

            if not torch.cuda.is_available():
                yield f"{path}.device: torch sees no GPU here; set {path}.device=auto, which uses a GPU if there is one"
