"""The data curve on a rented model that really learns its uploaded rows: accuracy by rows, what it forgets, what
training costs and saves, and a training that did not converge."""

from pathlib import Path
from random import Random

import pytest

from rest_react.build import Parts
from rest_react.config.compose import compose
from rest_react.errors import ConfigError
from rest_react.loop import Loop
from rest_react.reporting.results.results_json import BreakEven, Results, read_results
from rest_react.run import run
from rest_react.storage.run_folder import RunFolder
from rest_react.sweep.report import write_sweep_report
from tests.questions.sets import write_jsonl
from tests.rented_labels import RentedLabels
from tests.serving import Service, serving

SIGNS = {"Card": "abcdef", "Loan": "ghijkl", "House": "mnopqr"}  # of each class six words, of which a text has one
COLOURS = ("blue", "red", "green")
NAMES = ("Settings", "Benchmark", "Trainings", "Items", "Accuracy")


def write_data(folder: Path) -> Path:
    rng = Random(7)
    for split, rounds in (("train", 6), ("validation", 12)):
        rows = [
            {"text": f"{split} letter {i} {label} {rng.random():.6f} about {SIGNS[label][i % 6] * 4}", "label": label}
            for i in range(rounds)
            for label in SIGNS
        ]
        write_jsonl(
            folder / f"{split}.jsonl", *[row | {"text": str(row["text"]).replace(row["label"], "")} for row in rows]
        )
    second = [{"text": f"Number {i}. Say: {COLOURS[i % 3]}. Which colour?", "label": COLOURS[i % 3]} for i in range(12)]
    write_jsonl(folder / "second.jsonl", *second)
    return folder


@pytest.fixture(scope="module")
def curve(tmp_path_factory: pytest.TempPathFactory) -> tuple[Service, dict[str, Results], str, Path]:
    """Two sizes, two seeds each; one of the four trainings has a learning rate of 0."""
    folder = tmp_path_factory.mktemp("curve")
    data, rented, jobs = write_data(folder / "data"), RentedLabels(), []
    with serving(rented.open_model, folder / "service", rented.train) as service:
        for n, seed in ((12, 0), (12, 1), (18, 0), (18, 1)):
            own = [f"demonstrations.questions.n={n}", f"seed={seed}"]
            stuck = ["finetune.learning_rate_multiplier=0.0"] if (n, seed) == (12, 1) else []
            run(
                compose(
                    ["experiment=[classify,data_curve,forgetting]", f"data={data}", f"run=r_{n}_{seed}", *own, *stuck,
                     f"evaluate.benchmarks.second.path={data}/second.jsonl", "evaluate.benchmarks.second.n=12",
                     "evaluate.benchmarks.validation.n=36", "task.baselines=[majority,zero_shot,few_shot]",
                     "task.shots=6", "policy=openai", "policy.model=m", f"policy.base_url={service.url}",
                     "policy.api_key_env=''", "policy.requests_per_minute=null",
                     "policy.price={input: 1.0, output: 2.0}",
                     "finetune=hosted", f"finetune.base_url={service.url}", "finetune.api_key_env=''",
                     "finetune.poll_s=0.02", "finetune.price={input: 3.0, output: 0.0}", f"output={folder}"]
                )
            )  # fmt: skip
            jobs.append({"status": 0, "folder": str(folder / f"r_{n}_{seed}"), "overrides": own})
    told = write_sweep_report(jobs, folder)
    return service, {path.name: read_results(path) for path in sorted(folder.glob("r_*"))}, told, folder


def accuracy(results: Results, benchmark: str) -> float | None:
    return next(row.accuracy.mean for row in results.rows if row.benchmark == benchmark)


def test_a_hosted_model_answers_by_the_rows_that_were_uploaded(
    curve: tuple[Service, dict[str, Results], str, Path],
) -> None:
    service, results, _, _ = curve
    assert [len(service.files[job.asked["training_file"]].splitlines()) for job in service.jobs] == [12, 12, 18, 18]
    # Its rows have four of the six words of each class; texts with another word all get the same label.
    assert accuracy(results["r_12_0"], "validation") == 28 / 36
    assert accuracy(results["r_18_0"], "validation") == 1.0
    assert all(accuracy(one, "validation") >= 1 / 3 for one in results.values())


def test_what_training_forgets_is_the_second_set_after_it_minus_the_untuned_model(
    curve: tuple[Service, dict[str, Results], str, Path],
) -> None:
    _, results, told, _ = curve
    for one in results.values():
        (before,) = (b for b in one.baselines if b.row.benchmark == "second")
        assert (before.name, before.row.accuracy.mean, before.row.questions) == ("zero_shot", 1.0, 12)
        assert accuracy(one, "second") == 0.0
        assert before.last_minus_it is not None
        assert (before.last_minus_it.mean, before.last_minus_it.questions) == (-1.0, 12)
        assert next(row for row in one.rows if row.benchmark == "second").scores == {}
    lines = [line for line in told.splitlines() if line.startswith("demonstrations.questions.n=18  second")]
    assert "-100.0" in lines[0]


def test_training_has_a_price_and_pays_for_itself_by_shorter_prompts(
    curve: tuple[Service, dict[str, Results], str, Path],
) -> None:
    service, results, told, folder = curve
    one = results["r_18_0"]
    row = next(row for row in one.rows if row.benchmark == "validation")
    (few,) = (b for b in one.baselines if b.name == "few_shot")
    usd = 3.0 * service.jobs[2].tokens / 1e6
    assert few.row.cost_usd is not None and row.cost_usd is not None
    saved = (few.row.cost_usd - row.cost_usd) / 36
    paid = few.break_even
    assert isinstance(paid, BreakEven)
    assert (paid.training_usd, paid.saved_usd) == (pytest.approx(usd), pytest.approx(saved))
    assert saved > 0
    assert paid.answers_usd == -(-usd // saved)
    (majority,) = (b for b in one.baselines if b.name == "majority")
    assert majority.break_even is not None
    assert majority.break_even.answers_usd is None
    assert f"{paid.answers_usd:,} answers" in (folder / "r_18_0/report.md").read_text()
    assert any("few_shot" in line and f"{paid.answers_usd:,}" in line for line in told.splitlines())


def test_a_training_whose_loss_stays_up_is_named_and_the_picture_shows_second_set_and_baselines(
    curve: tuple[Service, dict[str, Results], str, Path],
) -> None:
    _, results, told, folder = curve
    assert [line for line in told.splitlines() if line.startswith("note: ")] == [
        (
            "note: r_12_1, iteration 0: the training loss did not halve: 1.10 over the first tenth of the steps, 1.10 "
            "over the last fifth"
        )
    ]
    assert accuracy(results["r_12_1"], "validation") == 1 / 3
    page = (folder / "sweep.html").read_text()
    assert page.count("<svg") == 2
    assert all(text in page for text in ("zero_shot", "Seconds of an answer by its output tokens", "1-8 tokens"))
    latency = next(row for row in results["r_18_0"].rows if row.benchmark == "validation").latency
    assert [(name, one.answers, one.low is not None) for name, one in latency.items()] == [("1-8", 36, True)]


def test_an_instructed_set_needs_the_untuned_model_and_is_for_benchmarks(tmp_path: Path) -> None:
    data = write_data(tmp_path)
    with pytest.raises(ConfigError) as told:
        compose(
            ["experiment=[classify,forgetting]", f"data={data}", f"evaluate.benchmarks.second.path={data}/second.jsonl",
             "demonstrations.questions.n=12", "task.baselines=[majority]", "grow.questions.instructed=true",
             "iteration=1"]
        )  # fmt: skip
    assert [problem.partition(":")[0] for problem in told.value.problems] == [
        "task.baselines", "grow.questions.instructed",
    ]  # fmt: skip


def test_labels_of_an_instructed_set_that_no_output_could_tell_apart_are_refused(tmp_path: Path) -> None:
    data = write_data(tmp_path)
    rows = [{"text": f"Snippet {i}. C or C#?", "label": ("C", "C#")[i % 2]} for i in range(4)]
    write_jsonl(data / "second.jsonl", *rows, *({"text": f"Word {i}?", "label": "Rust"} for i in range(2)))
    settings = compose(
        ["experiment=[classify,forgetting]", f"data={data}", f"evaluate.benchmarks.second.path={data}/second.jsonl",
         "demonstrations.questions.n=12", "evaluate.benchmarks.second.n=6", "evaluate.benchmarks.validation.n=6",
         "task.baselines=[zero_shot]", "run=x"]
    )  # fmt: skip
    with pytest.raises(ConfigError) as refused:
        Loop(settings, Parts(settings, RunFolder(tmp_path / "run")))
    (problem,) = refused.value.problems
    assert problem.startswith("evaluate.benchmarks.second: 4 of 6 rows: 'C' and 'C#' differ in marks alone, which")
