import base64
import hashlib
import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from huggingface_hub.repocard import metadata_load
from msgspec import to_builtins
from rich.console import Console

from rest_react.errors import RunFolderError
from rest_react.metrics.intervals import clustered_interval, detectable_difference
from rest_react.records import Example, Fault, Verdict
from rest_react.report import first_view, results_table, write_report
from rest_react.reporting.results_json import Accuracy, FaultCount, PerCorrect, RuleDisagreement
from rest_react.reporting.rows import compute_rows
from rest_react.storage.settings_file import lock_settings
from tests.runs import HOSTILE, result, trajectory, write_evaluation, write_lines

ROW_KEYS = {
    "iteration", "benchmark", "grader", "questions", "repeats", "unscored", "unscored_share", "failed",
    "failed_share", "faults", "accuracy", "rule_disagreement", "before_checks", "checks", "vs_start", "vs_previous",
    "by_kind", "by_hops", "em", "f1", "contained", "searches", "calls", "tokens", "correct", "per_correct",
    "cost_usd", "cost_reason", "seconds",
}  # fmt: skip


@pytest.fixture
def run(tmp_path):
    """Two iterations: 1 of 4 right, then 3 of 4; with stage summaries, losses, settings and hostile texts."""
    folder = tmp_path / "demo"
    write_evaluation(folder, 0, [result(f"w{i}", verdict="correct" if i == 0 else "incorrect") for i in range(4)])
    later = [result(f"w{i}", verdict="correct" if i < 3 else "incorrect", answer=HOSTILE) for i in range(4)]
    stage = write_evaluation(folder, 1, later, cost_usd=0.25)
    answers = [HOSTILE, "A" * 1_000_000, "Paris", "Lyon"]
    write_lines(stage / "trajectories.jsonl", [trajectory(f"w{i}", a, text=HOSTILE) for i, a in enumerate(answers)])
    for name, facts in {
        "grow": {"trajectories": 30, "faults": {HOSTILE: 2}, "identical_share": 0.25, "seconds": 120.0},
        "improve": {"selector": "perplexity", "examples": 251, "dropped_steps": 7, "seconds": 3.0},
        "finetune": {"examples": 251, "model": "model", "seconds": 240.0},
    }.items():
        (folder / "iter_1" / name).mkdir(parents=True)
        (folder / "iter_1" / name / "summary.json").write_text(json.dumps({"schema": 1, **facts}))
    losses = [{"step": step, "loss": 3 / step} for step in range(1, 1001)]
    write_lines(folder / "iter_1" / "finetune" / "loss.jsonl", losses)
    with (folder / "iter_1" / "finetune" / "loss.jsonl").open("a") as file:
        file.write('{"step": 1001, "lo')
    lock_settings(folder, {"note": HOSTILE, "policy.model": HOSTILE, "finetune.kind": "local"}, {"python": "3"})
    return folder


def page_of(run: Path, *, smoke=False) -> str:
    return write_report(run, smoke=smoke).read_text(encoding="utf-8")


def test_a_row_holds_every_number_of_an_evaluation(run):
    start, later = map(to_builtins, compute_rows(run))
    assert set(start) == set(later) == ROW_KEYS
    share = clustered_interval({f"w{i}": [float(i < 3)] for i in range(4)})
    interval = {"mean": share.mean, "low": share.low, "high": share.high}
    nothing = clustered_interval({f"w{i}": [0.0] for i in range(4)}, scale=(-1, 1))
    assert {k: later[k] for k in ROW_KEYS - {"vs_start", "vs_previous"}} == {
        "iteration": 1, "benchmark": "world", "grader": "rule",
        "questions": 4, "repeats": 1,
        "unscored": 0, "unscored_share": 0.0, "failed": 0, "failed_share": 0.0, "faults": {},
        "rule_disagreement": None, "accuracy": {**interval, "std": None}, "before_checks": {**interval, "std": None},
        "checks": {
            "mean": 0.0, "low": nothing.low, "high": nothing.high, "questions": 4,
            "detectable": detectable_difference(nothing), "fixed": 0, "broken": 0,
        },
        "by_kind": {"bridge": {**interval, "questions": 4}}, "by_hops": {"2": {**interval, "questions": 4}},
        "em": 0.0, "contained": 0.0, "f1": 0.5, "searches": 2.0, "calls": 9.0, "tokens": 1000.0, "correct": 3,
        "per_correct": {
            "searches": 8 / 3, "calls": 12.0, "tokens": 4000 / 3, "cost_usd": 0.25 / 3, "seconds": 30.0,
        },
        "cost_usd": 0.25, "cost_reason": None, "seconds": 90.0,
    }  # fmt: skip
    assert share.mean == 0.75
    assert (start["vs_start"], start["vs_previous"]) == (None, None)
    assert later["vs_start"] == later["vs_previous"]
    assert (later["vs_start"]["mean"], later["vs_start"]["questions"]) == (0.5, 4)
    assert (start["cost_usd"], start["cost_reason"]) == (None, "no price was recorded")


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
    lock_settings(folder, {}, {})
    write_report(folder, smoke=False)
    for name in ("report.md", "report.html"):
        text = (folder / name).read_text(encoding="utf-8").replace("\\", "")
        assert "Rule grader differs" in text
        assert f"33.3% [{100 * (share.low or 0):.1f}, {100 * (share.high or 0):.1f}] of 3" in text


def test_each_iteration_is_compared_with_the_start_and_with_the_one_before(tmp_path):
    for iteration, right in ((0, 1), (1, 3), (2, 2), (4, 4)):
        verdicts = ["correct" if i < right else "incorrect" for i in range(4)]
        write_evaluation(tmp_path, iteration, [result(f"w{i}", verdict=v) for i, v in enumerate(verdicts)])
    changes = [
        tuple(change and change.mean for change in (row.vs_start, row.vs_previous)) for row in compute_rows(tmp_path)
    ]
    assert changes == [(None, None), (0.5, 0.5), (0.25, -0.25), (0.75, None)]  # iteration 3 is not complete


def test_the_self_checks_are_measured_on_the_same_trajectories(tmp_path):
    results = [
        result("a", verdict="correct", before="incorrect"),
        result("b", verdict="correct", before="incorrect"),
        result("c", verdict="incorrect", before="correct"),
        result("d", verdict="unscored", before="correct"),
    ]
    write_evaluation(tmp_path, 0, results)
    (row,) = compute_rows(tmp_path)
    assert (row.checks.fixed, row.checks.broken, row.checks.questions) == (2, 1, 3)
    assert row.checks.mean == pytest.approx(1 / 3)
    assert row.checks.low <= 1 / 3 <= row.checks.high


def test_accuracy_is_told_by_kind_and_by_hops(tmp_path):
    easy, hard = (replace(result(q), kind=kind, hops=hops) for q, kind, hops in (("a", "bridge", 2), ("b", "date", 4)))
    other = replace(result("c", verdict="incorrect"), kind="date", hops=2)
    unsaid = replace(result("d"), kind="", hops=None)
    write_evaluation(tmp_path, 0, [easy, hard, other, unsaid])
    (row,) = compute_rows(tmp_path)
    by_kind, by_hops = ({name: (g.mean, g.questions) for name, g in of.items()} for of in (row.by_kind, row.by_hops))
    assert by_kind == {"bridge": (1.0, 1), "date": (0.5, 2)}
    assert by_hops == {"2": (0.5, 2), "4": (1.0, 1)}


def test_what_a_correct_answer_costs_counts_the_wrong_ones_too(tmp_path):
    results = [
        result("a", searches=2, calls=8, tokens=100),
        result("b", verdict="incorrect", searches=4, calls=12, tokens=300),
        result("c", verdict="incorrect", fault=Fault("outside", "HTTP 503"), searches=9),
    ]
    write_evaluation(tmp_path, 0, results, cost_usd=0.5)
    (row,) = compute_rows(tmp_path)
    assert row.correct == 1
    assert row.per_correct == PerCorrect(searches=6.0, calls=20.0, tokens=400.0, cost_usd=0.5, seconds=90.0)
    write_evaluation(tmp_path, 0, results[1:])
    (row,) = compute_rows(tmp_path)
    assert row.per_correct == PerCorrect(searches=None, calls=None, tokens=None, cost_usd=None, seconds=None)


def test_failures_are_told_by_fault(tmp_path):
    faults = [Fault("model", "nothing parsable at step 3"), Fault("model", "nothing parsable at step 5")]
    faults.append(Fault("outside", "HTTP 503: try again"))
    results = [result(f"w{i}", verdict="incorrect", fault=fault) for i, fault in enumerate(faults)]
    write_evaluation(tmp_path, 0, [*results, result("w3")])
    (row,) = compute_rows(tmp_path)
    assert row.faults == {
        "HTTP 503": FaultCount(answers=1, share=0.25), "nothing parsable": FaultCount(answers=2, share=0.5),
    }  # fmt: skip
    assert (row.unscored_share, row.failed_share) == (0.25, 0.5)


def test_unscored_answers_count_nowhere_and_failed_ones_are_wrong(tmp_path):
    results = [
        result("a", verdict="correct"),
        result("b", verdict="correct", before="incorrect", fault=Fault("model", "nothing parsable"), searches=4),
        result("c", verdict="incorrect", fault=Fault("outside", "HTTP 503"), searches=100, em=1.0),
        result("d", verdict="unscored", before="correct"),
    ]
    write_evaluation(tmp_path, 0, results)
    (row,) = compute_rows(tmp_path)
    assert (row.questions, row.unscored, row.failed) == (4, 2, 1)
    assert row.accuracy.mean == 0.5
    assert row.before_checks.mean == pytest.approx(2 / 3)
    assert (row.searches, row.em) == (pytest.approx(8 / 3), 0.0)


def test_repeats_are_told_apart_by_the_id(tmp_path):
    right = {("a.b", 0), ("a.b", 1), ("c", 1)}
    pairs = [(q, r) for q in ("a.b", "c") for r in (0, 1)]
    results = [result(q, r, "correct" if (q, r) in right else "incorrect") for q, r in pairs]
    write_evaluation(tmp_path, 0, results, repeats=2)
    (row,) = compute_rows(tmp_path)
    assert (row.questions, row.repeats, row.accuracy.mean) == (2, 2, 0.75)
    assert row.accuracy.std == pytest.approx(0.125**0.5)  # of 0.5 and 1.0


def test_an_evaluation_without_one_scored_answer_has_no_numbers_but_a_row(tmp_path):
    write_evaluation(tmp_path, 0, [result("a", verdict="unscored", fault=Fault("outside", "no network"))])
    (row,) = compute_rows(tmp_path)
    assert row.accuracy == Accuracy(mean=None, std=None, low=None, high=None)
    assert (row.em, row.searches, row.unscored) == (None, None, 1)
    assert "n/a" in page_of(tmp_path)


def test_results_json_has_the_public_schema(run):
    write_report(run, smoke=False)
    told = json.loads((run / "results.json").read_text(), parse_constant=pytest.fail)
    assert told == {"schema": 1, "run": "demo", "rows": to_builtins(compute_rows(run))}


def test_the_same_folder_gives_the_same_files(run):
    names = ("results.json", "report.md", "report.html")
    write_report(run, smoke=False)
    first = [(run / name).read_bytes() for name in names]
    write_report(run, smoke=False)
    assert [(run / name).read_bytes() for name in names] == first
    assert not list(run.glob("*.tmp"))


class Page(HTMLParser):
    """Every tag, and whether they nest."""

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


def test_nothing_that_a_model_wrote_becomes_markup(run):
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


def test_the_page_admits_its_own_style_and_scripts_alone(run):
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


def test_a_run_without_trajectories_has_no_script(tmp_path):
    write_evaluation(tmp_path, 0, [result("a")])
    assert "<script" not in page_of(tmp_path)


def test_a_million_characters_do_not_make_the_page_long(run):
    assert len(page_of(run)) < 100_000


def test_the_page_draws_every_chart_inside_its_frame(run):
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


def test_a_smoke_run_says_so_in_its_title(run):
    assert "<title>Smoke run demo</title>" in page_of(run, smoke=True)
    assert (run / "report.md").read_text().startswith("# Smoke run demo\n")
    assert "<title>Run demo</title>" in page_of(run)


def test_the_markdown_holds_the_same_tables(run):
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


def test_a_run_with_its_baseline_alone_is_reported(tmp_path):
    write_evaluation(tmp_path, 0, [result("a")])
    (tmp_path / "iter_1" / "grow").mkdir(parents=True)
    page = page_of(tmp_path)
    assert "at the start" in page
    assert "iter_1/grow is not complete" in page
    assert len(compute_rows(tmp_path)) == 1


def test_a_run_with_nothing_complete_is_reported(tmp_path):
    stage = write_evaluation(tmp_path, 0, [result("a")])
    (stage / "summary.json").unlink()
    page = page_of(tmp_path)
    assert "No evaluation is complete yet" in page
    assert "iter_0/evaluate/world is not complete" in page
    assert json.loads((tmp_path / "results.json").read_text())["rows"] == []


def test_every_benchmark_is_compared_with_its_own_start(tmp_path):
    for iteration, verdict in ((0, "incorrect"), (1, "correct")):
        write_evaluation(tmp_path, iteration, [result("a", verdict="incorrect")], benchmark="hard")
        write_evaluation(tmp_path, iteration, [result("a", verdict=verdict)], benchmark="world")
    write_evaluation(tmp_path, 1, [result("a")], benchmark="late")
    changes = {(r.iteration, r.benchmark): r.vs_start and r.vs_start.mean for r in compute_rows(tmp_path)}
    assert changes == {
        (0, "hard"): None, (0, "world"): None, (1, "hard"): 0.0, (1, "late"): None, (1, "world"): 1.0,
    }  # fmt: skip


def test_the_terminal_table_shows_accuracy_interval_and_change(run):
    console = Console(width=80, record=True, file=StringIO())
    console.print(results_table(compute_rows(run)))
    text = console.export_text()
    assert "75.0%" in text
    assert "+50.0" in text
    assert "…" not in text
    assert "4 × 1" in text


def test_a_damaged_summary_names_the_file_and_the_way_out(tmp_path):
    stage = write_evaluation(tmp_path, 0, [result("a")])
    (stage / "summary.json").write_text('{"schema": 1, "grader": "rule"}')
    with pytest.raises(RunFolderError, match=r"summary\.json lacks repeats, seconds; remove the file"):
        compute_rows(tmp_path)


def _keys(value, path=""):
    for key, inner in value.items():
        yield f"{path}{key}"
        if isinstance(inner, dict) and key not in ("by_kind", "by_hops", "faults"):  # these are keyed by data
            yield from _keys(inner, f"{path}{key}.")


def test_every_number_is_defined_in_the_docs(run):
    text = (Path(__file__).parents[1] / "docs" / "metrics.md").read_text(encoding="utf-8")
    missing = [key for row in compute_rows(run) for key in _keys(to_builtins(row)) if f"`{key}`" not in text]
    assert missing == []


def front(path: Path) -> dict:
    """What the Hub reads of a card, by the Hub's own reader."""
    return metadata_load(path)


def carded(folder: Path, model: str, iteration: int = 1, reuse: str | None = None, through: int = 1) -> Path:
    """One iteration that was trained, with its rows."""
    write_evaluation(folder, iteration, [result("a"), result("b", verdict="incorrect")])
    stage = folder / f"iter_{iteration}"
    row = Example("t.0.0", "t.0", 0, "decide", "state", "action", "perplexity")
    write_lines(stage / "improve" / "examples.jsonl", [row, replace(row, id="t.0.1", step_index=1)])
    for name, facts in {
        "grow": {"trajectories": 1234},
        "improve": {"examples": 2, "dropped_steps": 7},
        "finetune": {"examples": 9, "model": "iter_1/finetune/model"},
    }.items():
        (stage / name).mkdir(exist_ok=True)
        (stage / name / "summary.json").write_text(json.dumps({"schema": 1, "seconds": 1.0, **facts}))
    settings = {"policy.model": model, "improve.selector": "perplexity", "grow.samples": 4, "world.demonstrations": 24}
    if reuse:
        settings |= {"grow.reuse": reuse, "grow.reuse_through": through}
    lock_settings(folder, settings, {"python": "3"})
    return stage


def test_a_model_s_card_tells_the_hub_its_base_and_its_accuracy(tmp_path):
    stage = carded(tmp_path / "demo", "smollm2-135m-instruct")
    (stage / "finetune" / "model").mkdir()
    write_report(tmp_path / "demo", smoke=False)
    card = stage / "finetune" / "model" / "README.md"
    told = front(card)
    assert (told["base_model"], told["license"]) == ("HuggingFaceTB/SmolLM2-135M-Instruct", "apache-2.0")
    (results,) = ModelCard.load(card).data.eval_results
    assert (results.dataset_name, results.metric_type, results.metric_value) == ("world", "accuracy", 0.5)
    text = card.read_text(encoding="utf-8")
    assert "| training rows | 9 |" in text
    assert "| 1 | world | 50.0% |" in text
    assert "after iteration 1 of self-improvement" in text


def test_the_demonstrations_card_tells_nothing_of_grow(tmp_path):
    card = carded(tmp_path / "demo", "org/model", iteration=0) / "improve" / "README.md"
    write_report(tmp_path / "demo", smoke=False)
    text = card.read_text(encoding="utf-8")
    assert "| world.demonstrations | 24 |" in text
    assert "| policy.model | org/model |" in text
    assert "grow." not in text
    assert "improve." not in text


def test_the_card_of_rows_taken_over_tells_whose_they_are(tmp_path):
    card = carded(tmp_path / "demo", "org/model", reuse="first") / "improve" / "README.md"
    write_report(tmp_path / "demo", smoke=False)
    text = card.read_text(encoding="utf-8")
    assert "| taken over from | first |" in text
    assert "written by the agent of another run in iteration 1" in text
    assert "grow.samples" not in text


def test_a_student_s_rows_are_told_to_be_its_teacher_s(tmp_path):
    carded(tmp_path / "teacher", "org/large")
    stage = carded(tmp_path / "student", "org/small", reuse="teacher", through=0)
    write_report(tmp_path / "student", smoke=False)
    rows, model = ((stage / part / "README.md").read_text(encoding="utf-8") for part in ("improve", "finetune"))
    assert "| taken over from | teacher |" in rows
    assert "written by the agent of another run" in rows
    assert "org/small" not in rows
    assert "org/small" in model
    own = carded(tmp_path / "own", "org/large", reuse="teacher", through=0) / "improve" / "README.md"
    write_report(tmp_path / "own", smoke=False)
    assert "written by the agent itself in iteration 1" in own.read_text(encoding="utf-8")


def test_a_data_set_s_card_counts_its_rows(tmp_path):
    stage = carded(tmp_path / "demo", "org/model")
    write_report(tmp_path / "demo", smoke=False)
    card = stage / "improve" / "README.md"
    assert front(card)["configs"] == [{"config_name": "default", "data_files": "examples.jsonl"}]
    assert front(card)["size_categories"] == ["n<1K"]
    text = card.read_text(encoding="utf-8")
    assert "| trajectories | 1234 |" in text
    assert "| dropped steps | 7 |" in text
    assert "| decide | 2 |" in text
    assert "| grow.samples | 4 |" in text
    assert "world.demonstrations" not in text
    model = front(stage / "finetune" / "README.md")  # no weights here: a hosted model
    assert model["base_model"] == "org/model"
    assert "license" not in model


def test_a_base_that_is_no_hub_id_is_left_out_and_hostile_names_stay_text(tmp_path):
    stage = carded(tmp_path / "demo", HOSTILE)
    write_report(tmp_path / "demo", smoke=True)
    assert "A smoke run" in (stage / "improve" / "README.md").read_text(encoding="utf-8")
    text = (stage / "finetune" / "README.md").read_text(encoding="utf-8")
    assert "<script" not in text
    assert front(stage / "finetune" / "README.md")["model-index"]


def test_an_iteration_that_was_not_trained_has_no_card(tmp_path):
    write_evaluation(tmp_path, 0, [result("a")])
    write_report(tmp_path, smoke=False)
    assert not list(tmp_path.rglob("README.md"))


def test_the_first_view_leaves_out_columns_that_are_0_everywhere(run):
    rows = compute_rows(run)
    shown = [heading for heading, _ in first_view(rows)]
    without = [heading for heading, _ in first_view([replace(row, f1=0.0, searches=0.0) for row in rows])]
    assert [heading for heading in shown if heading not in without] == ["F1", "Searches"]
    assert "EM" not in shown and without[:3] == ["Iteration", "Benchmark", "Accuracy"]


def test_the_page_says_what_the_result_means_and_what_could_be_seen(run):
    page = page_of(run)
    assert "Iteration 1 is 50.0 points above the start on world" in page
    assert "differences of about" in page and "are detectable (80% power)" in page
