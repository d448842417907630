"""The paper's tables with the numbers of runs beside them."""

from functools import partial

import yaml

from rest_react.reporting.compare import compare
from rest_react.reporting.compared_run import Run
from rest_react.reporting.tables.paper_tables import _PAPER
from tests.runs import row as result_row

row = partial(result_row, benchmark="bamboogle")


def run(name, rows, settings=(), answers=(), trained=()):
    return Run(name, rows, dict(settings), dict(answers), dict(trained))


def test_a_run_s_numbers_are_in_the_row_of_the_same_generation():
    rows = [row(0, 0.5), row(1, 0.6, before=0.55, std=0.021), row(3, 0.7)]
    table, _, _, before = compare([run("mine", rows, {"start": "prompted"})])["paper"]
    assert table["headings"][-2:] == ["PaLM 2-L", "mine, bamboogle"]
    told = {cells[0]: cells[1:] for cells in table["rows"]}
    assert told == {
        "pre-trained (prompted)": ["", "", "70.3 ± 3.5", "50.0 [40.0, 60.0]"],
        "pilot, human filtered": ["44.7 ± 3.1", "56.6 ± 3.8", "71.5 ± 2.2", ""],
        "1st generation": ["54.4 ± 3.6", "61.9 ± 1.9", "74.0 ± 3.3", "60.0 ± 2.1 [50.0, 70.0]"],
        "2nd generation": ["65.9 ± 2.6", "69.7 ± 1.3", "76.1 ± 1.3", ""],
        "iteration 3": ["", "", "", "70.0 [60.0, 80.0]"],
    }
    assert before["rows"][2] == ["1st generation", "54.8 ± 3.7", "61.2 ± 2.5", "73.1 ± 3.0", "55.0"]


def test_a_first_generation_of_500_trajectories_without_a_reward_model_is_the_pilot():
    def of(keep, selector="perplexity", trajectories=500, start="prompted"):
        settings = {"start": start, "improve.selector": selector, "improve.keep": keep}
        return run(f"{keep} {selector} {trajectories} {start}", [row(1, 0.5)], settings, trained={1: (trajectories, 9)})

    runs = [
        of("judged_good"),
        of("all"),
        of("all", "reward_model"),
        of("all", trajectories=2000),
        of("all", start="demonstrations"),
    ]
    table, *_ = compare(runs)["paper"]
    own = {cells[0]: [bool(cell) for cell in cells[4:]] for cells in table["rows"] if any(cells[4:])}
    assert own == {
        "pilot, human filtered": [True, False, False, False, False],
        "pilot, unfiltered": [False, True, False, False, False],
        "1st generation": [False, False, True, True, True],
    }


def test_a_start_from_demonstrations_has_its_own_row():
    table, *_ = compare([run("mine", [row(0, 0.5)], {"start": "demonstrations"})])["paper"]
    assert table["rows"][0] == ["pre-trained (prompted)", "", "", "70.3 ± 3.5", ""]
    assert table["rows"][-1] == ["start, tuned on demonstrations", "", "", "", "50.0 [40.0, 60.0]"]


def test_the_paper_s_benchmarks_are_found_by_name_and_others_follow():
    rows = [row(0, 0.5), row(2, 0.6), row(2, 0.8, benchmark="world")]
    _, people, sizes, _ = compare([run("mine", rows, trained={2: (40, 1234)})])["paper"]
    assert people["headings"][-2:] == ["mine, iteration 0, by rule", "mine, iteration 2, by rule"]
    assert [cells[0] for cells in people["rows"]] == ["Bamboogle", "BamTwoogle", "world"]
    assert [cells[-2:] for cells in people["rows"]] == [
        ["50.0 [40.0, 60.0]", "60.0 [50.0, 70.0]"],
        ["", ""],
        ["", "80.0 [70.0, 90.0]"],
    ]
    assert sizes["rows"][-2:] == [
        ["mine, iteration 2, bamboogle", "40", "1,234", "60.0 [50.0, 70.0]"],
        ["mine, iteration 2, world", "40", "1,234", "80.0 [70.0, 90.0]"],
    ]


def test_every_benchmark_of_an_iteration_is_in_the_table_graded_by_people():
    rows = [row(1, 0.8, benchmark="world"), row(1, 0.6, benchmark="mine")]
    _, people, *_ = compare([run("one", rows)])["paper"]
    assert [(cells[0], cells[-1]) for cells in people["rows"][-2:]] == [
        ("world", "80.0 [70.0, 90.0]"),
        ("mine", "60.0 [50.0, 70.0]"),
    ]


def test_the_paper_s_tables_are_complete():
    tables = yaml.safe_load(_PAPER.read_text(encoding="utf-8"))
    assert [len(table["rows"]) for table in tables] == [4, 2, 6, 4]
    for table in tables:
        assert {len(cells) for cells in table["rows"]} == {len(table["headings"])}
