"""The W&B Report, as far as it can be seen without W&B: the specification that would be sent."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec import to_builtins

from rest_react.report import write_report
from rest_react.reporting.results.results_json import read_results
from rest_react.reporting.results.rows import compute_rows
from rest_react.reporting.tracking.sample_tables import sample_tables
from rest_react.reporting.tracking.trackers import numbers
from tests.runs import scripted_run, write_lines

PARTS = ("pass_at", "by_kind", "by_hops", "per_correct", "checks", "faults")
SCRIPT = Path(__file__).parents[1] / "scripts" / "wandb_report.py"


def asked(*words: object) -> subprocess.CompletedProcess[str]:
    keyless = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    command = [sys.executable, str(SCRIPT), *map(str, words)]
    return subprocess.run(command, env=keyless, capture_output=True, text=True, check=False)


def found(value: Any, key: str) -> list[Any]:
    """What stands under a key, however deep."""
    if isinstance(value, list):
        return [hit for inner in value for hit in found(inner, key)]
    if isinstance(value, dict):
        own = [value[key]] if key in value else []
        return own + [hit for inner in value.values() for hit in found(inner, key)]
    return []


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = scripted_run(tmp_path_factory.mktemp("runs") / "demo")
    write_lines(folder / "iter_1" / "finetune" / "loss.jsonl", [{"step": step, "loss": 3 / step} for step in (1, 2, 3)])
    write_report(folder, smoke=False)
    return folder


@pytest.fixture(scope="module")
def report(run: Path) -> Any:
    written = run.parent / "report.json"
    done = asked(run, "--entity", "me", "--spec", written)
    assert done.returncode == 0, done.stderr
    return json.loads(written.read_text(encoding="utf-8"))


def test_it_is_of_this_run_s_group_in_this_project(report: Any) -> None:
    assert (report["displayName"], report["project"]["name"]) == ("Run demo", "rest-react")
    filters = [one for several in found(report, "filters") if isinstance(several, list) for one in several]
    assert {(one["key"]["name"], one["op"], one["value"]) for one in filters} == {("group", "=", "demo")}


def test_it_draws_what_the_run_logs_and_nothing_else(run: Path, report: Any) -> None:
    logged = {f"evaluate/{row.benchmark}/{name}" for row in compute_rows(run) for name in numbers(to_builtins(row))}
    drawn = [metric for metrics in found(report, "metrics") for metric in metrics]
    assert set(drawn) <= logged | {"finetune/loss"}
    assert {"evaluate/world/accuracy/mean", "evaluate/world/accuracy/low", "evaluate/world/accuracy/high"} <= set(drawn)
    plots = [(plot["xAxis"], plot["metrics"]) for plot in found(report, "config") if "xAxis" in plot]
    assert {axis for axis, metrics in plots if metrics != ["finetune/loss"]} == {"iteration"}
    assert ("finetune/step", ["finetune/loss"]) in plots


def test_it_has_the_figures_and_tables_of_the_page(run: Path, report: Any) -> None:
    page = (run / "report.html").read_text(encoding="utf-8").split('id="trajectories"')
    of_the_page = set(re.findall(r"<h3>(\w[^<]*)</h3>", page[0] + page[1].split('id="training"')[1]))
    figures = {"Accuracy per iteration", "Before and after the self-checks", "Searches per question"}
    parts = {"By question type", "By hops", "Cost per correct answer", "Effect of the self-checks", "Faults"}
    parts |= {"Solved in k answers (pass@k)"}
    of_the_page.remove("Cost per answer")  # W&B divides no logged numbers
    of_the_page.remove(
        "Seconds from question to answer, many at once, by output tokens (median)"
    )  # classes of lengths differ between runs
    assert of_the_page == figures | parts | {"Loss on the target tokens"}
    headings = {
        text for block in found(report, "blocks")[0] if block["type"] == "heading" for text in found(block, "text")
    }
    assert of_the_page <= headings | set(found(report, "chartTitle"))


def test_its_tables_of_runs_hold_what_the_page_s_tables_hold_and_bars_draw_the_shares(run: Path, report: Any) -> None:
    rows = to_builtins(read_results(run).rows)
    names = dict.fromkeys(name for row in rows for name in numbers(row))
    parts = [[name for name in names if name.startswith(f"{part}/")] for part in PARTS]
    feeds = [feed["columnOrder"] for feed in found(report, "runFeed") if feed.get("lockColumns")]
    assert all(parts)
    assert feeds == [["summary:iteration", *(f"summary:evaluate/world/{name}" for name in part)] for part in parts]
    bars = [metric for plot in found(report, "config") if "vertical" in plot for metric in plot["metrics"]]
    shares = re.compile(r"(by_kind|by_hops|pass_at)/.*/mean|(per_correct|checks)/.*|faults/.*/share")
    assert bars == [f"evaluate/world/{name}" for part in parts for name in part if shares.fullmatch(name)]


def test_it_shows_the_tables_that_the_run_logs(run: Path, report: Any) -> None:
    text = json.dumps(report)
    assert [name for name in sample_tables(run, 1) if f'"{name}"' not in text] == []


def test_it_has_the_table_of_results_and_says_what_the_numbers_mean(run: Path, report: Any) -> None:
    results, meaning = [block["content"] for block in found(report, "blocks")[0] if block["type"] == "markdown-block"]
    assert results.count("\n") == 3
    assert results.splitlines()[0] in (run / "report.md").read_text(encoding="utf-8")
    assert "`accuracy`" in meaning
    assert "## Intervals" not in meaning


def test_a_folder_without_a_report_is_refused(tmp_path: Path) -> None:
    done = asked(tmp_path, "--entity", "me", "--spec", tmp_path / "x.json")
    assert done.returncode == 1
    assert "holds no results.json" in done.stderr
