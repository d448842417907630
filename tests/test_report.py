import base64
import hashlib
import html
import json
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import pytest
from msgspec import to_builtins
from rich.console import Console

from rest_react.metrics.intervals import clustered_interval
from rest_react.records import Fault, Verdict
from rest_react.report import _asked, main, write_report
from rest_react.reporting.results.results_json import Accuracy, RuleDisagreement
from rest_react.reporting.results.rows import compute_rows
from rest_react.reporting.tables.results_table import first_view, results_table
from rest_react.storage.settings_file import read_environments, read_settings
from tests.runs import reported_run, result, write_evaluation


@pytest.fixture
def run(tmp_path):
    return reported_run(tmp_path / "demo")


def page_of(run: Path, *, smoke=False) -> str:
    return write_report(run, smoke=smoke)[1].read_text(encoding="utf-8")


def test_the_share_on_which_the_rule_grader_differs_is_reported(tmp_path):
    lost = Fault("model", "no usable action")
    results = [
        replace(result("a", verdict="correct"), rule_verdict=Verdict("correct")),
        replace(result("b", verdict="correct"), rule_verdict=Verdict("incorrect")),
        replace(result("c", verdict="incorrect"), rule_verdict=Verdict("incorrect")),
        replace(result("d", verdict="unscored"), rule_verdict=Verdict("correct")),
        replace(result("e", verdict="correct"), rule_verdict=Verdict("unscored")),
        result("f", verdict="incorrect", fault=lost),
    ]
    folder = tmp_path / "judged"
    write_evaluation(folder, 0, results)
    (row,) = compute_rows(folder)
    share = clustered_interval({"a": [0.0], "b": [1.0], "c": [0.0]})
    assert row.rule_disagreement == RuleDisagreement(mean=1 / 3, low=share.low, high=share.high, answers=3)
    write_report(folder, smoke=False)
    for name in ("report.md", "report.html"):
        text = (folder / name).read_text(encoding="utf-8").replace("\\", "")
        assert "Rule grader differs" in text
        assert f"33.3% [{100 * (share.low or 0):.1f}, {100 * (share.high or 0):.1f}] of 3" in text


def test_an_evaluation_without_scored_answers_has_a_row_without_numbers(tmp_path):
    write_evaluation(tmp_path, 0, [result("a", verdict="unscored", fault=Fault("outside", "no network"))])
    (row,) = compute_rows(tmp_path)
    assert row.accuracy == Accuracy(mean=None, std=None, low=None, high=None)
    assert (row.em, row.searches, row.unscored) == (None, None, 1)
    assert "n/a" in page_of(tmp_path)


def test_results_json_has_the_public_schema(run):
    write_report(run, smoke=False)
    told = json.loads((run / "results.json").read_text(), parse_constant=pytest.fail)
    rows = to_builtins(compute_rows(run))
    assert told == {
        "schema": 1,
        "run": "demo",
        "rows": rows,
        "settings": read_settings(run),
        "baselines": [],
        "environments": read_environments(run),
    }
    assert told["environments"] == [{"python": "3"}]
    assert [row["verdicts"].keys() for row in rows] == [{f"w{i}#e3b0c442" for i in range(4)}] * 2


def test_the_same_folder_gives_the_same_files(run):
    names = ("results.json", "report.md", "report.html")
    write_report(run, smoke=False)
    first = [(run / name).read_bytes() for name in names]
    write_report(run, smoke=False)
    assert [(run / name).read_bytes() for name in names] == first
    assert not list(run.glob("*.tmp"))


class Page(HTMLParser):
    """Collects all tags and checks that they nest."""

    VOID = frozenset({"meta", "line", "circle", "rect", "path", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.open, self.attributes = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_text_from_models_is_escaped(run):
    page = page_of(run)
    parsed = Page(page)
    assert parsed.open == []
    assert not {"link", "img", "iframe", "object", "base"} & set(parsed.tags)
    assert not {name for name in parsed.attributes if name.startswith("on") or name in ("src", "style", "action")}
    assert "&lt;script&gt;" in page  # of the settings and the faults
    assert "\u202e" not in page
    assert "url(" not in page
    assert "@import" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_the_content_security_policy_allows_only_the_page_s_own_style_and_scripts(run):
    page = page_of(run)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    parts = re.findall(r"<(style|script)>(.*?)</\1>", page, flags=re.DOTALL)
    hashes = {
        kind: [
            f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
            for own, text in parts
            if own == kind
        ]
        for kind in ("style", "script")
    }
    assert [len(hashes["style"]), len(hashes["script"])] == [1, 2]
    assert html.unescape(policy).split("; ") == [
        "default-src 'none'",
        f"style-src {hashes['style'][0]}",
        "base-uri 'none'",
        "form-action 'none'",
        f"script-src {' '.join(hashes['script'])}",
        "require-trusted-types-for 'script'",
    ]


def test_the_page_of_a_run_without_trajectories_has_no_script(tmp_path):
    write_evaluation(tmp_path, 0, [result("a")])
    assert "<script" not in page_of(tmp_path)


def test_very_long_texts_are_shortened_in_the_page(run):
    assert len(page_of(run)) < 100_000


def test_every_chart_stays_inside_its_frame(run):
    page = page_of(run)
    charts = re.findall(r"<svg viewBox=\"0 0 360 230\".*?</svg>", page, flags=re.DOTALL)
    assert [re.search(r'aria-label="([^"]+)"', chart)[1] for chart in charts] == [
        "Accuracy per iteration with 95% intervals",
        "Accuracy before and after the self-checks",
        "Searches per question",
        "Training loss per step",
    ]
    for chart in charts:
        for axis, limit in {
            "x": 360,
            "cx": 360,
            "x1": 360,
            "x2": 360,
            "y": 230,
            "cy": 230,
            "y1": 230,
            "y2": 230,
        }.items():
            assert all(0 <= float(v) <= limit for v in re.findall(rf'[ "]{axis}="([^"]+)"', chart))
    assert charts[0].count("<circle") == 2
    curve = re.search(r'class="curve c0" points="([^"]+)"', charts[3])[1].split()
    assert 200 <= len(curve) <= 301  # 1000 steps, thinned; the torn line is not read


def test_the_title_of_a_smoke_run_says_that_it_is_one(run):
    assert "<title>Smoke run demo</title>" in page_of(run, smoke=True)
    assert (run / "report.md").read_text().startswith("# Smoke run demo\n")
    assert "<title>Run demo</title>" in page_of(run)


def test_report_md_has_the_tables_of_the_page(run):
    write_report(run, smoke=False)
    text = (run / "report.md").read_text(encoding="utf-8")
    assert "| 1 | world | 75.0% |" in text
    assert "| identical share | 25.0% |" in text
    assert "| minutes | 4.0 |" in text
    assert "<script>" not in text
    widths = {line.count("|") - line.count("\\|") for line in text.splitlines() if line.startswith("|")}
    assert widths == {10, 24, 4, 3}  # the first view, all columns, their parts by iteration, and one column per stage
    assert "## world: faults" in text
    assert "| fixed | 0 | 0 |" in text
    assert "| cost usd | n/a | 0.0833 |" in text
    assert "| unscored | 0 (0.0%) | 0 (0.0%) |" in text


def test_a_run_with_iteration_0_only_is_reported(tmp_path):
    write_evaluation(tmp_path, 0, [result("a")])
    (tmp_path / "iter_1" / "grow").mkdir(parents=True)
    page = page_of(tmp_path)
    assert "at the start" in page
    assert "iter_1/grow is not complete" in page
    assert len(compute_rows(tmp_path)) == 1


def test_a_run_without_a_complete_stage_is_reported(tmp_path):
    stage = write_evaluation(tmp_path, 0, [result("a")])
    (stage / "summary.json").unlink()
    page = page_of(tmp_path)
    assert "No evaluation is complete yet" in page
    assert "iter_0/evaluate/world is not complete" in page
    assert json.loads((tmp_path / "results.json").read_text())["rows"] == []


def test_the_terminal_table_shows_accuracy_interval_and_change(run):
    console = Console(width=80, record=True, file=StringIO())
    console.print(results_table(compute_rows(run)))
    text = console.export_text()
    assert "75.0%" in text
    assert "+50.0" in text
    assert "…" not in text
    assert "4 × 1" in text


def test_the_main_columns_exclude_columns_that_are_0_in_every_row(run):
    rows = compute_rows(run)
    shown = [heading for heading, _ in first_view(rows)]
    without = [heading for heading, _ in first_view([replace(row, f1=0.0, searches=0.0) for row in rows])]
    assert [heading for heading in shown if heading not in without] == ["Before checks", "F1", "Searches"]
    assert "EM" not in shown and without[:3] == ["Iteration", "Benchmark", "Accuracy"]


def test_the_page_has_the_headline_and_the_detectable_difference(run):
    page = page_of(run)
    assert "Iteration 1 is 50.0 points above the start on world" in page
    assert "differences of about" in page and "are detectable (80% power)" in page


def test_runs_that_do_not_exist_are_named_before_a_page_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["report", f"runs=[{tmp_path}/a,b]", f"output={tmp_path}/outputs"])
    with pytest.raises(SystemExit) as end:
        main()
    assert (end.value.code, capsys.readouterr().err.splitlines()[0].partition(": ")[2]) == (
        2, f"no such run; give the name of a folder in output={tmp_path}/outputs, or a path",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["default"], "default: unknown argument"),
        (["runs="], "runs: no run is named; give one, or several in brackets, 'runs=[a,b]'"),
        (["runs=[a,]"], "runs: no run is named; give one, or several in brackets, 'runs=[a,b]'"),
        (["runs=[a"], "runs: [a has one bracket; write 'runs=[a,b]', in quotes"),
        (["run=a"], "run=a: unknown argument"),
        ([], "runs: no run is named; give one, or several in brackets, 'runs=[a,b]'"),
        (["runs=[a,b]", "iteration=2"], "iteration=2: unknown argument"),
    ],
)
def test_a_command_that_names_no_run_is_told_what_is_wrong_before_how_it_is_used(words, told, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["report", *words])
    with pytest.raises(SystemExit) as end:
        main()
    first, second, *_ = capsys.readouterr().err.splitlines()
    assert (end.value.code, first) == (2, told)
    assert second.startswith("usage: python -m rest_react.report 'runs=[a,b,c]'")


@pytest.mark.parametrize("given", ["runs={}", "runs=[{}]"])
def test_a_single_run_may_stand_without_brackets_and_its_own_report_is_named(given, run, monkeypatch, capsys, tmp_path):
    page = tmp_path / "page.html"
    monkeypatch.setattr(sys, "argv", ["report", given.format(run), f"page={page}"])
    main()
    assert page.is_file()
    assert f"its own report is {run}/report.html" in capsys.readouterr().err


def test_the_page_of_many_runs_has_a_name_that_a_file_can_have(tmp_path: Path) -> None:
    for i in range(40):
        (tmp_path / f"synthetic_15_{i}").mkdir()
    runs = ",".join(f"synthetic_15_{i}" for i in range(40))
    _, page = _asked([f"runs=[{runs}]", f"output={tmp_path}"])
    assert re.fullmatch(r"compare_synthetic_15_0_and_39_more_[0-9a-f]{8}\.html", page.name)
