"""Compares a Grow through the embedded engine with the time that plain forward passes need for the same tokens.

    python -m benchmarks.engine --run outputs/default            with the run's overrides, and its model of iteration 0

Three measurements in one process, with one model and one number type:

    bare      prompt tokens ÷ prefill rate + generated tokens ÷ decode rate, both rates of plain forward passes; decode
              behind CONTEXT tokens in a static cache, with whichever of some batch sizes is fastest
    engine    the Grow of the settings through the engine, into a temporary folder
    padded    `--padded` of the same calls, evenly spread, through `generate`, n samples each, left-padded batches of 32

`ratio` and `padded_ratio` are seconds ÷ bare seconds of the same tokens. `shared` is the share of prompt tokens that
came from the prefix cache; `shared_steps` is that share with each call's samples counted once, which is what the steps
of one trajectory share. Not here: quality, fine-tuning.
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
from rest_react.config.compose import compose
from rest_react.llm.local_engine.settings import TransformersModel
from rest_react.llm.transformers_engine import TransformersEngine
from rest_react.questions import unlabelled
from rest_react.records import Prompt, Trajectory
from rest_react.seeds import derive_seed
from rest_react.stages.choose_model import weights_of_iteration
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
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--run", type=Path, default=Path("outputs/default"))
    parser.add_argument("--iteration", type=int, default=0, help="the iteration whose model grows")
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16"), default="float32", help="number type of all three measurements"
    )
    parser.add_argument("--padded", type=int, default=64, help="calls to repeat with padded generate")
    parser.add_argument("overrides", nargs="*", help="settings, as for a run")
    arguments = parser.parse_args()
    folder = weights_of_iteration(arguments.run / f"iter_{arguments.iteration}")
    if folder is None:
        parser.error(f"{arguments.run}: no weights; run up to iteration {arguments.iteration} first")
    settings = compose(arguments.overrides)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=arguments.dtype)
    with torch.inference_mode():
        prefill, decode = prefill_rate(model), max(decode_rate(model, sequences) for sequences in DECODED_AT_ONCE)
    with tempfile.TemporaryDirectory() as stage:
        engine = through_engine(Parts(settings, RunFolder(Path(stage))), folder, Path(stage), arguments.dtype)
        trajectories = list(read_lines(Path(stage) / TRAJECTORIES, Trajectory))
    states = [step.state for trajectory in trajectories for step in trajectory.steps if step.candidates]
    spread = [states[i * len(states) // arguments.padded] for i in range(min(arguments.padded, len(states)))]
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
    """Tokens/s of the fastest of ROUNDS forward passes over one prompt, with logits for its last token only."""
    prompt = torch.randint(model.config.vocab_size, (1, PREFILL))
    return PREFILL / min(_seconds(lambda: model(prompt, logits_to_keep=1)) for _ in range(ROUNDS))


def decode_rate(model: Any, sequences: int) -> float:
    """Tokens/s of the fastest of ROUNDS forward passes over one token of each of `sequences` sequences.

    The static cache is always read up to its size, CONTEXT tokens.
    """
    cache = StaticCache(config=model.config, max_cache_len=CONTEXT)
    token = torch.randint(model.config.vocab_size, (sequences, 1))
    return sequences / min(_seconds(lambda: model(token, past_key_values=cache, use_cache=True)) for _ in range(ROUNDS))


def _seconds(work: Any) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def through_engine(parts: Parts, weights: Path, stage: Path, dtype: DType) -> dict[str, Any]:
    """Seconds and tokens of the Grow of the settings, without loading the weights."""
    s, p = parts.settings, parts.settings.policy
    assert isinstance(p, TransformersModel), "policy=smollm2"
    engine = TransformersEngine(
        str(weights), mode=p.mode, cache_tokens=p.cache_tokens, batch_requests=p.batch_requests,
        batch_tokens=p.batch_tokens, dtype=dtype,
    )  # fmt: skip
    questions = parts.question_sets.open(s.grow.questions)
    task = parts.task(questions.passages)
    policy = parts.policy(engine, samples=s.grow.samples, temperature=s.grow.temperature, tuned=True)
    read = 0

    def count(_: Any, arguments: Any, named: Any) -> None:
        nonlocal read
        read += int((named["input_ids"] if "input_ids" in named else arguments[0]).numel())

    async def work() -> float:
        await asyncio.to_thread(engine._start)
        engine._manager.model.register_forward_pre_hook(count, with_kwargs=True)
        start = time.perf_counter()
        await grow(
            task, policy, unlabelled(questions.labelled), stage, repeats=s.grow.trajectories_per_question,
            seed=derive_seed(s.seed, "grow", 1), in_flight=p.in_flight, prices=parts.prices,
        )  # fmt: skip
        seconds = time.perf_counter() - start
        await engine.aclose()
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
    """Seconds and tokens of the calls through `generate`; each batch runs until its longest sample ends."""
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
    """The number of tokens up to and including the end token; the rest is padding."""
    return generated.index(end) + 1 if end in generated else len(generated)


if __name__ == "__main__":
    main()
