"""The simulation of replicas, at its smallest."""

import os

import pytest

from benchmarks.fixed_servers import fixed_servers
from benchmarks.replicas import measured


def test_a_grow_over_simulated_replicas_is_measured_in_shares_of_a_free_client() -> None:
    cores = os.sched_getaffinity(0)
    with fixed_servers(3, latency_s=0.02) as urls:
        found = measured(urls, in_flight=2, latency_s=0.02, rounds=2)
    assert (found.replicas, found.in_flight, found.calls) == (3, 6, 3 * 2 * 2 * 8)
    assert found.of_ideal == pytest.approx(found.calls_per_s / (6 / 0.02))
    assert 0 < found.of_ideal < 1  # no call can take less than the latency
    assert found.core == pytest.approx(found.cpu_ms / 1000 * found.calls_per_s)
    assert os.sched_getaffinity(0) == cores
