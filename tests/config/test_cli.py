import os
import re
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rest_react.config import cli
from rest_react.config.cli import checked
from rest_react.config.compose import compose
from rest_react.config.environment import commit_of, environment, number_types
from rest_react.config.groups import CONFIGS
from rest_react.errors import BudgetReached, ConfigError
from rest_react.llm.vllm.settings import VllmModel
from rest_react.run import run as run_here
from rest_react.storage.settings_file import read_environments
from rest_react.tasks.search_qa.scripted import ScriptedModel
from rest_react.weights import number_type
from tests.forecast.test_machine_speed import NoStages
from tests.tasks.completion.test_rows import write_data

OTHER_ROLES = ("same", "rule", "trained", "scripted_maker")  # none of them answers as a policy
MODELS = sorted(path.stem for path in (CONFIGS / "llm").glob("*.yaml"))
POLICIES = ", ".join(name for name in MODELS if name not in OTHER_ROLES)
HEAVY = "torch transformers trl peft accelerate datasets wandb openai bm25s scipy pyarrow ddgs".split()


def problems(*overrides: str, multirun: bool = False) -> list[str]:
    with pytest.raises(ConfigError) as error:
        compose(overrides, multirun=multirun)
    return list(error.value.problems)


def command(*arguments: str, where: Path) -> subprocess.CompletedProcess[str]:
    alone = {**os.environ, "COLUMNS": "200", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=where, env=alone, capture_output=True, text=True, check=False, timeout=120
    )


def run(*arguments: str, where: Path) -> subprocess.CompletedProcess[str]:
    return command("-m", "rest_react.run", *arguments, where=where)


def test_all_problems_are_reported_at_once_and_quickly(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    refused = run("agnt.select=first", "iteration=x", "policy=vlm", where=tmp_path)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 5  # of the processor: no model is loaded
    assert refused.returncode == 2
    assert (refused.stdout + refused.stderr).splitlines() == [
        "3 problems in the settings:",
        f"  policy: there is no 'vlm'; choose one of {POLICIES}",
        "  agnt.select: there is no such setting; did you mean agent.select?",
        "  iteration: input should be a valid integer, unable to parse string as an integer (given: 'x')",
    ]
    assert list(tmp_path.iterdir()) == []


def test_no_slow_package_is_imported_to_report_a_misspelt_setting(tmp_path: Path) -> None:
    loads = (
        "import sys; import rest_react.run; from rest_react.config import cli\n"
        "try: cli.checked(['agnt.select=first'])\n"
        f"except SystemExit as end: print(end.code, [name for name in {HEAVY} if name in sys.modules])"
    )
    assert command("-c", loads, where=tmp_path).stdout == "2 []\n"


def test_experiments_can_be_combined() -> None:
    both = compose(["experiment=[smoke,samples_16]"])
    assert (both.run, both.smoke, both.grow.samples) == ("samples_16", True, 16)


def test_help_shows_the_choices(tmp_path: Path) -> None:
    helped = run("--help", where=tmp_path)
    assert helped.returncode == 0
    assert f"llm: {', '.join(MODELS)}" in helped.stdout
    assert re.search(
        r"experiment: .*embedded_full, .*held_out_relations, .*local_corpus, paper_gpu, paper_openai, .*smoke",
        helped.stdout,
    )
    assert "max_searches: 5" in helped.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_prints_a_forecast_and_writes_no_file(tmp_path: Path) -> None:
    told = run("experiment=smoke", "dry_run=true", "run=mine", "output=out", where=tmp_path)
    assert told.returncode == 0, told.stderr
    assert "Forecast for the remaining stages of mine" in told.stdout + told.stderr
    assert "iteration 1: finetune" in told.stdout + told.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_settings_of_a_sweep_are_checked(tmp_path: Path) -> None:
    refused = run("-m", "policy=smollm2,vlm", "agnt.samples=1,2", where=tmp_path)
    assert refused.returncode == 2
    assert "policy: there is no 'vlm'" in refused.stderr
    assert "agnt.samples: there is no such setting" in refused.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("agent.selct=first", "agent.selct: there is no such setting; did you mean agent.select?"),
        ("agnt.max_searches=3", "agnt.max_searches: there is no such setting; did you mean agent.max_searches?"),
        ("polcy=vllm", "polcy: there is no such setting; did you mean policy?"),
        ("iteratoin=3", "iteratoin: there is no such setting; did you mean iteration?"),
        ("serch=bm25", "serch: there is no such setting; did you mean search?"),
        ("finetune=lorra", "finetune: there is no 'lorra'; choose one of dpo, dry_run, hosted, local, lora, "),
        ("experiment=paper", "experiment: there is no 'paper'; choose one of alpaca, bamtwoogle, checks_none, "),
        ("experiment=[smoke,paper]", "experiment: there is no 'paper'; choose one of alpaca, bamtwoogle, "),
        ("grow.questions=hotpot", "grow.questions: there is no 'hotpot'; choose one of 2wikimultihopqa, "),
        (
            "questions@evaluate.benchmarks.world=null",
            "questions@evaluate.benchmarks.world: null is not a choice; to remove the entry, give '~",
        ),
        ("search=null", "search: there is no null; choose one of bm25, brave, "),
        ("policy=null", "policy: there is no null; choose one of gemini, llamacpp, "),
        ("seed.deep=3", "seed.deep: there is no such setting; "),
        ("+agent.xyz=1", "agent.xyz: there is no such setting; see --help for the groups and --cfg job for"),
        ("~agent.select", "agent.select: is missing; give agent.select=..."),
        ("just words", "just words: is not an override; write setting=value"),
        ("=", "=: is not an override; write setting=value"),
        ("evaluate.benchmarks=bamboogle", "evaluate.benchmarks: holds question sets by name; add one with +"),
        ("grow.samples=2,4", "grow.samples: several values make a sweep; add -m"),
        (
            "run=${nobody}",
            "run: cannot be resolved: Interpolation key 'nobody' not found; name an existing setting in ${...}",
        ),
        ("finetune.steps=219", "finetune.steps: should be a list, such as [219] (given: 219)"),
        ("agent.self_checks=maybe", "agent.self_checks: should be true or false (given: 'maybe')"),
        ("budget=5", "budget: is a group; give one of its settings as budget.<setting>=... (given: 5)"),
        ("seed=", "seed: input should be a valid integer, unable to parse string as an integer (given: '')"),
    ],
)  # fmt: skip
def test_a_problem_is_one_line_with_what_to_do(override: str, problem: str) -> None:
    (told,) = problems(override)
    assert told.startswith(problem)


@pytest.mark.parametrize(
    ("given", "lacking", "command"),
    [
        ("bamtwoogle", "bamtwoogle", "experiment=[paper_gpu,second_generation,bamtwoogle]"),
        ("[bamtwoogle,paper_gpu]", "bamtwoogle", "experiment=[paper_gpu,second_generation,bamtwoogle]"),
        ("pilot_unfiltered", "pilot_unfiltered", "experiment=[paper_gpu,pilot_unfiltered] iteration=1"),
        ("data_curve", "data_curve", "-m experiment=[classify,data_curve] data=<folder>"),
        ("[smoke,label_free]", "label_free", "-m experiment=[classify,label_free] data=<folder>"),
    ],
)
def test_an_experiment_that_changes_another_one_tells_its_command(
    given: str, lacking: str, command: str, tmp_path: Path
) -> None:
    assert problems(f"experiment={given}") == [
        (
            f"experiment: {lacking} changes another experiment, which must be named before it, as in its command: "
            f"python -m rest_react.run {command}"
        )
    ]
    for part in ("train", "validation"):
        rows = [f'{{"text": "{part} {i}", "label": "{"AB"[i % 2]}"}}\n' for i in range(210)]
        (tmp_path / f"{part}.jsonl").write_text("".join(rows))
    words = command.replace("<folder>", str(tmp_path)).split()
    compose([word for word in words if word != "-m"], multirun="-m" in words)


def test_an_address_in_a_setting_of_the_user_is_not_blamed_on_the_experiment() -> None:
    (told,) = problems("experiment=smoke", "run=${grow.reuse.x}")
    assert told.startswith("run: cannot be resolved: ConfigTypeError")


def test_a_missing_folder_of_texts_is_one_problem(tmp_path: Path) -> None:
    for name, others in (("data", []), ("evaluate_data", [f"data={tmp_path}", "evaluate_data=null"])):
        assert problems("experiment=classify", *others)[0] == (
            f"{name}: is not set; give {name}=<folder with train and validation files>"
        )
    assert len(problems("experiment=classify")) == 1


def test_a_wrong_value_does_not_hide_an_impossible_combination() -> None:
    assert problems("iteration=x", "finetune=hosted", "agnt=1")[1:] == [
        "iteration: input should be a valid integer, unable to parse string as an integer (given: 'x')",
        "finetune.kind: hosted cannot tune policy.kind=transformers; use finetune=local, or policy=openai",
    ]


def test_a_setting_written_as_an_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        checked(["--iteration", "3", "--grow.samples=2", "--run"])
    assert capsys.readouterr().err.splitlines()[1:] == [
        "  --iteration: settings have no dashes; write iteration=3",
        "  --grow.samples=2: settings have no dashes; write grow.samples=2",
        "  --run: settings have no dashes; write run=<value>",
    ]


def test_settings_that_depend_on_an_unknown_choice_are_not_reported() -> None:
    assert [told.split(":")[0] for told in problems("policy=opnai", "policy.base_url=x", "finetune=hosted")] == [
        "policy"
    ]
    assert [told.split(":")[0] for told in problems("experiment=papr", "policy.port=3")] == ["experiment"]
    assert [told.split(":")[0] for told in problems("search=bm26", "agent.max_searches=x")] == [
        "search",
        "agent.max_searches",
    ]
    assert [told.split(":")[0] for told in problems("finetune.micro_batch_size=x", "finetune.batch_size=5")] == [
        "finetune.micro_batch_size"
    ]


def test_a_missing_value_is_reported() -> None:
    assert problems("grow.questions=file") == ["grow.questions.path: needs a value; give grow.questions.path=..."]


def test_short_names_become_hydra_s_long_names() -> None:
    arguments = ["policy=scripted", "reward_model=scripted", "grader=rule", "grow.questions=world_train", "seed=3"]
    assert checked(arguments) == [
        "llm@policy=scripted",
        "llm@reward_model=scripted",
        "llm@grader=rule",
        "questions@grow.questions=world_train",
        "seed=3",
    ]
    assert isinstance(compose(["policy=vllm"]).policy, VllmModel)
    assert isinstance(compose(["policy=scripted", "policy.right=0.5"]).policy, ScriptedModel)


def test_the_last_of_two_values_counts_as_in_hydra() -> None:
    assert compose(["iteration=1", "iteration=3"]).iteration == 3


def test_a_benchmark_can_be_added_and_removed() -> None:
    added = compose(["+questions@evaluate.benchmarks.train=world_train", "evaluate.benchmarks.train.sample=3"])
    assert {name: source.sample for name, source in added.evaluate.benchmarks.items()} == {"world": None, "train": 3}
    replaced = compose(["+questions@evaluate.benchmarks.t=world_train", "~questions@evaluate.benchmarks.world"])
    assert list(replaced.evaluate.benchmarks) == ["t"]


def test_hydra_s_own_settings_are_not_checked() -> None:
    assert checked(["hydra.run.dir=/tmp/elsewhere"]) == ["hydra.run.dir=/tmp/elsewhere"]
    assert checked(["hydra/launcher=basic"]) == ["hydra/launcher=basic"]


def test_what_an_experiment_sweeps_by_itself_is_checked_before_the_first_job(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", labelled=18)
    rows = (f"data={data}", "evaluate.benchmarks.validation.n=6")
    one = ("experiment=classify", *rows, "demonstrations.questions.n=10")
    assert compose(one, multirun=True).run == "classify_0"
    (shared,) = problems(*one, "run=mine", multirun=True)
    assert shared.endswith("'run=mine_${seed}'")
    few = problems("experiment=[classify,data_curve]", *rows, multirun=True)
    assert [re.search(r"need (\d+);", problem)[1] for problem in few] == ["20", "50", "100", "200"]  # type: ignore[index]


@pytest.mark.parametrize("option", [["--help"], ["--cfg", "job"], ["--info", "defaults"]])
def test_options_that_start_no_run_are_passed_to_hydra_unchanged(option: list[str]) -> None:
    assert checked([*option, "agnt=1"]) == [*option, "agnt=1"]


def test_every_job_of_a_sweep_is_checked_before_the_first_starts() -> None:
    own = "run=mine_${agent.max_searches}"
    assert compose([own, "agent.max_searches=range(2,5)"], multirun=True).run == "mine_2"
    assert compose(["run=glob(*)"], multirun=True).run == "default"
    assert compose(["policy.in_flight=8,16"], multirun=True).policy.kind == "transformers"
    assert problems(own, "agent.max_searches=2,x,y", multirun=True) == [
        f"agent.max_searches: input should be a valid integer, unable to parse string as an integer (given: '{wrong}')"
        for wrong in "xy"
    ]
    assert [told.split(";")[0] for told in problems("policy=scripted,tiny", "policy.right=0.5", multirun=True)] == [
        "policy.right: there is no such setting"
    ]
    select = "agent.select=first,majority"
    (shared,) = problems("seed=0,1", "run=mine_${seed}", select, multirun=True)
    assert shared.startswith("run: ")
    assert shared.endswith("'run=mine_${seed}_${agent.select}'")
    (shared,) = problems("policy=scripted,tiny", multirun=True)
    assert shared.endswith("'run=mine'")
    assert compose(["seed=0,1", "output=outputs/${seed}"], multirun=True).output == "outputs/0"
    assert compose(["seed=0,1", "dry_run=true"], multirun=True).seed == 0
    assert [told.split(";")[0] for told in problems("policy=tiny,x,y", multirun=True)] == [
        "policy: there is no 'x'",
        "policy: there is no 'y'",
    ]


@pytest.mark.parametrize("at", [0, 1, 3])
@pytest.mark.parametrize("option", ["-m", "--multirun"])
def test_the_option_for_a_sweep_may_stand_anywhere(
    at: int, option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = ["seed=1,2", "policy=tiny", "run=of_${seed}"]
    first, folder, *others = checked([*given[:at], option, *given[at:]])
    assert (first, others) == (option, ["seed=1,2", "llm@policy=tiny", "run='of_${seed}'"])
    assert folder.startswith(f"hydra.sweep.dir='{tmp_path}/outputs/multirun/")
    assert cli.sweep_folder([first, folder, *others]) == Path(folder.partition("=")[2][1:-1])
    assert cli.sweep_folder(checked(["seed=1"])) is None
    forecast = cli.sweep_folder(checked([option, "seed=1,2", "dry_run=true"]))
    assert forecast is not None
    assert not forecast.is_relative_to(tmp_path)


def test_a_sweep_with_the_user_s_own_configuration_files_has_its_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = cli.sweep_folder(checked(["-m", f"--config-dir={tmp_path}", "seed=1,2", "output=out"]))
    assert folder is not None
    assert folder.parent == tmp_path / "out" / "multirun"
    interpolated = cli.sweep_folder(checked(["-m", f"--config-dir={tmp_path}", "seed=1,2", "output=out/${seed}"]))
    assert interpolated is not None
    assert interpolated.parent == tmp_path / "outputs" / "multirun"
    forecast = cli.sweep_folder(checked(["-m", f"--config-dir={tmp_path}", "seed=1,2", "dry_run=True"]))
    assert forecast is not None
    assert not forecast.is_relative_to(tmp_path)
    assert cli.sweep_folder(checked(["-m", "--help"])) is None


def test_the_user_s_own_folder_of_a_sweep_is_where_its_jobs_are_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = ["-m", "run=of_${seed}", "seed=1,2", f"hydra.sweep.dir={tmp_path}/mine"]
    assert cli.sweep_folder(checked(given)) == tmp_path / "mine"
    of_hydra = cli.sweep_folder(checked([*given[:3], "hydra.sweep.dir=out/${now:%Y}"]))
    assert of_hydra is not None
    assert of_hydra.parent == tmp_path / "outputs" / "multirun"


def test_stop_prints_the_message_and_exits_with_the_status_of_the_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.stop(BudgetReached("no \x1b[31m way [bold]out[/bold]"))
    assert end.value.code == 4
    assert capsys.readouterr().err == "no \\u001b[31m way [bold]out[/bold]\n"


def test_the_environment_lists_versions_that_can_change_a_result() -> None:
    told = environment({"step_prompts": "abcd"})
    assert told["step_prompts"] == "abcd"
    assert told["python"] == sys.version.split()[0]
    assert set(told) >= {"rest-react", "commit", "torch", "transformers", "trl", "bm25s"}


def test_the_environment_names_the_types_of_number_that_auto_stands_for_on_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(number_type, "cpu_instructions", lambda: frozenset({"avx512_bf16"}))
    here = compose(["policy.device=cpu", "iteration=0", "start=prompted"])
    assert number_types(here) == {"number_type_policy": "bfloat16", "number_type_finetune": "bfloat16"}
    assert number_types(replace(here, iteration=1)) == number_types(here)
    assert number_types(compose(["policy=openai", "finetune=hosted"])) == {}


def test_a_run_records_the_types_of_number_of_the_machine(tmp_path: Path) -> None:
    no_stages: Any = NoStages
    speed = ("speed.prefill=9", "speed.decode=9", "speed.train=9")  # not measured then
    given = ("policy.device=cpu", "finetune.dtype=float32", f"output={tmp_path}", "run=r", *speed)
    run_here(compose(given), loop=no_stages)
    (here,) = read_environments(tmp_path / "r")
    assert here["number_type_policy"] in ("float32", "bfloat16") and here["number_type_finetune"] == "float32"


def test_the_commit_of_a_checkout_says_whether_files_of_the_package_differ(tmp_path: Path) -> None:
    assert commit_of(tmp_path) == "not a checkout"
    module = tmp_path / "rest_react" / "loop.py"
    module.parent.mkdir()
    (tmp_path / "configs").mkdir()
    module.write_text("first\n")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=Ada", "-c", "user.email=ada@localhost"]
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "First"]):
        subprocess.run([*git, *words], check=True)
    commit = commit_of(tmp_path)
    assert re.fullmatch("[0-9a-f]{12}", commit)
    module.write_text("second\n")
    assert commit_of(tmp_path) == f"{commit}, with changes"


def test_a_relative_output_folder_is_inside_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.output_root(compose(["output=here"])) == tmp_path / "here"
    assert cli.output_root(compose([f"output={tmp_path}/there"])) == tmp_path / "there"


def test_every_group_has_its_files() -> None:
    assert {folder.name for folder in CONFIGS.iterdir() if folder.is_dir()} == {
        "experiment",
        "finetune",
        "llm",
        "questions",
        "search",
        "task",
        "tracking",
    }
