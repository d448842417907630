"""Settings of local training that need a GPU and a package: 4-bit weights (bitsandbytes) and Liger's kernels.

    list(gpu_problems(settings, "finetune"))     # what cannot go together, on any machine
    list(gpu_lacks(settings, "finetune"))        # what this machine lacks: CUDA, a package

Not here: how the model is loaded with them (worker.trainer_arguments).
"""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Protocol


class GpuSettings(Protocol):
    """The settings that are checked."""

    @property
    def method(self) -> str: ...
    @property
    def load_in_4bit(self) -> bool: ...
    @property
    def liger_kernel(self) -> bool: ...


def gpu_problems(settings: GpuSettings, path: str) -> Iterator[str]:
    """Settings that cannot go together."""
    if settings.load_in_4bit and settings.method != "lora":
        yield f"{path}.load_in_4bit: weights in 4 bits cannot be trained; set {path}.method=lora, or load_in_4bit=false"


def gpu_lacks(settings: GpuSettings, path: str) -> Iterator[str]:
    """What this machine lacks. PyTorch is imported only if one of the settings asks for a GPU."""
    asked = {"load_in_4bit": ("bitsandbytes", "bitsandbytes"), "liger_kernel": ("liger_kernel", "liger-kernel")}
    for name, (module, package) in asked.items():
        if not getattr(settings, name):
            continue
        if not _has_cuda():
            yield f"{path}.{name}: needs a CUDA GPU, and PyTorch finds none on this machine; set {path}.{name}=false"
        elif find_spec(module) is None:
            yield f"{path}.{name}: needs the package {package}; pip install {package}, or set {path}.{name}=false"


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()
