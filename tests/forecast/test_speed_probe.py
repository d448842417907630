import json
import os
import subprocess
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from rest_react.forecast.speed_probe import Probed, Rates, kept_rates, measured_speed, probe
from rest_react.weights.tiny import TINY


def test_the_probe_measures_all_three_rates_of_a_model() -> None:
    rates = probe(Probed(TINY, 0, lora=True, training="bfloat16"))
    assert min(rates.prefill, rates.decode, rates.train) > 0


def test_a_measurement_is_cached_for_a_day_if_the_machine_was_quiet_and_repeated_if_it_is_older_or_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REST_REACT_CACHE", str(tmp_path))
    measured = measured_speed(Probed(TINY, 1), busy=True)
    assert measured is not None and not (tmp_path / "speed").exists()
    told = subprocess.CompletedProcess([], 0, stdout=f"a warning\n{json.dumps(asdict(measured))}\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: told)  # a second measurement would tell nothing new
    assert measured_speed(Probed(TINY, 1), busy=False) == measured
    (kept,) = (tmp_path / "speed").glob("*.json")
    assert kept_rates(kept) == measured
    kept.write_text('{"prefill": 1.0, "decode": 2.0, "train": 3.0}')
    assert measured_speed(Probed(TINY, 1), busy=False) == Rates(1.0, 2.0, 3.0)
    yesterday = time.time() - 25 * 3600
    os.utime(kept, (yesterday, yesterday))
    assert kept_rates(kept) is None
    kept.write_text('{"prefill": 1.0, "dec')
    assert kept_rates(kept) is None


def test_a_model_that_cannot_be_loaded_has_no_rates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REST_REACT_CACHE", str(tmp_path))
    assert measured_speed(Probed(str(tmp_path / "nothing"), 1)) is None
