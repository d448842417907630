"""Servers that answer every call after a fixed time, with replies that are rendered in advance.

    with fixed_servers(4, latency_s=0.25) as urls:      # in one process of their own, on the last core
        OpenAICompatible("fixed", base_url=urls[0], api_key_env=None)

A reply has 4 samples of 40 tokens with their log-probabilities, and is chosen by the kind of the step alone, so that a
trajectory of search QA has eight calls: two searches with summaries, the answer, both checks. Within the block this
process stays on the first core. A server has no limit on calls at once.
Not here: what is measured (throughput, replicas), and a server that loads a model (servers).
"""

import asyncio
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from random import Random

from rest_react.tasks.search_qa.actions import (
    Action,
    Answer,
    CheckAnswer,
    LinkSelection,
    Search,
    Terminate,
    render_output,
)

LATENCY_S = 0.05
SAMPLES, TOKENS = 4, 40
QUERIES = ("author of The Lantern of Dravol", "birthplace of Imra Tesken")
THOUGHTS = "I need the author of the novel first, and then the town where that author was born, attempt"
FINDING = "The novel is by Imra Tesken and is set in Velmar, which the source says in its first sentence, finding"


@contextmanager
def fixed_servers(count: int = 1, latency_s: float = LATENCY_S) -> Iterator[list[str]]:
    """The base URL of each server. They end with the block."""
    cores = sorted(os.sched_getaffinity(0))
    spawned = multiprocessing.get_context("spawn")  # a process with threads cannot safely be forked
    ours, theirs = spawned.Pipe()
    process = spawned.Process(target=_serve, args=(theirs, count, latency_s, cores[-1]), daemon=True)
    process.start()
    theirs.close()
    os.sched_setaffinity(0, cores[:1])
    try:
        yield [f"http://127.0.0.1:{port}/v1" for port in ours.recv()]
    finally:
        os.sched_setaffinity(0, cores)
        process.terminate()
        process.join()


def _serve(ready: Connection, count: int, latency_s: float, core: int) -> None:
    """Serves until it is terminated; sends the ports through `ready`."""
    os.sched_setaffinity(0, {core})

    async def forever() -> None:
        loop = asyncio.get_running_loop()
        servers = [
            await loop.create_server(lambda: FixedReplies(latency_s), "127.0.0.1", 0, backlog=1024)
            for _ in range(count)
        ]
        ready.send([server.sockets[0].getsockname()[1] for server in servers])
        await loop.create_future()

    asyncio.run(forever())


class FixedReplies(asyncio.Protocol):
    """One connection: looks into each request just enough to see its length and what kind of step it is."""

    def __init__(self, latency_s: float) -> None:
        self.latency_s = latency_s

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
            asyncio.get_running_loop().call_later(self.latency_s, self.answer, reply_to(body))

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
