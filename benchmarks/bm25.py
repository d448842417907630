"""Measures time and memory to build, index and search a world of 100,000 passages with BM25.

    python -m benchmarks.bm25            prints one line of JSON; --passages 10000 for another size

Each part runs in its own process, so peak memory is measured per part. The queries are those of the world's plans.
Not here: whether search finds the right passage (tests/tasks/search_qa/world/test_world.py).
"""

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rest_react.search.bm25 import Bm25Search
from rest_react.tasks.search_qa.world import World, build_world

QUESTIONS = 200
HITS = 3


def main() -> None:
    """Runs the parts one after another and prints their numbers as one line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--part", choices=("build", "query"))
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    if arguments.part is not None:
        print(
            json.dumps(build(arguments.passages, arguments.folder) if arguments.part == "build" else query(arguments))
        )
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.bm25", "--passages", str(arguments.passages), "--folder", folder]
        parts = [
            subprocess.run([*command, "--part", part], check=True, capture_output=True, text=True)
            for part in ("build", "query")
        ]
    print(json.dumps({"passages": arguments.passages, **json.loads(parts[0].stdout), **json.loads(parts[1].stdout)}))


def world(passages: int) -> World:
    """The built-in world of that size."""
    return build_world(0, passages=passages, demonstrations=0, train=0, evaluation=QUESTIONS)


def build(passages: int, folder: Path) -> dict[str, float]:
    """Seconds to build the world and its saved index; the process's peak memory in GiB."""
    start = time.perf_counter()
    made = world(passages)
    between = time.perf_counter()
    Bm25Search(made.passages, folder)
    done = time.perf_counter()
    return {
        "world_s": round(between - start, 2),
        "index_s": round(done - between, 2),
        "build_peak_gib": round(peak_gib(), 3),
    }


def query(arguments: argparse.Namespace) -> dict[str, float]:
    """Seconds to open the saved index, milliseconds per query, and the process's peak memory in GiB."""
    made = world(arguments.passages)
    start = time.perf_counter()
    search = Bm25Search(made.passages, arguments.folder)
    opened = time.perf_counter() - start
    times = []
    for plan in made.plans.values():
        for hop in plan.hops:
            began = time.perf_counter()
            asyncio.run(search.search(hop.query, HITS))
            times.append(1000 * (time.perf_counter() - began))
    return {
        "open_s": round(opened, 2),
        "queries": len(times),
        "query_ms_median": round(statistics.median(times), 2),
        "query_ms_p99": round(statistics.quantiles(times, n=100)[-1], 2),
        "query_peak_gib": round(peak_gib(), 3),
    }


def peak_gib() -> float:
    """The peak resident memory of this process in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
