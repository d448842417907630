"""Measures the client's cost per call of a served model, and the calls per second that one core can make.

    python -m benchmarks.throughput                             N = 1 ... 256 trajectories in flight, a table
    python -m benchmarks.throughput --memory 1000 10000         peak memory of Grows of so many trajectories

A server in its own process on its own core answers every call after 50 ms with 4 samples of 40 tokens and their
log-probabilities, all rendered in advance. The client, on another core, is a real Grow: agent, HTTP, parsing,
selection, storage, and the final summary. Every trajectory has eight calls: two searches with summaries, the answer,
both checks.

`of ideal` is calls/s divided by N / latency; `CPU ms` is the client's processor time per call. If other processes run
on the machine, calls/s are too low and CPU ms are the reliable figure. `--exemplars` uses the prompts of an untuned
policy instead of a tuned policy's bare state. Search results come from memory. Not here: a real model's speed.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

from rest_react.llm.openai_api.openai_compatible import OpenAICompatible
from rest_react.metrics.prices import NO_PRICE
from rest_react.records import Hit, Question
from rest_react.stages.grow import grow
from rest_react.storage.summaries import read_summary
from rest_react.tasks.protocol import Policy
from rest_react.tasks.search_qa.actions import (
    Action,
    Answer,
    CheckAnswer,
    LinkSelection,
    Search,
    Terminate,
    render_output,
)
from rest_react.tasks.search_qa.agent import SearchAgent
from rest_react.tasks.search_qa.prompt_files import load_prompts, with_numbers
from rest_react.tasks.search_qa.task import SearchQA

LATENCY_S = 0.05
SAMPLES, TOKENS = 4, 40
MAX_SEARCHES = 10
IN_FLIGHT = (1, 8, 32, 64, 128, 256)
FREE = dict.fromkeys(("policy", "reward_model", "grader"), NO_PRICE)
QUERIES = ("author of The Lantern of Dravol", "birthplace of Imra Tesken")
SNIPPET = (
    "Imra Tesken wrote The Lantern of Dravol, a novel set in Velmar. It was printed in 1874, and read in 12 languages."
)
HITS = tuple(Hit(f"p{i}", f"The Lantern of Dravol {i}", SNIPPET) for i in range(3))
THOUGHTS = "I need the author of the novel first, and then the town where that author was born, attempt"
FINDING = "The novel is by Imra Tesken and is set in Velmar, which the source says in its first sentence, finding"


def main() -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--in-flight", type=int, nargs="+", default=IN_FLIGHT)
    parser.add_argument("--memory", type=int, nargs="+", help="trajectories; measures memory instead")
    parser.add_argument("--exemplars", action="store_true", help="as for an untuned policy")
    arguments = parser.parse_args()
    client_core, server_core = sorted(os.sched_getaffinity(0))[:2]
    parent_end, child_end = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(child_end, server_core), daemon=True)
    server.start()
    os.sched_setaffinity(0, {client_core})
    url = f"http://127.0.0.1:{parent_end.recv()}/v1"
    try:
        if arguments.memory:
            print("| trajectories | peak MiB |\n|---|---|")
            for trajectories in arguments.memory:
                print(f"| {trajectories} | {in_fresh_process(peak_mib, url, trajectories):.1f} |", flush=True)
            return
        print("| in flight | calls | calls/s | of ideal | CPU ms |\n|---|---|---|---|---|")
        run_grow(url, 32, 32, exemplars=arguments.exemplars)  # warm up: imports and specialised code
        for in_flight in arguments.in_flight:
            calls, seconds, cpu = run_grow(url, in_flight, max(10, 4 * in_flight), exemplars=arguments.exemplars)
            ideal = in_flight / LATENCY_S
            share, ms = calls / seconds / ideal, 1000 * cpu / calls
            print(f"| {in_flight} | {calls} | {calls / seconds:.0f} | {share:.2f} | {ms:.2f} |", flush=True)
    finally:
        server.terminate()


class InMemory:
    """A `Search` at almost no cost: the same hits for every query."""

    async def search(self, query: str, k: int) -> list[Hit]:
        return list(HITS[:k])


def run_grow(url: str, in_flight: int, trajectories: int, *, exemplars: bool = False) -> tuple[int, float, float]:
    """One Grow: (calls, wall seconds, processor seconds)."""
    question = Question("q", "In which town was the author of The Lantern of Dravol born?")

    async def work(stage: Path) -> None:
        llm = OpenAICompatible("fixed", base_url=url, api_key_env=None, max_in_flight=in_flight)
        prompts = with_numbers(load_prompts(), hits_per_search=3, max_searches=MAX_SEARCHES)
        task = SearchQA(SearchAgent(InMemory(), prompts, max_searches=MAX_SEARCHES))
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


def peak_mib(url: str, trajectories: int) -> float:
    """The peak memory of this process after a Grow, in MiB."""
    run_grow(url, 128, trajectories)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def serve(ready: Connection, core: int) -> None:
    """Serves until it is terminated; sends its port through `ready`."""
    os.sched_setaffinity(0, {core})

    async def forever() -> None:
        server = await asyncio.get_running_loop().create_server(FixedReplies, "127.0.0.1", 0, backlog=1024)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(forever())


class FixedReplies(asyncio.Protocol):
    """One connection: looks into each request just enough to see its length and what kind of step it is."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        if not end:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(body) >= length:
            self.received = b""
            asyncio.get_running_loop().call_later(LATENCY_S, self.answer, reply_to(body))

    def answer(self, reply: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(reply)


def reply_to(body: bytes) -> bytes:
    """The reply that is ready for this kind of step."""
    state = body.rpartition(b'"role":"user"')[2]
    kind = state.rpartition(b"# step: ")[2].partition(b"\\n")[0]
    return REPLIES[kind, state.count(b"SelectLink(")]


def rendered(action_of: Callable[[int], Action]) -> bytes:
    """A whole HTTP reply: as many samples as are asked for, each of so many tokens, as vLLM words it."""
    draw = Random(0)
    choices = []
    for i in range(SAMPLES):
        text = render_output(action_of(i))
        size = -(-len(text) // TOKENS)
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        pieces += [""] * (TOKENS - len(pieces))
        tokens = [
            {"token": piece, "logprob": -draw.random(), "bytes": list(piece.encode()), "top_logprobs": []}
            for piece in pieces
        ]
        message = {"role": "assistant", "content": text, "refusal": None}
        choices.append({"index": i, "message": message, "logprobs": {"content": tokens}, "finish_reason": "stop"})
    usage = {"prompt_tokens": 400, "completion_tokens": SAMPLES * TOKENS, "total_tokens": 400 + SAMPLES * TOKENS}
    body = json.dumps(
        {"id": "x", "object": "chat.completion", "created": 0, "model": "fixed", "choices": choices, "usage": usage}
    ).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


# By the kind of step and the searches that lie behind it.
REPLIES = {
    (b"decision", 0): rendered(lambda i: Search(QUERIES[0], f"{THOUGHTS} {i}.")),
    (b"summary", 0): rendered(lambda i: LinkSelection(f"{FINDING} {i}.", THOUGHTS, (1,))),
    (b"decision", 1): rendered(lambda i: Search(QUERIES[1], f"{THOUGHTS} {i}.")),
    (b"summary", 1): rendered(lambda i: LinkSelection(f"{FINDING} {i}.", THOUGHTS, (4,))),
    (b"decision", 2): rendered(lambda i: Terminate(f"{THOUGHTS} {i}.")),
    (b"answer", 2): rendered(lambda i: Answer(f"{THOUGHTS} {i}.", "Imra Tesken was born in Velmar [link_id=1].")),
    (b"relevance check", 2): rendered(lambda i: CheckAnswer(True, (f"{FINDING} {i}.",))),
    (b"grounding check", 2): rendered(lambda i: CheckAnswer(True, (f"{FINDING} {i}.",))),
}


if __name__ == "__main__":
    main()
