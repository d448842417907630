"""Experiments that differ in one thing: each goes on top of a base, and a family shares what is the same."""

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir

from rest_react.build import Parts
from rest_react.config.compose import compose
from rest_react.config.groups import CONFIGS
from rest_react.config.settings import Settings
from rest_react.remote.budget import Budget, Meter
from rest_react.run import run
from rest_react.stages.reuse.reuse import shared_stages
from rest_react.storage.locked_settings import flatten, locked_settings
from rest_react.storage.run_folder import RunFolder
from rest_react.tasks.search_qa.world import relations
from rest_react.training.rows.order import count_steps
from rest_react.training.trainer_settings import Schedule, TrainingContext
from tests.tasks.completion.test_rows import write_data

ROOT = Path(__file__).parent.parent
DOCS = (ROOT / "docs" / "ablations.md").read_text(encoding="utf-8")
SCRIPT = ROOT / "scripts" / "ablations.sh"
FAMILIES = {
    "selector": ("selector_perplexity", "selector_reward_model", "selector_random"),
    "trajectories": ("trajectories_4x", "trajectories_2x", "trajectories_1x"),
    "samples": ("samples_4", "samples_1", "samples_16"),
    "checks": ("checks_revise", "checks_none", "checks_research"),
    "start": ("start_base", "start_previous"),
    "data_size": ("selector_perplexity", "data_size"),
}
OF_THE_PAPER = (
    "second_generation", "second_generation_2x", "second_generation_4x", "pilot_unfiltered", "pilot_filtered",
    "distillation",
)  # fmt: skip
MEMBERS = sorted({member for members in FAMILIES.values() for member in members})


@cache
def made(*overrides: str) -> Settings:
    return compose(overrides)


def changed(base: str, member: str) -> dict[str, object]:
    before, after = (dict(flatten(made(f"experiment=[{names}]"))) for names in (base, f"{base},{member}"))
    return {key: value for key, value in after.items() if before.get(key) != value}


@pytest.mark.parametrize("member", MEMBERS)
def test_a_member_can_be_combined_with_the_default_and_the_paper_and_changes_few_settings(member: str) -> None:
    assert isinstance(made(f"experiment={member}"), Settings)
    for base in ("embedded_full", "paper_gpu"):
        keys = set(changed(base, member))
        assert "run" in keys
        assert len(keys) <= 3, keys


@pytest.mark.parametrize("member", OF_THE_PAPER)
def test_each_row_of_the_paper_composes_with_the_paper_s_settings(member: str) -> None:
    on = "paper_gpu,pilot_unfiltered" if member == "pilot_filtered" else "paper_gpu"
    assert "run" in changed(on, member)


def test_the_pilot_uses_500_questions_of_two_sets() -> None:
    grow = made("experiment=[paper_gpu,pilot_unfiltered]").grow
    assert (grow.questions.sample, {name: one.sample for name, one in grow.also.items()}) == (250, {"eli5": 250})


def test_every_experiment_is_in_the_docs_and_every_one_there_exists() -> None:
    told = set(re.findall(r"`([a-z]+_[a-z0-9_]+)`", DOCS.partition("## Sharing")[0]))
    told = {name for name in told if (CONFIGS / "experiment" / f"{name}.yaml").exists()}
    assert told | {"distillation"} >= {*MEMBERS, *OF_THE_PAPER}
    others = {
        "smoke",
        "completion_smoke",
        "tool_maker",
        "tool_user",
        "tool_user_seeds",
        "embedded_full",
        "held_out_relations",
        "local_corpus",
        "wiki",
        "web",
        "paper_gpu",
        "paper_openai",
        "bamtwoogle",
        "few_demonstrations",
        "alpaca",
        "forgetting",
        "classify",
        "data_curve",
        "label_free",
        "synthetic",
        "without_rules",
        "second_reader",
    }
    assert {path.stem for path in (CONFIGS / "experiment").glob("*.yaml")} == {*MEMBERS, *OF_THE_PAPER, *others}


def test_the_test_set_evaluates_existing_models() -> None:
    tested = made("experiment=[paper_gpu,second_generation,bamtwoogle]")
    assert list(tested.evaluate.benchmarks) == ["bamtwoogle"]
    there, mine = (locked_settings(made(f"experiment=[{names}]")) for names in (
        "paper_gpu,second_generation", "paper_gpu,second_generation,bamtwoogle",
    ))  # fmt: skip
    differing = [key for key in {*there, *mine} if there.get(key) != mine.get(key)]
    stages, wrong = shared_stages(differing, "prompted", tested.iteration, tested.grow.reuse_through)
    assert wrong == []
    assert stages[-4:] == ["iter_2/grow", "iter_2/improve", "iter_2/finetune", "iter_2/choose"]


def test_a_run_without_labels_reuses_the_supervised_start_of_a_data_curve(tmp_path: Path) -> None:
    same = (f"data={write_data(tmp_path, labelled=18)}", "demonstrations.questions.n=10", "seed=1")
    curve, label_free = (
        locked_settings(made(f"experiment=[classify,{name}]", *same, *more))
        for name, *more in (("data_curve", "task.baselines=[tfidf]"), ("label_free", "grow.reuse=curve_10_1"))
    )
    differing = [key for key in {*curve, *label_free} if curve.get(key) != label_free.get(key)]
    assert "grow.samples" in differing
    stages, wrong = shared_stages(differing, "demonstrations", 2)
    assert (wrong, stages[-2:]) == ([], ["iter_0/choose", "iter_0/evaluate"])


def swept(*experiments: str) -> dict[str, str]:
    """The lists of settings that a sweep of these experiments goes through."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        made = hydra_compose("config", [f"experiment=[{','.join(experiments)}]"], return_hydra_config=True)
    return dict(made.hydra.sweeper.params)


def test_a_sweep_of_classify_has_five_seeds_and_what_goes_on_top_its_own() -> None:
    assert swept("classify") == {"seed": "0,1,2,3,4"}
    assert swept("classify", "data_curve") == {"demonstrations.questions.n": "10,20,50,100,200", "seed": "0,1,2"}
    assert swept("classify", "label_free") == {"demonstrations.questions.n": "10,50,100", "seed": "0,1,2"}
    assert swept("synthetic") == {"synthetic.n": "15,50,100", "seed": "0,1,2"}


def test_the_seeds_of_a_tool_s_user_share_its_calls() -> None:
    assert swept("tool_user_seeds") == {"learning_seed": "0,1,2"}
    first, seed = made("experiment=tool_user"), made("experiment=tool_user_seeds", "learning_seed=2")
    assert (seed.run, seed.grow.reuse) == ("tool_user_2", first.run)
    there, mine = locked_settings(first), locked_settings(seed)
    stages, wrong = shared_stages([key for key in there if there[key] != mine[key]], "prompted", 1)
    assert (wrong, stages[-1]) == ([], "iter_1/grow")


def test_the_restart_control_trains_on_demonstrations_alone_for_the_steps_of_the_run_that_it_controls(
    tmp_path: Path,
) -> None:
    small = ("experiment=smoke", "finetune=dry_run", "finetune.mix_demonstrations=true", f"output={tmp_path}")
    small += ("world.demonstrations=2", "world.train=2", "world.evaluation=2")
    run(compose([*small, "run=arm", "iteration=1"]))
    run(compose([*small, "run=restart", "iteration=2", "improve.max_examples=0", "grow.reuse=arm"]))
    folder = tmp_path / "restart"
    stages = {summary.parent.relative_to(folder).as_posix() for summary in folder.glob("iter_[12]/**/summary.json")}
    assert stages == {f"iter_{k}/{stage}" for k in (1, 2) for stage in ("finetune", "evaluate/world", "tracking")}
    shown, arm = (
        [json.loads((tmp_path / name / f"iter_{k}/finetune/summary.json").read_text())["rows_by_origin"] for k in of]
        for name, of in (("restart", range(3)), ("arm", range(2)))
    )
    assert shown == [{"demonstrations": arm[0]["demonstrations"]}] * 3
    assert arm[1].keys() == {"demonstrations", "grown"}
    # the steps of each iteration, whatever the number of rows; the last number counts for later iterations
    tuned = compose(["finetune.steps=[219,276]"]).finetune
    for iteration, steps in ((1, 219), (2, 276), (3, 276)):
        context = TrainingContext("chat", {}, tmp_path, "", Meter(Budget(), "finetune"), iteration)
        how = tuned.open(context, Schedule()).training
        assert count_steps(1, how.batch_size, how.epochs, how.max_steps) == steps == tuned.rows_read(iteration) / 2
    context = replace(context, iteration=0)
    assert tuned.open(context, Schedule(2.0)).training == made().finetune.open(context, Schedule(2.0)).training


def test_held_out_relations_are_in_no_training_question_and_in_every_question_of_one_benchmark() -> None:
    settings = made("experiment=[embedded_full,held_out_relations]")
    sets = Parts(settings, RunFolder(Path("unused"))).question_sets
    asked = {name: sets.open(source).labelled for name, source in settings.evaluate.benchmarks.items()}
    asked |= {
        "grow": sets.grown().labelled,
        "demonstrations": sets.built_in.demonstrations,
    }
    held_out = set(settings.grow.questions.without)
    assert held_out == {"voyages", "mills", "designer", "setting", "twin town"}
    for name, questions in asked.items():
        assert len(questions) == (24 if name == "demonstrations" else 100)
        shares = {bool(held_out & {*relations(sets.world.plans[one.question.text])}) for one in questions}
        assert shares == {name == "held_out"}


def commands() -> list[str]:
    return [
        line
        for block in re.findall(r"^```bash\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]


@pytest.mark.parametrize("command", [line for line in commands() if line.startswith("python")])
def test_every_run_of_the_docs_composes(command: str) -> None:
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "rest_react.run"]
    assert isinstance(compose(words[3:]), Settings)


def test_every_arm_on_wikipedia_text_composes_and_shares_the_first_grow(tmp_path: Path) -> None:
    for name in ("questions.jsonl", "corpus.jsonl"):
        (tmp_path / name).touch()
    arms = re.findall(r"^python -m rest_react\.run (experiment=wiki .*)$", DOCS, re.MULTILINE)
    first, *others = [compose(arm.replace("<folder>", str(tmp_path)).split()) for arm in arms]
    there = locked_settings(first)
    for other in others:
        mine = locked_settings(other)
        differing = [key for key in {*there, *mine} if there.get(key) != mine.get(key)]
        stages, wrong = shared_stages(differing, "demonstrations", 2)
        assert (wrong, stages[-1]) == ([], "iter_1/grow"), other.run
    assert len({first.run, *(other.run for other in others)}) == len(arms) == 6


def overrides() -> list[str]:
    rows = [line for line in DOCS.partition("## Everything else")[2].splitlines() if line.startswith("| ")]
    return [override for row in rows[1:] for override in re.findall(r"`([^`]+=[^`]+)`", row.split("|")[2])]


# What an override of the table needs beside it.
_FOUR = "grow.trajectories_per_question=4"
NEEDED = {
    "improve.keep=verified": ["improve.keep=all"],  # the default is verified
    "improve.reward=options": ["improve.selector=reward_model"],
    "improve.keep_trajectories=agreeing": [_FOUR],
    "improve.keep_trajectories=agreeing_in_band": [_FOUR],
    "improve.rejected_trajectories=good_steps": [_FOUR, "improve.keep_trajectories=agreeing"],
}


@pytest.mark.parametrize("override", overrides())
def test_every_override_of_the_table_changes_the_settings(override: str) -> None:
    start = NEEDED.get(override, [])
    assert made(*start, *override.split()) != made(*start)


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"checks"}))
def test_the_members_of_a_family_share_at_least_iteration_0_with_its_first(family: str) -> None:
    first, *others = FAMILIES[family]
    there = locked_settings(made(f"experiment={first}"))
    for other in others:
        mine = locked_settings(made(f"experiment={other}", f"grow.reuse={first}"))
        stages, wrong = shared_stages([key for key in there if there[key] != mine[key]], "demonstrations", 1)
        assert (wrong, "iter_0/finetune" in stages) == ([], True)
        assert ("iter_1/grow" in stages) == (family != "samples")


def test_members_of_a_family_have_different_runs() -> None:
    for members in FAMILIES.values():
        runs = [made(f"experiment={member}").run for member in members]
        assert len(set(runs)) == len(runs)


def ablations(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHON": sys.executable, **environment}
    return subprocess.run([SCRIPT, *words], env=env, capture_output=True, text=True, check=False)


def test_the_script_knows_the_families_and_names_them() -> None:
    told = ablations("selectr")
    assert told.returncode == 2
    assert "Families: " + ", ".join(FAMILIES) in told.stderr
    known = re.findall(
        r"^  (\w+)\) +first=(\w+); others=\(([\w ]+)\)", SCRIPT.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert {family: (first, *others.split()) for family, first, others in known} == FAMILIES


def test_the_script_s_commands_are_valid_and_predict_without_running(tmp_path: Path) -> None:
    checked = ablations("start", "iteration=2", BASE="smoke", CHECK_ONLY="1", OUTPUT=str(tmp_path / "ablations"))
    assert checked.returncode == 0, checked.stderr
    for member in FAMILIES["start"]:
        assert f"remaining stages of {member}" in checked.stderr
    assert not (tmp_path / "ablations" / "start_base").exists()
