"""Measures how many servers one run can keep busy: calls per second with 1 to 32 replicas of fixed latency.

    python -m benchmarks.replicas                                        a table, about a minute
    python -m benchmarks.replicas --replicas 1 64 --in-flight 64 --latency 1 --rounds 2

The servers share a process and a core of their own (fixed_servers). The client, on another core, is a real Grow over
`Replicas`, with `--in-flight` trajectories for each server at once. Ideal is a client that costs nothing: in flight
÷ latency. `core` is the share of its core that the client used: near 1, the client is the limit; well below, other
processes had the core, or the servers were late, and only CPU ms is reliable. 1,000 ÷ CPU ms is the most calls per
second that one run can make.
Not here: several trajectories at once on one server (throughput), and a real model's speed.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.fixed_servers import fixed_servers
from benchmarks.throughput import run_grow

REPLICAS = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True, slots=True)
class Measured:
    """One Grow over so many replicas, with `in_flight` trajectories at once over all of them."""

    replicas: int
    in_flight: int
    calls: int
    calls_per_s: float
    of_ideal: float
    cpu_ms: float
    core: float


def main() -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--replicas", type=int, nargs="+", default=REPLICAS)
    parser.add_argument("--in-flight", type=int, default=16, help="trajectories at once for each replica")
    parser.add_argument("--latency", type=float, default=0.25, help="seconds")
    parser.add_argument("--rounds", type=int, default=4, help="trajectories for each of those at once")
    given = parser.parse_args()
    print("| replicas | in flight | calls | calls/s | of ideal | CPU ms | core |\n|---|---|---|---|---|---|---|")
    with fixed_servers(max(given.replicas), given.latency) as urls:
        run_grow(urls[:1], 32, 32)  # warm up: imports and specialised code
        for replicas in given.replicas:
            row = measured(urls[:replicas], in_flight=given.in_flight, latency_s=given.latency, rounds=given.rounds)
            print(
                f"| {row.replicas} | {row.in_flight} | {row.calls} | {row.calls_per_s:.0f} | {row.of_ideal:.2f} "
                f"| {row.cpu_ms:.2f} | {row.core:.2f} |",
                flush=True,
            )


def measured(urls: Sequence[str], *, in_flight: int, latency_s: float, rounds: int) -> Measured:
    """One Grow with `in_flight` trajectories at once for each replica, each followed by the next, `rounds` times."""
    together = len(urls) * in_flight
    calls, seconds, cpu = run_grow(urls, together, together * rounds)
    return Measured(
        replicas=len(urls),
        in_flight=together,
        calls=calls,
        calls_per_s=calls / seconds,
        of_ideal=calls / seconds / (together / latency_s),
        cpu_ms=1000 * cpu / calls,
        core=cpu / seconds,
    )


if __name__ == "__main__":
    main()
