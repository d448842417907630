"""What an iteration trains on, in which order."""

from pathlib import Path

import pytest

from rest_react.records import Example
from rest_react.stages.improve.improve import EXAMPLES
from rest_react.stages.training_data import origin_of_rows, training_data
from rest_react.storage.jsonl import replace_lines
from rest_react.storage.run_folder import RunFolder


def example(name: str) -> Example:
    return Example(f"{name}.0.0", f"{name}.0", 0, "decide", "a state", "a completion", "perplexity")


SHOWN, OWN, EXEMPLAR = example("shown"), example("own"), example("exemplar")


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path)
    for k, improved in enumerate((SHOWN, example("between"), OWN)):
        replace_lines(folder.stage(k, "improve") / EXAMPLES, [improved])
    return folder


def test_an_iteration_trains_only_on_its_own_examples(folder: RunFolder) -> None:
    assert list(training_data(folder, 2, demonstrations=False)) == [OWN]


def test_demonstrations_and_exemplars_come_before_the_iteration_s_own_examples(folder: RunFolder) -> None:
    rows = training_data(folder, 2, demonstrations=True, exemplars=[EXEMPLAR])
    assert list(rows) == [SHOWN, EXEMPLAR, OWN]


def test_each_row_has_its_origin(folder: RunFolder) -> None:
    rows = [SHOWN, EXEMPLAR, OWN]
    assert list(map(origin_of_rows(folder, 2), rows)) == ["demonstrations", "exemplars", "grown"]
    assert list(map(origin_of_rows(folder, 0), rows[:2])) == ["demonstrations", "exemplars"]


def test_iteration_0_trains_on_its_demonstrations_once(folder: RunFolder) -> None:
    assert list(training_data(folder, 0, demonstrations=True, exemplars=[EXEMPLAR])) == [EXEMPLAR, SHOWN]
