import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rest_react.config import cli
from rest_react.config.cli import CONFIGS, checked, compose, environment
from rest_react.errors import ConfigError, UsageError
from rest_react.llm.vllm_server import VllmModel
from rest_react.tasks.search_qa.scripted import ScriptedModel

MODELS = ", ".join(sorted(path.stem for path in (CONFIGS / "llm").glob("*.yaml")))
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


def test_several_problems_are_told_at_once_within_a_breath(tmp_path: Path) -> None:
    started = time.monotonic()
    refused = run("agnt.select=first", "iteration=x", "policy=vlm", where=tmp_path)
    assert time.monotonic() - started < 10
    assert refused.returncode == 2
    assert (refused.stdout + refused.stderr).splitlines() == [
        "3 problems in the settings:",
        f"  policy: there is no 'vlm'; choose one of {MODELS}",
        "  agnt.select: there is no such setting; did you mean agent.select?",
        "  iteration: input should be a valid integer, unable to parse string as an integer (given: 'x')",
    ]
    assert list(tmp_path.iterdir()) == []


def test_nothing_slow_is_loaded_to_find_a_misspelling(tmp_path: Path) -> None:
    loads = (
        "import sys; import rest_react.run; from rest_react.config import cli\n"
        "try: cli.checked(['agnt.select=first'])\n"
        f"except SystemExit as end: print(end.code, [name for name in {HEAVY} if name in sys.modules])"
    )
    assert command("-c", loads, where=tmp_path).stdout == "2 []\n"


def test_experiments_go_on_top_of_each_other() -> None:
    both = compose(["experiment=[smoke,samples_16]"])
    assert (both.run, both.smoke, both.grow.samples) == ("samples_16", True, 16)


def test_help_shows_the_choices(tmp_path: Path) -> None:
    helped = run("--help", where=tmp_path)
    assert helped.returncode == 0
    assert f"llm: {MODELS}" in helped.stdout
    assert re.search(r"experiment: .*embedded_full, local_corpus, paper_gpu, paper_openai, .*smoke", helped.stdout)
    assert "max_searches: 5" in helped.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_forecast_is_printed_and_leaves_nothing_behind(tmp_path: Path) -> None:
    told = run("experiment=smoke", "dry_run=true", "run=mine", "output=out", where=tmp_path)
    assert told.returncode == 0, told.stderr
    assert "what mine would still take (an estimate; nothing was run)" in told.stdout + told.stderr
    assert "iteration 1: finetune" in told.stdout + told.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_is_checked_by_its_keys(tmp_path: Path) -> None:
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
        ("finetune=lorra", "finetune: there is no 'lorra'; choose one of dpo, dry_run, hosted, local, lora, tiny"),
        ("experiment=paper", "experiment: there is no 'paper'; choose one of bamtwoogle, checks_none, "),
        ("experiment=[smoke,paper]", "experiment: there is no 'paper'; choose one of bamtwoogle, checks_none, "),
        ("grow.questions=hotpot", "grow.questions: there is no 'hotpot'; choose one of 2wikimultihopqa, "),
        (
            "questions@evaluate.benchmarks.world=null",
            "questions@evaluate.benchmarks.world: null is no choice; to leave it out, give '~questions@evaluate.",
        ),
        ("search=null", "search: there is no None; choose one of bm25, duckduckgo, http"),
        ("policy=null", "policy: there is no None; choose one of gemini, llamacpp, "),
        ("seed.deep=3", "seed.deep: there is no such setting; "),
        ("+agent.colour=1", "agent.colour: there is no such setting; see --help for the groups and --cfg job for"),
        ("~agent.select", "agent.select: is missing; give agent.select=..."),
        ("just words", "just words: is no override; write setting=value, with quotes around odd characters"),
        ("grow.samples=2,4", "grow.samples: several values are a sweep; add -m to run them all"),
        ("run=${nobody}", "run: cannot be resolved: Interpolation key 'nobody' not found"),
        ("seed=", "seed: input should be a valid integer, unable to parse string as an integer (given: '')"),
    ],
)  # fmt: skip
def test_a_problem_is_one_line_with_its_way_out(override: str, problem: str) -> None:
    (told,) = problems(override)
    assert told.startswith(problem)


def test_a_wrong_value_does_not_hide_what_does_not_go_together() -> None:
    assert problems("iteration=x", "finetune=hosted", "agnt=1")[1:] == [
        "iteration: input should be a valid integer, unable to parse string as an integer (given: 'x')",
        "finetune.kind: hosted cannot tune policy.kind=transformers; use finetune=local, or policy=openai",
    ]


def test_nothing_is_said_about_what_hangs_on_an_unknown_choice() -> None:
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


def test_a_missing_value_is_asked_for() -> None:
    assert problems("grow.questions=file") == ["grow.questions.path: needs a value; give grow.questions.path=..."]


def test_short_names_spell_hydra_s_long_ones() -> None:
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


def test_of_two_values_the_later_one_counts_as_in_hydra() -> None:
    assert compose(["iteration=1", "iteration=3"]).iteration == 3


def test_a_benchmark_can_be_added_and_taken_away() -> None:
    added = compose(["+questions@evaluate.benchmarks.train=world_train", "evaluate.benchmarks.train.sample=3"])
    assert {name: source.sample for name, source in added.evaluate.benchmarks.items()} == {"world": None, "train": 3}
    replaced = compose(["+questions@evaluate.benchmarks.t=world_train", "~questions@evaluate.benchmarks.world"])
    assert list(replaced.evaluate.benchmarks) == ["t"]


def test_hydra_s_own_settings_are_left_to_hydra() -> None:
    assert checked(["hydra.run.dir=/tmp/elsewhere"]) == ["hydra.run.dir=/tmp/elsewhere"]
    assert checked(["hydra/launcher=basic"]) == ["hydra/launcher=basic"]


@pytest.mark.parametrize("option", [["--help"], ["--cfg", "job"], ["--info", "defaults"]])
def test_options_that_start_no_run_go_to_hydra_as_they_are(option: list[str]) -> None:
    assert checked([*option, "agnt=1"]) == [*option, "agnt=1"]


def test_a_sweep_is_checked_job_by_job_before_the_first_one_starts() -> None:
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
    shared = "run: each job of a sweep needs a folder of its own, with what is swept in its name: "
    select = "agent.select=first,majority"
    assert problems("seed=0,1", "run=mine_${seed}", select, multirun=True) == [
        f"{shared}'run=mine_${{seed}}_${{agent.select}}'"
    ]
    assert problems("policy=scripted,tiny", multirun=True) == [f"{shared}'run=mine'"]
    assert compose(["seed=0,1", "output=outputs/${seed}"], multirun=True).output == "outputs/0"
    assert compose(["seed=0,1", "dry_run=true"], multirun=True).seed == 0
    assert [told.split(";")[0] for told in problems("policy=tiny,x,y", multirun=True)] == [
        "policy: there is no 'x'",
        "policy: there is no 'y'",
    ]


@pytest.mark.parametrize("at", [0, 1, 3])
@pytest.mark.parametrize("option", ["-m", "--multirun"])
def test_a_sweep_is_asked_for_anywhere_on_the_command_line(
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


def test_stop_tells_the_message_and_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.stop(UsageError("no \x1b[31m way [bold]out[/bold]"), code=3)
    assert end.value.code == 3
    assert capsys.readouterr().err == "no \\u001b[31m way [bold]out[/bold]\n"


def test_the_environment_names_what_can_move_a_result() -> None:
    told = environment("abcd")
    assert told["prompts"] == "abcd"
    assert told["python"] == sys.version.split()[0]
    assert set(told) >= {"rest-react", "torch", "transformers", "trl", "bm25s"}


def test_the_output_lies_where_the_command_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
