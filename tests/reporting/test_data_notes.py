"""A sweep or comparison of runs whose data or prompts changed says so, on the terminal and in its files."""

from dataclasses import replace
from pathlib import Path

from rest_react.report import write_comparison
from rest_react.reporting.data_notes import data_notes
from rest_react.reporting.results.results_json import read_results
from rest_react.storage.files import write_json
from tests.sweep.hand_made import first, swept, write_run

OLD, NEW = "1111aaaa2222bbbb", "3333cccc4444dddd"


def write_runs(folder: Path, *digests: tuple[str, ...], **settings: object) -> list[Path]:
    """A run for each of these sequences of digests of the benchmark `world`."""
    return [
        write_run(
            folder / f"r_{i}",
            {0: first(60 + i)},
            environments=[{"rest-react": "1", "torch": str(i), "evaluate.world": digest} for digest in own],
            seed=i,
            **settings,
        )
        for i, own in enumerate(digests)
    ]


def notes(told: str) -> list[str]:
    return [line for line in told.splitlines() if line.startswith("note: ")]


def test_runs_with_other_data_under_the_same_settings_are_named(tmp_path: Path) -> None:
    told = notes(swept(tmp_path, write_runs(tmp_path, (OLD,), (NEW,), (OLD, NEW), (OLD,))))
    assert told == [
        (
            "note: the content of evaluate.world changed between these runs, or within one, so they may not be "
            "comparable: digest 1111aaaa in r_0, r_3; 3333cccc in r_1; 1111aaaa, then 3333cccc in r_2. For runs on the "
            "same data and prompts, run them again with other names (run=...)"
        )
    ]
    for page in ("sweep.md", "sweep.html"):
        assert "1111aaaa, then 3333cccc in r" in (tmp_path / page).read_text(), page


def test_a_run_that_was_finished_before_its_data_changed_is_named_although_it_was_resumed_with_the_new_data(
    tmp_path: Path,
) -> None:
    (told,) = notes(swept(tmp_path, write_runs(tmp_path, (OLD, NEW), (NEW,))))
    assert "1111aaaa, then 3333cccc in r_0; 3333cccc in r_1" in told


def test_the_same_data_needs_no_note_whatever_else_changed(tmp_path: Path) -> None:
    assert notes(swept(tmp_path, write_runs(tmp_path, (OLD,), (OLD,)))) == []


def test_data_that_other_settings_name_are_not_compared(tmp_path: Path) -> None:
    own = ["demonstrations.questions.n=50", "demonstrations.questions.n=100"]
    names = ("demonstrations.questions", "grow.questions", "evaluate.world")
    runs = [
        write_run(
            tmp_path / f"r_{n}",
            {0: first(60)},
            environments=[dict.fromkeys(names, digest)],
            seed=0,
            demonstrations__questions__n=n,
        )
        for n, digest in ((50, OLD), (100, NEW))
    ]
    (told,) = notes(swept(tmp_path, runs, own=own))
    assert told.startswith("note: the content of evaluate.world changed")
    assert "1111aaaa in r_50; 3333cccc in r_100." in told


def test_a_comparison_names_runs_with_other_data_also_of_published_files(tmp_path: Path) -> None:
    runs = write_runs(tmp_path, (OLD,), (NEW,), search__corpus="corpus.jsonl")
    (told,) = write_comparison(runs, tmp_path / "page.html")
    assert told.startswith("the content of evaluate.world changed between these runs")
    assert "1111aaaa in r_0; 3333cccc in r_1" in (tmp_path / "page.html").read_text()
    files = [tmp_path / f"published_{i}.json" for i in range(2)]
    for file, digest in zip(files, (OLD, NEW), strict=True):
        read = read_results(runs[0])
        write_json(file, replace(read, environments=({"search.corpus": digest},)))
    (published,) = write_comparison(files, tmp_path / "page.html")
    assert published.startswith("the content of search.corpus changed")


def told_of(name: str, *settings: dict[str, object]) -> list[str]:
    """The notes on runs with these settings, each with a different digest of this name."""
    return [*data_notes((f"r_{i}", own, [{name: f"{i}"}]) for i, own in enumerate(settings))]


def test_other_prompts_under_the_same_settings_are_named() -> None:
    (told,) = told_of("step_prompts", {"seed": 0}, {"seed": 1})
    assert told.startswith("the prompts of the steps changed between these runs")
    assert told_of("step_prompts", {"agent.prompts": "a"}, {"agent.prompts": "b"}) == []


def test_other_prompts_of_judges_are_named_where_a_judge_is_asked() -> None:
    asks_none = {"grader.kind": "rule", "improve.selector": "perplexity", "synthetic.n": 0, "synthetic.judged": True}
    assert told_of("judge_prompts", asks_none, asks_none) == []
    for asked in ({"grader.kind": "openai"}, {"improve.selector": "reward_model"}, {"improve.keep": "judged_good"},
                  {"improve.keep_trajectories": "cycle_consistent"}, {"synthetic.n": 9}):  # fmt: skip
        (told,) = told_of("judge_prompts", asks_none | asked, asks_none | asked)
        assert told.startswith("the prompts of the judges changed"), asked


def test_versions_of_packages_are_no_data() -> None:
    assert told_of("torch", {}, {}) == []
