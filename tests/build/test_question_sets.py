"""Question sets without a question are refused before the run starts."""

from pathlib import Path

import pytest

from rest_react.build import Parts
from rest_react.config.compose import compose
from rest_react.errors import ConfigError
from rest_react.loop import Loop
from rest_react.storage.run_folder import RunFolder


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (["world.evaluation=0"], ["evaluate.benchmarks.world"]),
        (["world.evaluation=0", "world.train=0"], ["grow.questions", "evaluate.benchmarks.world"]),
        (["world.evaluation=0", "world.train=0", "iteration=0"], ["evaluate.benchmarks.world"]),
    ],
    ids=str,
)
def test_grow_and_every_benchmark_need_a_question(overrides: list[str], named: list[str], tmp_path: Path) -> None:
    settings = compose(["experiment=smoke", "iteration=1", f"output={tmp_path}", *overrides])
    with pytest.raises(ConfigError) as told:
        Loop(settings, Parts(settings, RunFolder(tmp_path / "mine")))
    assert [problem.partition(":")[0] for problem in told.value.problems] == named
    assert "~questions@evaluate.benchmarks.world" in told.value.problems[-1]
