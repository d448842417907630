"""The embedded engine against its own arithmetic: how much longer does a Grow take than its tokens alone would?

    python -m benchmarks.engine --run outputs/default            with the run's overrides, and its model of iteration 0

Three times, one process, one model, one number type:

    bare      prompt tokens ÷ prefill rate + generated tokens ÷ decode rate, both rates of plain forward passes; decode
              behind CONTEXT tokens in a static cache, with whichever of some batch sizes is fastest
    engine    the Grow of the settings through the engine, into a folder that is thrown away
    padded    `--padded` of the same calls, evenly spread, through `generate`, n samples each, left-padded batches of 32

`ratio` and `padded_ratio` are seconds ÷ bare seconds of the same tokens. `shared` is the part of the prompt tokens that
the engine did not have to read, since another request with the same beginning had been read before; `shared_steps` is
that part with each call's samples counted once: what steps of one trajectory share. Not here: quality, fine-tuning.
"""

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, StaticCache

from rest_react.build import Parts
from rest_react.config.cli import compose
from rest_react.llm.transformers_engine import TransformersEngine, TransformersModel
from rest_react.questions import unlabelled
from rest_react.records import Prompt, Trajectory
from rest_react.seeds import derive_seed
from rest_react.stages.grow import grow
from rest_react.stages.rollouts import TRAJECTORIES
from rest_react.storage.jsonl import read_lines
from rest_react.storage.run_folder import RunFolder
from rest_react.weights import encode_prompt

PREFILL, CONTEXT, ROUNDS = 512, 384, 8
DType = Literal["float32", "bfloat16"]
DECODED_AT_ONCE = 16, 32, 48, 64, 96


def main() -> None:
    """Prints one line of JSON."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--run", type=Path, default=Path("outputs/default"))
    arguments.add_argument("--iteration", type=int, default=0, help="whose model grows")
    arguments.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="of all three")
    arguments.add_argument("--padded", type=int, default=64, help="calls to repeat with padded generate")
    arguments.add_argument("overrides", nargs="*", help="settings, as for a run")
    given = arguments.parse_args()
    folder = given.run / f"iter_{given.iteration}" / "finetune" / "model"
    if not folder.exists():
        arguments.error(f"{folder}: no weights there; bring the run to its iteration {given.iteration} first")
    settings = compose(given.overrides)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=given.dtype)
    with torch.inference_mode():
        prefill, decode = prefill_rate(model), max(decode_rate(model, sequences) for sequences in DECODED_AT_ONCE)
    with tempfile.TemporaryDirectory() as stage:
        engine = through_engine(Parts(settings, RunFolder(Path(stage))), folder, Path(stage), given.dtype)
        trajectories = list(read_lines(Path(stage) / TRAJECTORIES, Trajectory))
    states = [step.state for trajectory in trajectories for step in trajectory.steps if step.candidates]
    spread = [states[i * len(states) // given.padded] for i in range(min(given.padded, len(states)))]
    samples = settings.grow.samples
    padded = padded_generate(
        model, AutoTokenizer.from_pretrained(folder), spread, samples, settings.grow.temperature,
        settings.agent.max_tokens,
    )  # fmt: skip
    read = engine.pop("read_tokens")
    bare, bare_padded = (
        took["prompt_tokens"] / prefill + took["generated_tokens"] / decode for took in (engine, padded)
    )
    report = {
        "prefill_tokens_s": round(prefill),
        "decode_tokens_s": round(decode),
        **engine,
        "bare_s": round(bare, 1),
        "ratio": round(engine["engine_s"] / bare, 2),
        "shared": round(1 - read / (samples * engine["prompt_tokens"]), 3),
        "shared_steps": round(1 - read / engine["prompt_tokens"], 3),
        **{f"padded_{name}": value for name, value in padded.items()},
        "padded_ratio": round(padded["s"] / bare_padded, 2),
    }
    print(json.dumps(report))


def prefill_rate(model: Any) -> float:
    """Tokens/s of the best of some forward passes over one prompt; logits for its last token alone."""
    prompt = torch.randint(model.config.vocab_size, (1, PREFILL))
    return PREFILL / min(_seconds(lambda: model(prompt, logits_to_keep=1)) for _ in range(ROUNDS))


def decode_rate(model: Any, sequences: int) -> float:
    """Tokens/s of the best of some forward passes over one token each of `sequences`. A static cache is read to its
    end, CONTEXT, however much of it is filled."""
    cache = StaticCache(config=model.config, max_cache_len=CONTEXT)
    token = torch.randint(model.config.vocab_size, (sequences, 1))
    return sequences / min(_seconds(lambda: model(token, past_key_values=cache, use_cache=True)) for _ in range(ROUNDS))


def _seconds(work: Any) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def through_engine(parts: Parts, weights: Path, stage: Path, dtype: DType) -> dict[str, Any]:
    """The Grow of the settings; seconds and tokens. Loading the weights is not counted."""
    s, p = parts.settings, parts.settings.policy
    assert isinstance(p, TransformersModel), "policy=smollm2"
    door = TransformersEngine(
        str(weights), mode=p.mode, cache_tokens=p.cache_tokens, batch_requests=p.batch_requests,
        batch_tokens=p.batch_tokens, dtype=dtype,
    )  # fmt: skip
    questions = parts.questions(s.grow.questions)
    task = parts.task(questions.passages)
    policy = parts.sampled(door, samples=s.grow.samples, temperature=s.grow.temperature, tuned=True)
    read = 0

    def count(_: Any, arguments: Any, named: Any) -> None:
        nonlocal read
        read += int((named["input_ids"] if "input_ids" in named else arguments[0]).numel())

    async def work() -> float:
        await asyncio.to_thread(door._start)
        door._manager.model.register_forward_pre_hook(count, with_kwargs=True)
        start = time.perf_counter()
        await grow(
            task, policy, unlabelled(questions.labelled), stage, repeats=s.grow.trajectories_per_question,
            seed=derive_seed(s.seed, "grow", 1), in_flight=p.in_flight, prices=parts.prices,
        )  # fmt: skip
        seconds = time.perf_counter() - start
        await door.aclose()
        return seconds

    seconds = asyncio.run(work())
    summary = json.loads((stage / "summary.json").read_text())
    generated = summary["completion_tokens"]
    return {
        "calls": summary["calls"],
        "prompt_tokens": summary["prompt_tokens"],
        "generated_tokens": generated,
        "engine_s": round(seconds, 1),
        "read_tokens": read - generated,
    }


def padded_generate(
    model: Any, tokenizer: Any, states: list[str], samples: int, temperature: float, max_tokens: int
) -> dict[str, Any]:
    """The same calls the usual way; each batch runs until its longest sample ends."""
    tokenizer.padding_side = "left"
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    prompts = [encode_prompt(tokenizer, Prompt("", state), "completion") for state in states]
    generated, start = 0, time.perf_counter()
    for first in range(0, len(prompts), 32 // samples):
        batch = tokenizer.pad({"input_ids": prompts[first : first + 32 // samples]}, return_tensors="pt")
        with torch.inference_mode():
            out = model.generate(
                **batch, do_sample=True, temperature=temperature, num_return_sequences=samples,
                max_new_tokens=max_tokens, pad_token_id=tokenizer.pad_token_id,
            )  # fmt: skip
        new = out[:, batch["input_ids"].shape[1] :]
        generated += sum(_length(row, tokenizer.eos_token_id) for row in new.tolist())
    return {
        "calls": len(prompts),
        "prompt_tokens": sum(map(len, prompts)),
        "generated_tokens": generated,
        "s": round(time.perf_counter() - start, 1),
    }


def _length(generated: list[int], end: int) -> int:
    """Up to the end and with it: what stands behind is padding."""
    return generated.index(end) + 1 if end in generated else len(generated)


if __name__ == "__main__":
    main()
