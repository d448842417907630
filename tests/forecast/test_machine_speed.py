from pathlib import Path
from typing import Any, ClassVar

import pytest

from rest_react.config.compose import compose
from rest_react.forecast import machine_speed
from rest_react.forecast.speed_probe import Probed, Rates
from rest_react.run import run


class NoStages:
    """A loop that runs nothing."""

    locked: ClassVar[dict[str, object]] = {}

    def __init__(self, *_: object) -> None:
        pass

    def data_digests(self) -> dict[str, str]:
        return {}

    async def run_to(self, iteration: int) -> None:
        pass


@pytest.mark.parametrize("words", [[], ["dry_run=true"]])
def test_a_command_measures_the_machine_once_for_its_estimate_and_its_script(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Probed] = []
    monkeypatch.setattr(machine_speed, "measured_speed", lambda probed: asked.append(probed) or Rates(500, 100, 50))
    monkeypatch.setattr("rest_react.run.has_slurm", lambda: True)
    words = [f"output={tmp_path}", "run=r", "iteration=0", *words]
    no_stages: Any = NoStages
    run(compose(words), words, loop=no_stages)
    said = capsys.readouterr()
    script = said.out if "dry_run=true" in words else (tmp_path / "r" / "sbatch.sh").read_text()
    assert "#SBATCH --time=" in script and "--time=24:00" not in script
    assert len(asked) == 1
