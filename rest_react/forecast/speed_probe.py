"""Measures the speed of this machine with the embedded model: tokens per second for prefill, decoding and training.

    rates = measured_speed(Probed("smollm2-135m-instruct", threads=0))        # Rates(prefill=910.0, decode=240.0, ...)

The measurement takes about ten seconds in a separate process, so its memory is free again before the run starts. The
result is cached for a day, one file per processor, model and setting. It is not cached if other processes were busy,
because it would be wrong as soon as they end. The measurement does what the engine and the trainer do: it reads 512
tokens at once, writes 32 sequences together, and trains on two steps with a common prefix.

    python -m rest_react.forecast.speed_probe '{"model": "smollm2-135m-instruct", "threads": 0}'  # prints JSON

Not here: what the rates mean for a run (estimate), GPUs, and models that are not packaged: loading those may take
minutes.
"""

import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from rest_react.errors import DiskError
from rest_react.storage.files import write_file
from rest_react.weights import resolve_weights
from rest_react.weights.cache_folder import cache_folder
from rest_react.weights.embedded import EMBEDDED
from rest_react.weights.loss_mask import IGNORED

PROBED = (EMBEDDED,)
_KEPT_S = 24 * 3600.0
_LONGEST_S = 300.0
_PREFILL, _BATCH, _CONTEXT, _DECODED = 512, 32, 256, 4
_SHARED, _OWN = 240, 120  # tokens of two training rows: their common beginning, and the rest of each


@dataclass(frozen=True, slots=True)
class Rates:
    """Tokens per second: `prefill` (read), `decode` (written, all sequences together), `train` (trained on)."""

    prefill: float
    decode: float
    train: float


@dataclass(frozen=True, slots=True)
class Probed:
    """What is measured: a model, with so many threads (0: all cores), LoRA or all weights, and the types of number that
    the engine and the training compute with."""

    model: str
    threads: int
    lora: bool = False
    engine: Literal["float32", "bfloat16"] = "float32"
    training: Literal["float32", "bfloat16"] = "float32"


def measured_speed(probed: Probed, *, busy: bool | None = None) -> Rates | None:
    """The rates of this machine, measured now or within the last day; None if the measurement failed. `busy` says
    whether other processes slow it down; None asks the system."""
    kept = _place(probed)
    if (rates := kept_rates(kept)) is not None:
        return rates
    resolve_weights(probed.model)  # may convert the model once, which must not be measured
    busy = os.getloadavg()[0] > (os.cpu_count() or 1) / 2 if busy is None else busy
    command = [sys.executable, "-m", "rest_react.forecast.speed_probe", json.dumps(asdict(probed))]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_S, check=False)
        rates = msgspec.json.decode(done.stdout.splitlines()[-1], type=Rates)
    except (subprocess.TimeoutExpired, IndexError, msgspec.MsgspecError):
        return None
    if not busy:
        with suppress(DiskError):  # without a cache, each start measures again
            write_file(kept, json.dumps(asdict(rates)))
    return rates


def kept_rates(path: Path) -> Rates | None:
    """The rates measured within the last day; None if there is no file, or a truncated one."""
    if not path.exists() or time.time() - path.stat().st_mtime > _KEPT_S:
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Rates)
    except msgspec.MsgspecError:
        return None


def _place(probed: Probed) -> Path:
    named = [platform.node(), platform.machine(), _processor(), os.cpu_count(), *asdict(probed).values()]
    digest = hashlib.sha256("\x1f".join(map(str, named)).encode()).hexdigest()[:12]
    return cache_folder() / "speed" / f"{digest}.json"


def _processor() -> str:
    known = Path("/proc/cpuinfo")
    lines = known.read_text(errors="replace").splitlines() if known.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def probe(probed: Probed) -> Rates:
    """Measures in this process, on the CPU."""
    import torch
    from transformers import AutoModelForCausalLM

    if probed.threads:
        torch.set_num_threads(probed.threads)
    folder = resolve_weights(probed.model)
    engine: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=probed.engine)
    with torch.inference_mode():
        prefill = _prefill_rate(engine)
        decode = _decode_rate(engine)
    del engine
    trained: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    train = _train_rate(trained, probed.lora, bfloat16=probed.training == "bfloat16")
    return Rates(round(prefill, 1), round(decode, 1), round(train, 1))


def _prefill_rate(model: Any) -> float:
    import torch

    prompt = torch.arange(_PREFILL)[None] + 100
    return _PREFILL / _seconds(lambda: model(prompt, use_cache=False, logits_to_keep=1))


def _decode_rate(model: Any) -> float:
    """Decoded tokens per second of a batch; each sequence has a context."""
    import torch
    from transformers import DynamicCache

    cache = DynamicCache(config=model.config)
    heads = model.config.num_key_value_heads
    size = model.config.hidden_size // model.config.num_attention_heads
    for layer in range(model.config.num_hidden_layers):
        held = torch.zeros(_BATCH, heads, _CONTEXT, size, dtype=model.dtype)
        cache.update(held, held, layer)
    token = torch.full((_BATCH, 1), 100)

    def write() -> None:
        for _ in range(_DECODED):
            model(token, past_key_values=cache, use_cache=True)

    return _BATCH * _DECODED / _seconds(write)


def _train_rate(model: Any, lora: bool, *, bfloat16: bool) -> float:
    """Training tokens per second, forward and backward, with the common prefix read once as in training."""
    import torch

    from rest_react.training.worker.completion_loss import as_tree, summed_loss

    if lora:
        from peft import LoraConfig, get_peft_model

        model = get_peft_model(model, LoraConfig(r=16, target_modules="all-linear", task_type="CAUSAL_LM"))
    model.train()
    begin = list(range(100, 100 + _SHARED))
    ends = [list(range(start, start + _OWN)) for start in (600, 800)]
    rows = [{"input_ids": begin + end, "labels": [IGNORED] * (_SHARED + _OWN // 2) + end[_OWN // 2 :]} for end in ends]

    def step() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
            total, targets, _ = summed_loss(model, as_tree(rows))
        loss: Any = total / targets
        loss.backward()

    return 2 * (_SHARED + _OWN) / _seconds(step)


def _seconds(work: Callable[[], object]) -> float:
    """The seconds of the second call; the first one is a warm-up."""
    work()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    """Prints the rates of the CPU. Refuses machines with a GPU, because the model may run there."""
    import torch

    if torch.cuda.is_available():
        raise SystemExit("speed_probe measures only CPUs, but this machine has a GPU; set the speed.* settings")
    print(json.dumps(asdict(probe(msgspec.json.decode(sys.argv[1], type=Probed)))))


if __name__ == "__main__":
    main()
