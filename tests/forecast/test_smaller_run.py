"""A command that takes long on this machine names sizes that take at most 25 minutes."""

from pathlib import Path

import pytest

from rest_react.config.compose import compose
from rest_react.forecast.estimate import forecast
from rest_react.forecast.smaller_run import LONG_MINUTES, smaller_run_line
from rest_react.storage.run_folder import RunFolder

SLOW = ["speed.prefill=450", "speed.decode=200", "speed.train=400", "iteration=1"]
WEB = ["search=http", "agent.select=perplexity", "improve.selector=perplexity", "improve.keep=all"]
FAST = ["speed.prefill=2000", "speed.decode=1000", "speed.train=4000", "iteration=1"]


def minutes(*overrides: str) -> float:
    return sum(row.minutes or 0 for row in forecast(compose(list(overrides)), RunFolder(Path("none"))))


def test_sizes_that_take_at_most_25_minutes_are_named(tmp_path: Path) -> None:
    line = smaller_run_line(compose(SLOW), RunFolder(tmp_path))
    sizes = [word for word in line.split() if word.startswith("world.")]
    assert [size.partition("=")[0] for size in sizes] == ["world.train", "world.evaluation"]
    taken = minutes(*SLOW, *sizes)
    assert taken <= LONG_MINUTES < minutes(*SLOW)
    assert line.startswith(f"In about {taken:.0f} minutes: run=small world.train=")


@pytest.mark.parametrize(
    "overrides",
    [
        FAST,
        [*SLOW, "speed.train=10"],  # the demonstrations alone take longer
        [*SLOW, "questions@grow.questions=hotpotqa_train", "questions@evaluate.benchmarks.world=bamboogle", *WEB],
        [*SLOW, "iteration=3"],
        [*SLOW, "grow.reuse=another"],
    ],
)
def test_no_sizes_are_named_where_they_would_not_help(overrides: list[str], tmp_path: Path) -> None:
    assert smaller_run_line(compose(overrides), RunFolder(tmp_path)) == ""


def test_a_run_that_has_begun_keeps_its_sizes(tmp_path: Path) -> None:
    (tmp_path / "iter_0").mkdir()
    assert smaller_run_line(compose(SLOW), RunFolder(tmp_path)) == ""
