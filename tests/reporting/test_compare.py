"""Comparisons of runs, with numbers computed by hand."""

import json
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from rest_react.errors import RunFolderError
from rest_react.report import main, write_comparison, write_report
from rest_react.reporting.compare import compare
from rest_react.reporting.compared_run import Run
from tests.runs import HOSTILE, made_with, result, write_evaluation
from tests.runs import row as result_row

row = partial(result_row, benchmark="bamboogle", verdicts={})


def run(name, rows, settings=(), answers=(), trained=()):
    return Run(name, rows, dict(settings), dict(answers), dict(trained))


def answered(*values):
    return {f"q{i}": [value] for i, value in enumerate(values)}


def test_each_run_is_compared_with_the_first_paired_by_question():
    one = {(1, "world"): answered(1, 0, 0, 0), (0, "world"): answered(0, 0, 0, 0)}
    two = {(1, "world"): answered(1, 1, 0, None), (2, "world"): answered(1, 1, 1, 1)}
    rows = [row(1, 0.25, benchmark="world")]
    (benchmark,) = compare([run("one", rows, answers=one), run("two", rows, answers=two)])["benchmarks"]
    cells, ends = benchmark["differences"]["rows"]
    assert cells[:5] == ["two", "1", "one", "1", "+33.3"]  # 1 of the 3 questions scored in both
    assert cells[6] == "3"
    low, high = (float(end) / 100 for end in cells[5].strip("[]").split(", "))
    limit = (high - low) / 2 * (1 + 0.8416 / 1.96)
    assert float(cells[7]) == pytest.approx(100 * limit, abs=0.1)
    assert int(cells[8]) == pytest.approx(3 * (limit * 3) ** 2, abs=1)
    assert ends[:5] == ["two", "2", "one", "1", "+75.0"]


def test_a_control_with_one_iteration_is_compared_with_the_last_iteration_of_the_loop():
    loop = {(k, name): answered(*values) for k, *values in [(0, 0, 0), (3, 1, 1)] for name in ("world", "other")}
    control = {(0, "world"): answered(1, 0), (1, "third"): answered(1, 1)}
    rows = [row(0, 0.5, benchmark=name) for name in ("world", "other", "third")]
    tables = {
        benchmark["name"]: [cells[:5] for cells in benchmark["differences"]["rows"]]
        for benchmark in compare([run("loop", rows, answers=loop), run("control", rows, answers=control)])["benchmarks"]
    }
    assert tables == {
        "world": [["control", "0", "loop", "0", "+50.0"], ["control", "0", "loop", "3", "-50.0"]],
        "other": [],
        "third": [],
    }


def test_equal_runs_have_no_number_of_questions_needed():
    answers = {(1, "world"): answered(1, 0)}
    rows = [row(1, 0.5, benchmark="world")]
    (benchmark,) = compare([run(name, rows, answers=answers) for name in "ab"])["benchmarks"]
    (cells,) = benchmark["differences"]["rows"]
    assert (cells[4], cells[-1]) == ("+0.0", "")


def test_runs_with_different_max_examples_give_a_curve_over_training_examples():
    def on(examples, limit, *values):
        answers, trained = {(1, "world"): answered(*values)}, {1: (9, examples)}
        return run(
            f"{examples}-{values}", [row(1, 0.5, benchmark="world")], {"improve.max_examples": limit}, answers, trained
        )

    runs = [on(10, 10, 0, 0), on(10, 10, 1, 0), on(32, 300, 1, 1), on(32, None, 1, 0)]
    (benchmark,) = compare(runs)["benchmarks"]
    (curve,) = benchmark["curves"]
    few, many = curve["sizes"]
    assert (few.examples, few.runs, few.accuracy.mean, few.accuracy.questions) == (10, 2, 0.25, 2)
    assert (many.examples, many.runs, many.accuracy.mean) == (32, 2, 0.75)
    assert few.accuracy.std == pytest.approx(0.5 / 2**0.5)  # between the two fine-tunings
    assert [cells[:3] + cells[4:] for cells in curve["table"]["rows"]] == [
        ["10", "2", "25.0%", "35.4%"],
        ["32", "2", "75.0%", "35.4%"],
    ]
    control = on(33, 0, 1, 1)  # trained on the demonstrations alone
    for without in (runs[:2], [*runs[:2], control]):
        (alike,) = compare(without)["benchmarks"]
        assert alike["curves"] == []


def tuned(name, limit, *values, iterations=(1,), **settings):
    """A run that trained on `limit` examples in each iteration, and whose answers in the last one are `values`."""
    answers = {(k, "world"): answered(*(values if k == iterations[-1] else (0, 0))) for k in iterations}
    rows = [row(k, 0.5, benchmark="world") for k in iterations]
    flat = {key.replace("__", "."): value for key, value in settings.items()}
    trained = dict.fromkeys(iterations, (9, limit))
    return run(name, rows, {"improve.max_examples": limit, **flat}, answers, trained)


def test_runs_with_other_settings_are_not_in_one_curve_over_training_examples():
    small = [tuned(f"small {n}", n, 0, n > 10, policy__model="135M") for n in (10, 30)]
    large = [tuned(f"large {n}", n, 1, n > 10, policy__model="7B", seed=n) for n in (10, 30)]
    restart = tuned("restart", 0, 1, 1, policy__model="7B", finetune__steps=9)
    view = compare([*small, *large, restart])
    (benchmark,) = view["benchmarks"]
    assert [
        (curve["runs"], [(size.runs, size.accuracy.mean) for size in curve["sizes"]]) for curve in benchmark["curves"]
    ] == [("small 10, small 30", [(1, 0.0), (1, 0.5)]), ("large 10, large 30", [(1, 0.5), (1, 1.0)])]
    assert view["notes"] == []
    mixed = compare([small[0], large[1], restart])
    assert mixed["benchmarks"][0]["curves"] == []
    assert mixed["notes"] == [
        (
            "There is no curve over training examples: the runs with different improve.max_examples differ in other "
            "settings than seeds too."
        )
    ]
    assert compare([*large[:1], restart])["notes"] == []


def test_a_curve_over_training_examples_is_of_one_iteration_that_all_its_runs_have():
    runs = [tuned("a", 10, 1, 1), tuned("b", 10, 1, 1, iterations=(1, 2), seed=1), tuned("c", 30, 0, 1)]
    (benchmark,) = compare(runs)["benchmarks"]
    (curve,) = benchmark["curves"]
    assert curve["iteration"] == 1
    assert [(size.runs, size.accuracy.mean) for size in curve["sizes"]] == [(2, 0.5), (1, 0.5)]


def test_the_std_between_fine_tunings_does_not_include_the_std_over_repeats():
    rows, answers = [row(1, 0.5, benchmark="world")], {(1, "world"): {"q": [1.0, 0.0], "r": [1.0, 0.0]}}
    sizes = {"a": 10, "b": 10, "c": 20}
    runs = [
        run(name, rows, {"improve.max_examples": limit, "seed": name}, answers, {1: (9, limit)})
        for name, limit in sizes.items()
    ]
    (benchmark,) = compare(runs)["benchmarks"]
    assert benchmark["curves"][0]["sizes"][0].accuracy.std == 0.0


def test_only_different_settings_are_listed():
    one, two = {"seed": 0, "improve.selector": "random", "old": 1}, {"seed": 0, "improve.selector": "perplexity"}
    assert compare([run("a", [], one), run("b", [], two)])["settings"] == {
        "headings": ["Setting", "a", "b"],
        "rows": [["improve.selector", "random", "perplexity"], ["old", "1", "(not set)"]],
    }


def test_a_note_names_different_graders_and_runs_without_evaluation():
    notes = compare([run("a", [row(0, 0.5)]), run("b", [row(0, 0.5, grader="gpt")]), run("c", [])])["notes"]
    assert [("gpt and rule" in note, note.startswith("c ")) for note in notes] == [(True, False), (False, True)]


def test_a_note_names_smoke_runs_and_runs_on_different_questions():
    one, same, other = (
        {(0, "world"): answers} for answers in (answered(1, 0), answered(0, 0, 1), {"q0: of another world": [1]})
    )
    rows = [row(0, 0.5, benchmark="world")]
    compared = [run("one", rows, answers=one), run("same", rows, {"smoke": True}, same), run("other", rows, (), other)]
    smoke, unlike = compare(compared)["notes"]
    assert smoke.startswith("same is a smoke run")
    assert unlike.startswith("other and one answered different questions of world")


def test_a_note_names_runs_whose_models_were_chosen_by_labels():
    answers = {(0, "world"): answered(1, 0)}
    rows = [row(0, 0.5, benchmark="world")]
    chosen = run("chosen", rows, {"evaluate.choose_by": "world"}, answers)
    (note,) = compare([run("plain", rows, (), answers), chosen])["notes"]
    assert note.startswith("The labels of world chose the models of chosen: its accuracy there is the best of several")


def test_an_iteration_that_runs_share_is_one_training():
    def one(name, learning_seed, after, **settings):
        answers = {(0, "world"): answered(1, 0, 0), (1, "world"): answered(1, 1, 0), (2, "world"): answered(*after)}
        common = {"seed": 7, "learning_seed": learning_seed, "grow.reuse": "base", **settings}
        return run(name, [row(k, 0.5, benchmark="world") for k in (0, 1, 2)], common, answers)

    for through, shared in ((0, (0,)), (1, (0, 1))):
        runs = [
            one(f"r{n}", n, after, **{"grow.reuse_through": through}) for n, after in enumerate([(1, 1, 1), (1, 0, 0)])
        ]
        (benchmark,) = compare(runs)["benchmarks"]
        spreads = [cells[4] for cells in benchmark["trainings"]["accuracy"]["rows"]]
        assert [spread == "one training" for spread in spreads] == [k in shared for k in (0, 1, 2)]
    again = one("r2", 2, (1, 1, 1), **{"grow.reuse_through": 1})
    again.answers[0, "world"].update(q0=[0])  # another start, as by another provider's training with the same seed
    (benchmark,) = compare([*runs, again])["benchmarks"]
    assert len(benchmark["trainings"]["accuracy"]["rows"][0][2].split(", ")) == 2


def test_a_run_repeated_with_the_seed_that_it_had_is_no_second_training():
    def one(name, learning_seed, *values):
        common = {"seed": 7, "learning_seed": learning_seed, "grow.reuse": "base", "start": "prompted"}
        return run(name, [row(1, 0.5, benchmark="world")], common, {(1, "world"): answered(*values)})

    runs = [one("base", None, 1, 0), one("same", 7, 1, 0), one("other", 8, 1, 1)]
    (benchmark,) = compare(runs)["benchmarks"]
    ((_, _, each, *_),) = benchmark["trainings"]["accuracy"]["rows"]
    assert each == "50.0%, 100.0%"


def test_runs_that_differ_by_seed_alone_are_trainings_of_one_arm():
    how = {"judge": "perplexity", "control": "random"}
    scores = {"judge": [(1, 1, 1, 0), (1, 1, 0, 0)], "control": [(1, 0, 0, 0), (0, 1, 0, 0)]}
    trained = [
        run(f"{arm}{seed}", [row(1, 0.5, benchmark="world")],
            {"improve.selector": how[arm], "seed": seed, "grow.reuse": f"{seed}"}, {(1, "world"): answered(*values)})
        for arm, of in scores.items() for seed, values in enumerate(of)
    ]  # fmt: skip
    (benchmark,) = compare(trained)["benchmarks"]
    tables = benchmark["trainings"]
    assert [cells[:5] + cells[6:] for cells in tables["accuracy"]["rows"]] == [
        ["judge0, judge1", "1", "75.0%, 50.0%", "62.5%", "17.7", "4"],
        ["control0, control1", "1", "25.0%, 25.0%", "25.0%", "0.0", "4"],
    ]
    (cells,) = tables["differences"]["rows"]
    assert cells[:5] + cells[6:] == ["control0, control1", "1", "judge0, judge1", "1", "-37.5", "12.5", "4"]
    (one_each,) = compare([trained[0], trained[2]])["benchmarks"]
    assert one_each["trainings"] == {}


@pytest.fixture
def runs(tmp_path):
    for name, verdict in (("one", "incorrect"), ("two", "correct")):
        write_evaluation(tmp_path / name, 1, [result("a", verdict=verdict), result("b")], benchmark=HOSTILE[:8])
        (tmp_path / name / "iter_1" / "finetune").mkdir()
        made_with(tmp_path / name, {"improve.selector": name, "note": HOSTILE + name})
    return tmp_path


def test_the_command_writes_one_page_for_all_runs(runs):
    command = [sys.executable, "-m", "rest_react.report", "runs=[one,two]", f"output={runs}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    page = runs / "compare_one_two.html"
    assert str(page) in done.stderr.replace("\n", "")
    text = page.read_text(encoding="utf-8")
    assert "<title>Runs one, two</title>" in text
    assert "+50.0" in text
    assert "70.3 ± 3.5" in text
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_runs_may_be_given_as_paths(runs, monkeypatch, capsys):
    monkeypatch.chdir(runs)
    monkeypatch.setattr(sys, "argv", ["report", "runs=[./one,two]", "output=."])
    main()
    monkeypatch.setattr(sys, "argv", ["report", f"runs=[{runs.name}/one,two]", f"output={runs}"])
    monkeypatch.chdir(runs.parent)
    main()
    assert capsys.readouterr().err.count("comparison: ") == 2


def test_names_of_runs_are_read_as_text(runs, monkeypatch, capsys):
    names = ("007", "1e3", "a, b")
    for name in names:
        shutil.copytree(runs / "one", runs / name)
    monkeypatch.setattr(sys, "argv", ["report", "runs=[007, 1e3, 'a, b']", f"output={runs}", "page=2.html"])
    monkeypatch.chdir(runs)
    main()
    assert capsys.readouterr().err.endswith("comparison: 2.html\n")
    page = (runs / "2.html").read_text(encoding="utf-8")
    assert all(name in page for name in names)


def test_different_questions_with_the_same_id_are_not_paired(runs):
    write_evaluation(runs / "three", 1, [result("a", asked="Who?"), result("c")], benchmark=HOSTILE[:8])
    write_comparison([runs / "one", runs / "three"], runs / "page.html")
    assert "Questions in both" not in (runs / "page.html").read_text(encoding="utf-8")


def test_the_page_has_a_chart_over_training_examples_with_the_std_between_fine_tunings(tmp_path):
    for name, limit, verdict in (("few", 10, "incorrect"), ("few_too", 10, "correct"), ("many", None, "correct")):
        stage = write_evaluation(tmp_path / name, 1, [result("a", verdict=verdict), result("b")]).parents[1]
        (stage / "finetune").mkdir()
        facts = {"schema": 1, "seconds": 1.0, "examples": limit or 1234, "files": {}}
        (stage / "finetune" / "summary.json").write_text(json.dumps(facts))
        made_with(tmp_path / name, {"improve.max_examples": limit})
    write_comparison([tmp_path / name for name in ("few", "few_too", "many")], tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    chart = text.partition("Accuracy by number of training examples with")[2].partition("</svg>")[0]
    assert chart.count("<circle") == 2
    assert "10 examples, 2 fine-tunings: 75.0%" in chart
    assert "<td>10</td><td>2</td><td>75.0%</td>" in text
    assert "<td>35.4%</td>" in text


def test_a_difference_is_recomputed_from_two_published_files(runs, monkeypatch, capsys):
    for name in ("one", "two"):
        write_report(runs / name, smoke=False)
        shutil.move(runs / name / "results.json", runs / f"{name}.json")
    monkeypatch.chdir(runs)
    pages = []
    for given in ("one,two", "one.json,two.json"):
        monkeypatch.setattr(sys, "argv", ["report", f"runs=[{given}]", "output=.", "page=page.html"])
        main()
        pages.append((runs / "page.html").read_text(encoding="utf-8"))
    assert pages[0] == pages[1]
    assert "+50.0" in pages[1]


def test_a_published_file_without_verdicts_has_a_note_and_no_difference(tmp_path):
    published = Path(__file__).parents[2] / "docs" / "results"
    write_comparison([published / "embedded_full.json", published / "embedded_control.json"], tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "No difference is computed for embedded_full, embedded_control: " in text
    assert "71.0%" in text
    assert "Questions in both" not in text


def test_runs_with_the_same_folder_name_are_shown_with_their_paths(runs, tmp_path):
    other = tmp_path / "elsewhere" / "one"
    shutil.copytree(runs / "two", other)
    write_comparison([runs / "one", other], tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert f"<title>Runs {runs / 'one'}, {other}</title>" in text
    assert "+50.0" in text


def test_help_prints_the_usage():
    command = [sys.executable, "-m", "rest_react.report", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split(":")[0]) == (0, "usage")


def test_a_page_in_a_missing_folder_is_refused(runs, tmp_path):
    page = tmp_path / "missing" / "page.html"
    command = [sys.executable, "-m", "rest_react.report", "runs=[one,two]", f"output={runs}", f"page={page}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    told = "".join(done.stderr.split())  # the terminal may have broken the line
    assert told.startswith(f"{page}:")
    assert "page=<" in told


def test_a_folder_that_is_not_a_run_is_refused(runs):
    with pytest.raises(RunFolderError, match="three is not a run folder; give runs="):
        write_comparison([runs / "one", runs / "three"], runs / "page.html")


def test_a_run_without_a_complete_evaluation_is_refused(tmp_path):
    (tmp_path / "one" / "iter_0" / "grow").mkdir(parents=True)
    with pytest.raises(RunFolderError, match="one: no evaluation is complete yet"):
        write_comparison([tmp_path / "one"], tmp_path / "page.html")


def test_runs_whose_numbers_of_examples_are_unknown_are_compared():
    answers, rows = {(1, "world"): answered(1, 0)}, [row(1, 0.5, benchmark="world")]
    runs = [run(name, rows, {"improve.max_examples": n}, answers) for name, n in (("few", 10), ("many", None))]
    view = compare(runs)
    (benchmark,) = view["benchmarks"]
    assert (benchmark["curves"], benchmark["differences"]["rows"][0][4]) == ([], "+0.0")
    assert view["paper"][2]["rows"][-1][1:3] == ["", ""]
