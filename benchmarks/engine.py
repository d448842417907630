"""The embedded engine against its own arithmetic: how much longer does a Grow take than its tokens alone would?

    python -m benchmarks.engine --run outputs/default            the run's settings, questions and last policy

Three times, one process, one model, one number type:

    bare      prompt tokens ÷ prefill rate + generated tokens ÷ decode rate, both rates of plain forward passes
    engine    the Grow of the run's settings through the engine, into a folder that is thrown away
    padded    the first `--padded` of the same calls through `generate`, n samples each, left-padded batches of 32

`shared` is the part of the prompt tokens that the engine did not have to read, since another request with the same
beginning had been read before: samples of one call, steps of one trajectory. Not here: quality, fine-tuning.
"""

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from rest_react.agent import TRAJECTORIES
from rest_react.build import Parts
from rest_react.cli import compose
from rest_react.grow import grow
from rest_react.llm.transformers_engine import TransformersEngine
from rest_react.questions import unlabelled
from rest_react.records import Trajectory, derive_seed
from rest_react.store import RunFolder, read_lines

PREFILL, CONTEXT, ROUNDS = 512, 384, 8


def main() -> None:
    """Prints one line of JSON."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--run", type=Path, default=Path("outputs/default"))
    arguments.add_argument("--iteration", type=int, default=0, help="whose model grows")
    arguments.add_argument("--padded", type=int, default=64, help="calls to repeat with padded generate")
    arguments.add_argument("overrides", nargs="*", help="settings, as for a run")
    given = arguments.parse_args()
    folder = given.run / f"iter_{given.iteration}" / "finetune" / "model"
    settings = compose(given.overrides)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.inference_mode():
        prefill, decode = prefill_rate(model), decode_rate(model, settings.policy.in_flight)
    with tempfile.TemporaryDirectory() as stage:
        engine = through_engine(Parts(settings, RunFolder(Path(stage))), folder, Path(stage))
        trajectories = list(read_lines(Path(stage) / TRAJECTORIES, Trajectory))
    calls = [step for trajectory in trajectories for step in trajectory.steps if step.candidates]
    samples = settings.grow.samples
    padded = padded_generate(
        model, AutoTokenizer.from_pretrained(folder), [c.state for c in calls[: given.padded]],
        samples, settings.grow.temperature, settings.agent.max_tokens,
    )  # fmt: skip
    read = engine.pop("read_tokens")
    bare = engine["prompt_tokens"] / prefill + engine["generated_tokens"] / decode
    report = {
        "prefill_tokens_s": round(prefill),
        "decode_tokens_s": round(decode),
        **engine,
        "bare_s": round(bare, 1),
        "ratio": round(engine["engine_s"] / bare, 2),
        "shared": round(1 - read / (samples * engine["prompt_tokens"]), 3),
        **padded,
        "engine_generated_tokens_s": round(engine["generated_tokens"] / engine["engine_s"]),
    }
    print(json.dumps(report))


def prefill_rate(model: Any) -> float:
    """Tokens/s of the best of some forward passes over one prompt; logits for its last token alone."""
    prompt = torch.randint(1000, 40000, (1, PREFILL))
    return PREFILL / min(_seconds(lambda: model(prompt, logits_to_keep=1)) for _ in range(ROUNDS))


def decode_rate(model: Any, sequences: int) -> float:
    """Tokens/s of the best of some forward passes over one token each of `sequences`, behind a cache of CONTEXT."""
    cache = model(torch.randint(1000, 40000, (sequences, CONTEXT)), use_cache=True, logits_to_keep=1).past_key_values
    token = torch.randint(1000, 40000, (sequences, 1))
    return sequences / min(_seconds(lambda: model(token, past_key_values=cache, use_cache=True)) for _ in range(ROUNDS))


def _seconds(work: Any) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def through_engine(parts: Parts, weights: Path, stage: Path) -> dict[str, Any]:
    """The Grow of the settings; seconds and tokens. Loading the weights is not counted."""
    s, p = parts.settings, parts.settings.policy
    door = TransformersEngine(
        str(weights), mode=p.mode, cache_tokens=p.cache_tokens, batch_requests=p.batch_requests,
        batch_tokens=p.batch_tokens, dtype="float32",
    )  # fmt: skip
    questions = parts.questions(s.grow.questions)
    agent = parts.agent(
        door, parts.search(questions.passages), samples=s.grow.samples, temperature=s.grow.temperature, tuned=True
    )
    read = 0

    def count(_: Any, arguments: Any, named: Any) -> None:
        nonlocal read
        read += int((named["input_ids"] if "input_ids" in named else arguments[0]).numel())

    async def work() -> float:
        await asyncio.to_thread(door._start)
        door._manager.model.register_forward_pre_hook(count, with_kwargs=True)
        start = time.perf_counter()
        await grow(
            agent, unlabelled(questions.labelled), stage, repeats=s.grow.trajectories_per_question,
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
    generated, start = 0, time.perf_counter()
    for first in range(0, len(states), 32 // samples):
        batch = tokenizer(states[first : first + 32 // samples], return_tensors="pt", padding=True)
        with torch.inference_mode():
            out = model.generate(
                **batch, do_sample=True, temperature=temperature, num_return_sequences=samples,
                max_new_tokens=max_tokens, pad_token_id=tokenizer.pad_token_id,
            )  # fmt: skip
        new = out[:, batch["input_ids"].shape[1] :]
        generated += int((new != tokenizer.pad_token_id).sum())
    seconds = time.perf_counter() - start
    return {
        "padded_calls": len(states),
        "padded_s": round(seconds, 1),
        "padded_generated_tokens_s": round(generated / seconds),
    }


if __name__ == "__main__":
    main()
