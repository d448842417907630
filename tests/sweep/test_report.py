"""The table of a sweep: means over seeds, differences to the baselines, trainings that did not converge, a picture."""

import json
import shutil
from pathlib import Path

import pytest

from rest_react.metrics.intervals import paired_difference
from rest_react.reporting.results.results_json import read_results, scores_of
from rest_react.sweep.report import write_sweep_report
from rest_react.training.process.loss_curve import stays_up
from tests.sweep.hand_made import first, write_run
from tests.tasks.completion.test_rows import label_free_run, write_data


def test_runs_that_differ_in_their_seed_are_one_line_and_compared_with_the_baselines(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", labelled=18)
    jobs = []
    for n in (10, 12):
        common = f"demonstrations.questions.n={n}", "task.baselines=[majority]"
        folder, _ = label_free_run(tmp_path, data, f"run_{n}_0", *common, "iteration=0")
        settings = shutil.copytree(folder, tmp_path / f"run_{n}_1") / "settings.yaml"
        settings.write_text(settings.read_text().replace("\n  seed: 0\n", "\n  seed: 1\n"))  # else it is a copy
        for seed in (0, 1):
            own, folder = [*common, f"seed={seed}", f"grow.reuse=curve_{n}_{seed}"], tmp_path / f"run_{n}_{seed}"
            jobs.append({"status": 0, "folder": str(folder), "overrides": ["experiment=classify", *own]})
    losses = [{"step": i, "loss": 2.0, "learning_rate": 0.1, "tokens": 1, "seconds": 1.0} for i in range(1, 11)]
    stuck = tmp_path / "run_12_1" / "iter_0" / "finetune" / "loss.jsonl"
    stuck.write_text("".join(json.dumps(line) + "\n" for line in losses))

    told = write_sweep_report([*jobs, {"status": 2, "folder": "", "overrides": []}], tmp_path)

    headings, ten, twelve, note, page = told.splitlines()
    assert headings.split("  ")[0] == "Settings"
    assert ten.startswith("demonstrations.questions.n=10  validation  2 ")
    assert twelve.startswith("demonstrations.questions.n=12  validation  2 ")
    assert note == (
        "note: run_12_1, iteration 0: the training loss did not halve: 2.00 over the first tenth of the steps, "
        "2.00 over the last fifth"
    )
    assert page == f"sweep: {tmp_path / 'sweep.html'}"

    runs = [read_results(tmp_path / f"run_10_{seed}") for seed in (0, 1)]
    tuned = [scores_of(run.rows[0]) or {} for run in runs]
    means = {item: [column[item][0] for column in tuned] for item in tuned[0]}
    change = paired_difference(means, scores_of(runs[0].baselines[0].row) or {})
    assert change.mean is not None
    assert f"{100 * change.mean:+.1f}" in ten
    assert "<svg" in (tmp_path / "sweep.html").read_text()
    assert "run\\_12\\_1" in (tmp_path / "sweep.md").read_text() or "run_12_1" in (tmp_path / "sweep.md").read_text()


@pytest.mark.parametrize(
    ("losses", "told"),
    [([3.0, 2.0, 1.0, 0.5, 0.1], False), ([3.0, 2.9, 2.8, 2.9, 3.0], True), ([3.0, 3.0], False), ([], False)],
)
def test_a_training_did_not_converge_if_its_loss_stays_above_half(losses: list[float], told: bool) -> None:
    assert stays_up(list(enumerate(losses, start=1))) == told


def test_iterations_beyond_those_that_a_job_was_asked_for_do_not_count(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", labelled=18)
    jobs = []
    for seed, iteration in ((0, 1), (1, 0)):
        folder, _ = label_free_run(tmp_path, data, f"run_{seed}", f"iteration={iteration}")
        jobs.append(
            {"status": 0, "folder": str(folder), "overrides": ["experiment=classify", f"seed={seed}"], "iteration": 0}
        )
    told = write_sweep_report(jobs, tmp_path).splitlines()
    first = [read_results(tmp_path / f"run_{seed}").rows[0].accuracy.mean or 0.0 for seed in (0, 1)]
    assert f"{100 * sum(first) / 2:.1f}%" in told[1]
    assert "Start" not in told[0]
    through_1 = write_sweep_report([{**jobs[0], "iteration": 1}, {**jobs[0], "iteration": 1}], tmp_path).splitlines()
    assert "Minus start" in through_1[0]


def jobs_of(folder: Path, *failed: dict[str, object]) -> list[dict[str, object]]:
    """Two finished jobs, and these others."""
    runs = [write_run(folder / f"r_{i}", {0: first(60 + i)}, seed=i) for i in range(2)]
    done = [{"status": 0, "folder": str(run), "overrides": [f"seed={i}"]} for i, run in enumerate(runs)]
    return [*done, *failed]


def test_the_files_of_a_sweep_name_the_jobs_without_results(tmp_path: Path) -> None:
    one = {"status": 3, "folder": "", "overrides": ["seed=2"]}
    told = write_sweep_report(jobs_of(tmp_path, one), tmp_path)
    for page in ("sweep.md", "sweep.html"):
        assert "1 of 3 jobs is not here: seed=2, incomplete" in (tmp_path / page).read_text(), page
    assert "not here" not in told  # there the table of jobs stands above
    write_sweep_report(jobs_of(tmp_path / "more", one, {"status": -1, "folder": "", "overrides": ["seed=3"]}), tmp_path)
    assert "2 of 4 jobs are not here: seed=2, incomplete; seed=3, no outcome" in (tmp_path / "sweep.md").read_text()
    write_sweep_report(jobs_of(tmp_path / "all"), tmp_path)
    assert "not here" not in (tmp_path / "sweep.md").read_text()


def test_markdown_does_not_format_the_notes_of_a_sweep(tmp_path: Path) -> None:
    write_sweep_report(jobs_of(tmp_path, {"status": 2, "folder": "", "overrides": ["run=*r*_<2>"]}), tmp_path)
    assert r"run=\*r\*\_&lt;2&gt;, refused" in (tmp_path / "sweep.md").read_text()
