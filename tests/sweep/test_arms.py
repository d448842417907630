"""The runs of a sweep as arms: copies of a training, baselines of each run, the price at the iteration asked for."""

from pathlib import Path

import pytest

from rest_react.sweep.report import write_sweep_report
from tests.sweep.hand_made import first, lines_of, swept, write_run


def test_runs_that_differ_in_learning_seed_have_one_training_at_iteration_0(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / f"r_{i}", {0: first(60), 1: first(70 + i)}, seed=0, learning_seed=i) for i in range(3)]
    swept(tmp_path, runs, iteration=0)
    (start,) = lines_of(tmp_path, "Results")
    assert (start["Trainings"], start["Accuracy"], start["Std over trainings"]) == ("1", "60.0%", "")
    swept(tmp_path, runs)
    (last,) = lines_of(tmp_path, "Results")
    assert (last["Trainings"], last["Start"], last["Std over trainings"]) == ("3", "60.0%", "1.0")
    assert last["Minus start"].startswith("+11.0 [")


def test_jobs_in_one_folder_have_the_results_of_the_iteration_that_each_was_asked_for(tmp_path: Path) -> None:
    run = write_run(tmp_path / "r", {0: first(60), 1: first(70)}, seed=0)
    jobs = [{"status": 0, "folder": str(run), "iteration": k, "overrides": [f"iteration={k}"]} for k in (0, 1)]
    write_sweep_report(jobs, tmp_path)
    lines = lines_of(tmp_path, "Results")
    assert {line["Settings"]: line["Accuracy"] for line in lines} == {"iteration=0": "60.0%", "iteration=1": "70.0%"}


def test_equal_answers_of_trainings_of_other_seeds_are_two_trainings(tmp_path: Path) -> None:
    swept(tmp_path, [write_run(tmp_path / f"r_{i}", {0: first(60)}, seed=i, learning_seed=None) for i in range(2)])
    (line,) = lines_of(tmp_path, "Results")
    assert (line["Trainings"], line["Std over trainings"]) == ("2", "0.0")


def test_an_iteration_that_runs_reuse_is_one_training(tmp_path: Path) -> None:
    shared = {"seed": 0, "grow__reuse": "base", "grow__reuse_through": 1}
    runs = [
        write_run(tmp_path / f"r_{i}", {1: first(60), 2: first(60 + i)}, learning_seed=i, **shared) for i in range(2)
    ]
    told = []
    for iteration in (1, 2):
        swept(tmp_path, runs, iteration=iteration)
        told += [line["Trainings"] for line in lines_of(tmp_path, "Results")]
    assert told == ["1", "2"]


def test_a_baseline_that_learnt_in_each_run_is_compared_with_the_training_of_this_run(tmp_path: Path) -> None:
    rights = ((67, 45), (62, 64), (64, 81))
    runs = [
        write_run(tmp_path / f"r_{i}", {0: first(tuned)}, baselines={"tfidf": first(other)}, seed=i)
        for i, (tuned, other) in enumerate(rights)
    ]
    swept(tmp_path, runs)
    (line,) = lines_of(tmp_path, "Results")
    mean, low, high = (float(word.strip("[],")) for word in line["Minus tfidf"].split())
    assert (line["tfidf"], mean) == ("63.3%", 1.0)
    assert low < -35
    assert high > 35


def test_a_run_without_a_baseline_is_not_compared_with_that_of_another_run(tmp_path: Path) -> None:
    """Of three runs the first has no baseline: the others are 2 points above their own, which are 20 points apart."""
    first_run = write_run(tmp_path / "r_0", {0: first(90)}, seed=0)
    others = [
        write_run(tmp_path / f"r_{i}", {0: first(right + 2)}, baselines={"tfidf": first(right)}, seed=i)
        for i, right in ((1, 40), (2, 60))
    ]
    swept(tmp_path, [first_run, *others])
    (line,) = lines_of(tmp_path, "Results")
    assert (line["Trainings"], line["tfidf"]) == ("3", "50.0%")
    assert line["Minus tfidf"].startswith("+2.0 [")


def write_paid_run(folder: Path, seed: int) -> Path:
    """Training costs 1 dollar an iteration; an answer 3 cents, of iteration 1 2 cents, of the baseline 5 cents."""
    return write_run(
        folder,
        {0: first(60), 1: first(70)},
        baselines={"few_shot": first(50)},
        answering={-1: {"cost_usd": 5.0}, 0: {"cost_usd": 3.0}, 1: {"cost_usd": 2.0}},
        training={k: {"cost_usd": 1.0, "seconds": 60.0} for k in (0, 1)},
        seed=seed,
    )


@pytest.mark.parametrize(
    ("iteration", "told"),
    [(0, ("1.0000", "20.0000", "50 answers")), (1, ("2.0000", "30.0000", "67 answers"))],
)
def test_the_price_of_training_is_that_up_to_the_iteration_asked_for(
    tmp_path: Path, iteration: int, told: tuple[str, ...]
) -> None:
    swept(tmp_path, [write_paid_run(tmp_path / f"r_{i}", i) for i in range(2)], iteration=iteration)
    (line,) = lines_of(tmp_path, "Price of training and what it saves")
    assert (line["Training, USD"], line["Saved, USD per 1,000 answers"], line["Pays after, USD"]) == told


def test_a_price_whose_training_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    runs = [write_paid_run(tmp_path / f"r_{i}", i) for i in range(2)]
    (runs[0] / "iter_0" / "finetune" / "summary.json").write_text("{")
    swept(tmp_path, runs, iteration=0)
    (line,) = lines_of(tmp_path, "Price of training and what it saves")
    assert (line["Trainings"], line["Training, USD"]) == ("1", "1.0000")
