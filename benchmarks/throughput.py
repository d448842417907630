"""Measures the client's cost per call of a served model, and the calls per second that one core can make.

    python -m benchmarks.throughput                             N = 1 ... 256 trajectories in flight, a table
    python -m benchmarks.throughput --memory 1000 10000         peak memory of Grows of so many trajectories

A server in its own process on its own core answers every call after 50 ms (fixed_servers). The client, on another core,
is a real Grow: agent, HTTP, parsing, selection, storage, and the final summary. Every trajectory has eight calls.

`of ideal` is calls/s divided by N / latency; `CPU ms` is the client's processor time per call. If other processes run
on the machine, calls/s are too low and CPU ms are the reliable figure. `--exemplars` uses the prompts of an untuned
policy instead of a tuned policy's bare state. Search results come from memory.
Not here: several servers (replicas), and a real model's speed.
"""

import argparse
import asyncio
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.fixed_servers import LATENCY_S, SAMPLES, TOKENS, fixed_servers
from rest_react.llm.openai_api.openai_compatible import OpenAICompatible
from rest_react.llm.replicas import Replicas
from rest_react.metrics.prices import NO_PRICE
from rest_react.protocols import LLM
from rest_react.records import Hit, Question
from rest_react.stages.grow import grow
from rest_react.storage.summaries import read_summary
from rest_react.tasks.protocol import Policy
from rest_react.tasks.rollout import StepPrompts
from rest_react.tasks.search_qa.agent import SearchAgent
from rest_react.tasks.search_qa.prompt_files import CLOSINGS, PACKAGED_PROMPTS, with_numbers
from rest_react.tasks.search_qa.settings import SearchQASettings
from rest_react.tasks.search_qa.task import SearchQA

MAX_SEARCHES = 10
IN_FLIGHT = (1, 8, 32, 64, 128, 256)
FREE = dict.fromkeys(("policy", "reward_model", "grader"), NO_PRICE)
SNIPPET = (
    "Imra Tesken wrote The Lantern of Dravol, a novel set in Velmar. It was printed in 1874, and read in 12 languages."
)
HITS = tuple(Hit(f"p{i}", f"The Lantern of Dravol {i}", SNIPPET) for i in range(3))


def main() -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--in-flight", type=int, nargs="+", default=IN_FLIGHT)
    parser.add_argument("--memory", type=int, nargs="+", help="trajectories; measures memory instead")
    parser.add_argument("--exemplars", action="store_true", help="as for an untuned policy")
    arguments = parser.parse_args()
    with fixed_servers() as urls:
        if arguments.memory:
            print("| trajectories | peak MiB |\n|---|---|")
            for trajectories in arguments.memory:
                print(f"| {trajectories} | {in_fresh_process(peak_mib, urls, trajectories):.1f} |", flush=True)
            return
        print("| in flight | calls | calls/s | of ideal | CPU ms |\n|---|---|---|---|---|")
        run_grow(urls, 32, 32, exemplars=arguments.exemplars)  # warm up: imports and specialised code
        for in_flight in arguments.in_flight:
            calls, seconds, cpu = run_grow(urls, in_flight, max(10, 4 * in_flight), exemplars=arguments.exemplars)
            ideal = in_flight / LATENCY_S
            share, ms = calls / seconds / ideal, 1000 * cpu / calls
            print(f"| {in_flight} | {calls} | {calls / seconds:.0f} | {share:.2f} | {ms:.2f} |", flush=True)


class InMemory:
    """A `Search` at almost no cost: the same hits for every query."""

    async def search(self, query: str, k: int) -> list[Hit]:
        return list(HITS[:k])


def run_grow(
    urls: Sequence[str], in_flight: int, trajectories: int, *, exemplars: bool = False
) -> tuple[int, float, float]:
    """One Grow, whose policy is these servers: (calls, wall seconds, processor seconds)."""
    question = Question("q", "In which town was the author of The Lantern of Dravol born?")

    async def work(stage: Path) -> None:
        clients = [OpenAICompatible("fixed", base_url=url, api_key_env=None, max_in_flight=in_flight) for url in urls]
        llm: LLM = Replicas(clients) if len(clients) > 1 else clients[0]
        prompts = SearchQASettings("search_qa").load_prompts(PACKAGED_PROMPTS)
        prompts = with_numbers(prompts, hits_per_search=3, max_searches=MAX_SEARCHES)
        task = SearchQA(SearchAgent(InMemory(), StepPrompts(prompts, CLOSINGS), max_searches=MAX_SEARCHES))
        policy = Policy(llm, SAMPLES, 0.5, 2 * TOKENS, "perplexity", tuned=not exemplars)
        try:
            await grow(task, policy, [question], stage, repeats=trajectories, seed=7, in_flight=in_flight, prices=FREE)
        finally:
            await llm.aclose()

    with tempfile.TemporaryDirectory() as folder:
        cpu, wall = time.process_time(), time.perf_counter()
        asyncio.run(work(Path(folder)))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        summary = read_summary(Path(folder)) or {}
    if summary["finished"] != summary["trajectories"] or summary["unparsable_share"]:
        raise SystemExit(f"some trajectories failed or had unparsable samples, so the timing is invalid: {summary}")
    return summary["calls"], wall, cpu


def in_fresh_process(measure: Callable[..., float], *arguments: object) -> float:
    """Runs a measurement in a fresh process, so that its peak memory does not include this one's."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, arguments)


def peak_mib(urls: Sequence[str], trajectories: int) -> float:
    """The peak memory of this process after a Grow, in MiB."""
    run_grow(urls, 128, trajectories)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


if __name__ == "__main__":
    main()
