"""The commands of docs/scaling.md."""

import shlex
from pathlib import Path

import pytest

from rest_react.config.compose import compose

PAGE = Path(__file__).parents[1] / "docs" / "scaling.md"
COMMANDS = [
    line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("python -m rest_react.run ")
]


@pytest.mark.parametrize("command", [line for line in COMMANDS if " -m '" not in line])
def test_every_command_for_one_run_composes(command: str) -> None:
    assert compose(shlex.split(command)[3:]).run == "paper_gpu"


def test_the_command_for_many_runs_composes_and_names_launcher_settings_that_exist() -> None:
    from hydra_plugins.hydra_submitit_launcher.config import SlurmQueueConf

    (command,) = (line for line in COMMANDS if " -m '" in line)
    words = shlex.split(command)[4:]
    assert compose(words, multirun=True).run == "mine_0"
    assert "hydra/launcher=submitit_slurm" in words
    named = [
        word.partition("=")[0].removeprefix("hydra.launcher.") for word in words if word.startswith("hydra.launcher.")
    ]
    assert named and [name for name in named if name not in SlurmQueueConf.__dataclass_fields__] == []
