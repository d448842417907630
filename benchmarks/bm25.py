"""BM25 and the built-in world at size: how long 100,000 passages take to make, index and search, and how much memory.

    python -m benchmarks.bm25            prints one line of JSON; --passages 10000 for another size

Each part runs in a process of its own, so that its peak memory is its own. Queries are an expert's, from the world's
plans. Not here: whether the right passage is found (tests/test_world.py).
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
    """Runs the parts one after another and joins what they print."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--passages", type=int, default=100_000)
    arguments.add_argument("--part", choices=("build", "query"))
    arguments.add_argument("--folder", type=Path)
    given = arguments.parse_args()
    if given.part is not None:
        print(json.dumps(build(given.passages, given.folder) if given.part == "build" else query(given)))
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.bm25", "--passages", str(given.passages), "--folder", folder]
        parts = [
            subprocess.run([*command, "--part", part], check=True, capture_output=True, text=True)
            for part in ("build", "query")
        ]
    print(json.dumps({"passages": given.passages, **json.loads(parts[0].stdout), **json.loads(parts[1].stdout)}))


def world(passages: int) -> World:
    """The world that is searched."""
    return build_world(0, passages=passages, demonstrations=0, train=0, evaluation=QUESTIONS)


def build(passages: int, folder: Path) -> dict[str, float]:
    """Seconds to make the world and to build and save its index; the process's peak memory in GiB."""
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


def query(given: argparse.Namespace) -> dict[str, float]:
    """Seconds to open the saved index, milliseconds a query, and the process's peak memory in GiB."""
    made = world(given.passages)
    start = time.perf_counter()
    search = Bm25Search(made.passages, given.folder)
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
    """Peak resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
