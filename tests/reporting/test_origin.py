"""Which runs are trainings of one arm, by their settings and those of the runs that they reuse."""

import json
from pathlib import Path

import pytest

from rest_react.report import write_comparison
from rest_react.reporting.compare import compare
from rest_react.reporting.compared_run import read_run
from rest_react.reporting.origin import Origin, arm_key, read_origin, shared_by
from rest_react.storage.settings_file import lock_settings
from tests.sweep.hand_made import first, lines_of, swept, write_run


def write_settings(folder: Path, **settings: object) -> None:
    lock_settings(folder, {name.replace("__", "."): value for name, value in settings.items()}, {"python": "3"})


def accuracies(folder: Path, *names: str) -> list[list[str]]:
    """The lines of "Over trainings" of these runs."""
    (benchmark,) = compare([read_run(folder / name, name) for name in names])["benchmarks"]
    return [cells[:3] for cells in benchmark["trainings"]["accuracy"]["rows"]] if benchmark["trainings"] else []


def write_reusing_runs(folder: Path, *, own: object = None) -> list[Path]:
    """Two runs with the same settings that reuse iteration 1 of another run each: `one` and `two` of two selectors, or
    of the same (`own`)."""
    for seed, (name, selector) in enumerate((("one", "perplexity"), ("two", "verified"))):
        write_settings(folder / name, improve__selector=own or selector, learning_seed=seed)
    return [
        write_run(
            folder / f"of_{name}",
            {1: first(right), 2: first(right)},
            seed=0,
            grow__reuse=name,
            grow__reuse_through=1,
        )
        for name, right in (("one", 40), ("two", 80))
    ]


def test_runs_that_reuse_iterations_of_different_settings_are_not_averaged(tmp_path: Path) -> None:
    runs = write_reusing_runs(tmp_path)
    assert accuracies(tmp_path, "of_one", "of_two") == []
    swept(tmp_path, runs)
    assert [(line["Settings"], line["Trainings"], line["Accuracy"]) for line in lines_of(tmp_path, "Results")] == [
        ("grow.reuse=one", "1", "40.0%"), ("grow.reuse=two", "1", "80.0%"),
    ]  # fmt: skip


def test_runs_that_reuse_iterations_of_trainings_of_one_arm_are_trainings_of_one_arm(tmp_path: Path) -> None:
    runs = write_reusing_runs(tmp_path, own="verified")
    told = accuracies(tmp_path, "of_one", "of_two")
    assert told == [["of_one, of_two", "1", "40.0%, 80.0%"], ["of_one, of_two", "2", "40.0%, 80.0%"]]
    swept(tmp_path, runs)
    (line,) = lines_of(tmp_path, "Results")
    assert (line["Settings"], line["Trainings"], line["Accuracy"]) == ("(all)", "2", "60.0%")


def test_a_reused_iteration_whose_run_is_gone_is_told_apart_by_the_name_of_that_run(tmp_path: Path) -> None:
    for name in ("one", "two"):
        for seed in (0, 1):
            write_run(
                tmp_path / f"{name}_{seed}", {1: first(60 + seed)}, seed=seed, grow__reuse=name, grow__reuse_through=1
            )
    told = accuracies(tmp_path, "one_0", "one_1", "two_0", "two_1")
    assert [names for names, *_ in told] == ["one_0, one_1", "two_0, two_1"]


def test_students_of_different_teachers_are_not_averaged_but_those_of_one_teacher_s_trainings_are(
    tmp_path: Path,
) -> None:
    for name, model, seed in (("small", "135M", 0), ("large", "7B", 0), ("large_1", "7B", 1)):
        write_settings(tmp_path / name, policy__model=model, seed=seed)
        write_run(tmp_path / f"of_{name}", {1: first(60 + seed)}, seed=seed, policy__model="student", grow__reuse=name)
    told = accuracies(tmp_path, "of_small", "of_large", "of_large_1")
    assert [names for names, *_ in told] == ["of_small", "of_large, of_large_1"]


def test_a_run_that_reuses_the_stages_of_its_own_settings_takes_it_for_a_seed(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_settings(tmp_path / f"base_{seed}", policy__model="m", improve__selector="perplexity", seed=seed)
        write_run(
            tmp_path / f"r_{seed}", {1: first(60 + seed)}, policy__model="m", seed=seed, grow__reuse=f"base_{seed}"
        )
    assert [names for names, *_ in accuracies(tmp_path, "r_0", "r_1")] == ["r_0, r_1"]


def publish(folder: Path, name: str, rows: object = (), **settings: object) -> Path:
    flat = {key.replace("__", "."): value for key, value in settings.items()}
    text = json.dumps({"schema": 1, "run": name, "rows": rows, "settings": flat})
    (folder / f"{name}.json").write_text(text)
    return folder / f"{name}.json"


def test_the_run_that_a_published_run_reuses_is_looked_for_beside_it(tmp_path: Path) -> None:
    publish(tmp_path, "teacher", policy__model="7B")
    student = publish(tmp_path, "student", policy__model="1B", grow__reuse="teacher")
    assert read_origin(student).is_student
    write_settings(tmp_path / "teacher", policy__model="13B")
    (tmp_path / "own").mkdir()
    inside = publish(tmp_path / "own", "results", policy__model="1B", grow__reuse="teacher")
    assert read_origin(inside).reused == Origin({"policy.model": "13B"})


def test_a_note_says_where_runs_of_one_arm_may_be_students_of_different_models(tmp_path: Path) -> None:
    rows = json.loads((write_run(tmp_path / "run", {1: first(60)}) / "results.json").read_text())["rows"]
    files = [publish(tmp_path, f"r_{i}", rows, seed=i, grow__reuse=f"base_{i}") for i in (0, 1)]
    assert write_comparison(files, tmp_path / "page.html") == [
        (
            "r_0, r_1 count as trainings of one arm, but may be students of different models: the settings of what "
            "they reuse cannot be read (base_0, base_1)"
        )
    ]
    assert write_comparison(files[:1] * 2, tmp_path / "page.html") == []


def test_folders_that_reuse_each_other_are_read_once(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        write_settings(tmp_path / name, grow__reuse=other)
    found = read_origin(tmp_path / "a")
    assert found.reused is not None
    assert found.reused.reused is None


def test_a_damaged_reused_run_counts_as_one_that_cannot_be_read(tmp_path: Path) -> None:
    write_settings(tmp_path / "one", grow__reuse="two")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "settings.yaml").write_text("[")
    assert read_origin(tmp_path / "one").reused is None


@pytest.mark.parametrize(("seeds", "same"), [((0, 0), True), ((0, 1), False)])
def test_reused_iterations_are_one_training_where_their_runs_have_the_same_seeds(
    seeds: tuple[int, int], same: bool
) -> None:
    one, two = (
        Origin({"seed": 7, "grow.reuse": f"base_{i}", "grow.reuse_through": 1}, Origin({"seed": 7, "learning_seed": i}))
        for i in seeds
    )
    assert arm_key(one) == arm_key(two)
    assert (shared_by(one, 1) == shared_by(two, 1)) == same


def test_the_untuned_start_of_runs_of_different_seeds_is_no_training_of_its_own(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_run(tmp_path / f"r_{seed}", {0: first(50), 1: first(60)}, start="prompted", seed=seed)
    assert accuracies(tmp_path, "r_0", "r_1") == [["r_0, r_1", "0", "50.0%"], ["r_0, r_1", "1", "60.0%, 60.0%"]]
