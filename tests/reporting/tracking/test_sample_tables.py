"""What a tracker is given of an iteration's trajectories."""

import re
from pathlib import Path

import pytest

from rest_react.records import Ranking, Trajectory
from rest_react.reporting.tracking.sample_tables import sample_tables
from rest_react.storage.jsonl import read_lines
from tests.runs import scripted_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return scripted_run(tmp_path_factory.mktemp("runs") / "demo")


def test_the_tables_have_the_chosen_sample_the_target_and_the_selector(run):
    found = sample_tables(run, 1)
    trajectories = list(read_lines(run / "iter_1/grow/trajectories.jsonl", Trajectory))
    rankings = list(read_lines(run / "iter_1/improve/rankings.jsonl", Ranking))
    steps = {f"{trajectory.id}.{n}": step for trajectory in trajectories for n, step in enumerate(trajectory.steps)}
    assert {row["id"]: row["target"] for row in found["rankings"]} == {
        ranking.id: steps[ranking.id].candidates[ranking.best].text for ranking in rankings
    }
    assert {row["stage"] for row in found["trajectories"]} == {"iter_1/grow", "iter_1/world"}
    assert len(found["verdicts"]) == 16
    assert sample_tables(run, 7) == {"trajectories": [], "rankings": [], "verdicts": []}


def test_no_table_has_gold_answers_or_reasons_and_the_docs_name_every_column(run):
    found = sample_tables(run, 1)
    assert list(found["verdicts"][0]) == "stage id question answer verdict before_checks em f1".split()
    text = (Path(__file__).parents[3] / "docs" / "tracking.md").read_text(encoding="utf-8")
    for name, rows in found.items():
        (line,) = (line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
        assert re.findall(r"`(\w+)`", line) == [name, *rows[0]]
