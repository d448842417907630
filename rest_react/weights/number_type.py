"""The type of number that a model computes with: float32, or bfloat16 where the processor multiplies it faster.

    compute_type("auto", gpu=False)      # "bfloat16" on a processor with AMX or AVX-512's bfloat16, else "float32"
    compute_type_here("auto")            # that of this machine, with its GPU if it has one

The processor's instructions decide, not a measured speed, so one machine always computes the same numbers. Weights that
are stored in float32 are not rounded by `auto`: of a tuned model that would undo the small updates
(training.worker.saving.publish).
Not here: the type of the weights on disk (training.worker.saving.publish keeps the base model's).
"""

from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

NumberType: TypeAlias = Literal["auto", "float32", "bfloat16"]

BFLOAT16 = ("amx_bf16", "avx512_bf16")  # with these the engine and training are faster in bfloat16 (docs/log.md)


def compute_type(asked: NumberType, *, gpu: bool, stored: str | None = None) -> Literal["float32", "bfloat16"]:
    """The asked type; for `auto`, bfloat16 on a GPU and on a CPU with instructions for it, unless the weights are
    `stored` in float32."""
    if asked != "auto":
        return asked
    if stored == "float32":
        return "float32"
    return "bfloat16" if gpu or not cpu_instructions().isdisjoint(BFLOAT16) else "float32"


def compute_type_here(asked: NumberType, *, device: str = "auto") -> Literal["float32", "bfloat16"]:
    """The same on this machine. PyTorch is imported only if a GPU would make a difference."""
    on_cpu = compute_type(asked, gpu=False)
    if asked != "auto" or device == "cpu" or on_cpu == "bfloat16":
        return on_cpu
    import torch

    return compute_type(asked, gpu=torch.cuda.is_available())


def stored_type(weights: Path | str) -> str | None:
    """The number type of the weights in a folder or on the Hub, e.g. "float32"; None if they do not say."""
    from transformers import AutoConfig

    dtype = AutoConfig.from_pretrained(weights).dtype
    return None if dtype is None else str(dtype).removeprefix("torch.")


@cache
def cpu_instructions() -> frozenset[str]:
    """The instruction sets of the first processor by Linux's names; empty where the system does not tell."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(errors="replace").splitlines() if told.exists() else []
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.partition(":")[2].split())
