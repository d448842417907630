"""The comparison of filters is made from the published files: the documents show what the command gives."""

import re
import shutil
from pathlib import Path

import pytest

from benchmarks.filters import RESULTS, ROOT, SAME_SETTINGS, WORLDS, cells, picture, table, table_over_worlds
from rest_react.metrics.number_formats import points

PUBLISHED = (ROOT / "docs" / "results" / "README.md").read_text(encoding="utf-8")
FIGURE = re.compile(r"-?\d+\.\d+% \[-?\d+\.\d+, -?\d+\.\d+\](?: ¹)?|[+-]\d+\.\d+ \[[+-]\d+\.\d+, [+-]\d+\.\d+\]")


def test_the_table_in_the_documents_is_the_one_that_the_command_prints() -> None:
    assert f"<!-- filters -->\n{table()}<!-- /filters -->" in PUBLISHED


def test_the_table_over_worlds_in_the_documents_is_the_one_that_the_command_prints() -> None:
    assert f"<!-- filters over worlds -->\n{table_over_worlds()}<!-- /filters over worlds -->" in PUBLISHED


def test_the_picture_in_the_readme_is_the_one_that_the_command_draws() -> None:
    assert (ROOT / "docs" / "images" / "filters.svg").read_text(encoding="utf-8") == picture()


def test_each_figure_in_the_readmes_table_of_filters_is_of_the_published_files() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- filters -->\n(.+?)<!-- /filters -->", readme, re.DOTALL)
    assert shown is not None
    figures = FIGURE.findall(shown[1].replace("**", ""))
    assert len(figures) > 10
    assert set(figures) <= set(FIGURE.findall(table() + table_over_worlds()))


def test_a_difference_is_over_trainings_where_one_side_has_several_and_over_questions_where_both_have_one() -> None:
    found = cells()
    several, one = found["verified"]["world_27182"], found["verified"]["world_14142"]
    assert (several.trainings, one.trainings) == (3, 1)
    assert several.gain is not None and one.gain is not None
    assert [round(100 * (value or 0), 1) for value in (several.gain.mean, several.gain.low, several.gain.high)] == [
        20.3,
        12.1,
        28.2,
    ]
    assert [round(100 * (value or 0), 1) for value in (one.gain.mean, one.gain.low, one.gain.high)] == [5.0, -4.1, 13.9]


def test_a_question_of_several_worlds_is_paired_with_itself_and_counts_once_whatever_its_trainings() -> None:
    lines = [line.split(" | ") for line in table_over_worlds().splitlines()]
    (rules,) = (line for line in lines if line[0] == "| rules of the built-in world")
    found = cells()["verified"]
    worlds = [found[world].gain for world in SAME_SETTINGS if world in found]
    assert rules[1:3] == [str(len(worlds)), str(100 * len(worlds))]
    assert rules[3].startswith(points(sum(gain.mean or 0.0 for gain in worlds if gain) / len(worlds)))


def test_a_world_without_a_control_has_no_column(tmp_path: Path) -> None:
    for file in RESULTS.glob("world_14142_*.json"):
        shutil.copy(file, tmp_path)
    shutil.copy(RESULTS / "world_27182_verified_0.json", tmp_path)
    assert {world for arm in cells(tmp_path).values() for world in arm} == {"world_14142"}
    assert WORLDS["world_27182"] not in table(tmp_path)


def test_a_file_without_verdicts_is_refused_with_its_name(tmp_path: Path) -> None:
    shutil.copy(RESULTS / "embedded_full.json", tmp_path / "world_14142_restart_0.json")
    with pytest.raises(ValueError, match=r"world_14142_restart_0\.json"):
        cells(tmp_path)
