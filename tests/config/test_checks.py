import re
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast

import pytest
from hydra import compose, initialize_config_dir

from rest_react.config.checks.needs import lacking_here, missing_keys
from rest_react.config.compose import plain
from rest_react.config.groups import CONFIGS
from rest_react.config.load import load_settings, nearest, records_of
from rest_react.config.settings import Settings, Student
from rest_react.errors import ConfigError
from rest_react.llm.openai_api.settings import OpenAIModel
from rest_react.questions.hub import HubQuestions
from rest_react.storage.locked_settings import UNLOCKED, flatten, is_locked, locked_settings
from rest_react.tasks.completion.settings import CompletionSettings

GROWN = (
    "2wikimultihopqa", "askhistorians", "askscience", "bamboogle", "eli5", "hotpotqa", "hotpotqa_train", "musique",
)  # fmt: skip
SERVED = ("llamacpp", "ollama", "openai", "openai_reasoning", "qwen", "vllm_remote")
BAMBOOGLE = "questions@evaluate.benchmarks.world=bamboogle"
WEB = ("brave", "duckduckgo", "exa", "searxng", "serper", "tavily")
WEB_LACKS_WORLD = "the web does not contain the built-in world; use experiment=web search=<engine>, or set search=bm25"
TRAINED = ("llm@reward_model=trained", "improve.selector=reward_model")
GROUPS = {
    "task": ("task", ("search_qa", "completion", "tool_maker")),
    "policy": ("llm", (*SERVED, "gemini", "scripted", "smollm2", "tiny", "vllm")),
    "reward_model": ("llm", (*SERVED, "gemini", "same", "smollm2", "tiny", "trained", "vllm")),
    "grader": ("llm", (*SERVED, "gemini", "rule", "same", "smollm2", "tiny", "vllm")),
    "search": ("search", ("bm25", "dense", "http", "hybrid", *WEB)),
    "grow.questions": ("questions", (*GROWN, "world_evaluation", "world_train")),
    "evaluate.benchmarks.more": ("questions", ("bamtwoogle",)),
    "finetune": ("finetune", ("dpo", "dry_run", "hosted", "local", "lora", "lora_texts", "tiny")),
    "tracking": ("tracking", ("mlflow", "none", "trackio", "wandb")),
    "task.maker": ("llm", ("scripted_maker",)),
}


def values(*overrides: str) -> dict[str, Any]:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        composed: dict[str, Any] = plain(compose("config", overrides=list(overrides)))
    return composed


def problems(given: object) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load_settings(given)
    return list(error.value.problems)


def impossible(*overrides: str) -> list[str]:
    return problems(values(*overrides))


def data(folder: Path) -> Path:
    (folder / "questions.jsonl").write_text('{"id": "q", "question": "Who?", "answers": ["Ada"]}\n')
    (folder / "corpus.jsonl").write_text('{"id": "p", "title": "Ada", "text": "Ada it was."}\n')
    return folder


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["experiment=smoke"],
        ["experiment=embedded_full"],
        ["experiment=paper_gpu"],
        ["experiment=paper_gpu", "finetune=lora"],
        ["experiment=paper_openai"],
        ["experiment=web"],
        ["llm@policy=gemini", "start=prompted", "iteration=0"],
        ["search=http", "llm@grader=openai", "improve.selector=reward_model", "improve.keep=judged_good"],
    ],
    ids=" ".join,
)
def test_the_documented_ways_to_run_are_accepted(overrides: list[str]) -> None:
    assert isinstance(load_settings(values(*overrides)), Settings)


def test_a_setting_that_only_another_trainer_has_is_refused_and_can_be_removed(tmp_path: Path) -> None:
    hosted = ("experiment=local_corpus", f"data={data(tmp_path)}", "policy=openai", "finetune=hosted", "start=prompted")
    (told,) = problems(values(*(word.replace("policy", "llm@policy") for word in hosted)))
    assert told.startswith("finetune.micro_batch_size: ")
    assert "'~finetune.micro_batch_size'" in told


def test_a_setting_that_only_another_question_set_has_is_refused_and_can_be_removed(tmp_path: Path) -> None:
    hub = ("experiment=local_corpus", f"data={data(tmp_path)}", "questions@grow.questions=hotpotqa_train")
    told = problems(values(*hub))[0]
    assert told.startswith("grow.questions.path: ")
    assert "'~grow.questions.path'" in told


def test_all_missing_api_keys_are_reported_at_once_with_their_roles(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    clients = ("llm@policy=openai", "finetune=hosted", "start=prompted", "llm@grader=gemini", "llm@reward_model=openai")
    given = load_settings(values(*clients, "iteration=0"))

    def settings_and_variables(s: Settings) -> list[tuple[str, str]]:
        return [(told.split(":")[0], re.findall(r"[A-Z]+_API_KEY", told)[0]) for told in missing_keys(s)]

    openai, gemini = ("policy.api_key_env", "OPENAI_API_KEY"), ("grader.api_key_env", "GEMINI_API_KEY")
    assert settings_and_variables(given) == [openai, gemini]
    assert ["api_key_env=null" in told for told in missing_keys(given)] == [True, False]  # Gemini always needs a key
    assert settings_and_variables(replace(given, iteration=1)) == [openai, gemini, ("finetune.api_key_env", openai[1])]
    assert missing_keys(replace(given, replay=True)) == []
    monkeypatch.setenv("GEMINI_API_KEY", "a-key")
    assert missing_keys(load_settings(values(*clients, "iteration=0", "policy.api_key_env=null"))) == []


def test_the_user_s_own_data_folder_is_accepted(tmp_path: Path) -> None:
    mine = load_settings(values("experiment=local_corpus", f"data={data(tmp_path)}"))
    assert list(mine.evaluate.benchmarks) == ["local"]
    assert mine.evaluate.benchmarks["local"] == mine.grow.questions


@pytest.mark.parametrize("experiment", ["paper_gpu", "paper_openai"])
def test_the_papers_experiments_set_what_the_defaults_set_differently_from_the_paper(
    experiment: str,
) -> None:
    s = load_settings(values(f"experiment={experiment}"))
    improve = s.improve
    assert (improve.selector, improve.keep, improve.only_grounded) == ("reward_model", "all", False)
    assert improve.max_searches is None
    assert (s.start, s.agent.max_searches, s.agent.select) == ("prompted", 10, "perplexity")
    assert (s.grow.samples, s.grow.temperature) == (4, 0.5)
    assert (s.evaluate.repeats, s.evaluate.samples, s.evaluate.temperature) == (10, 4, 0.5)


# What questions other than the built-in world's need.
ELSEWHERE = ("agent.select=perplexity", "improve.keep=all")
TOOLS = ("questions@grow.questions=tools", "questions@evaluate.benchmarks.world=tools", *ELSEWHERE)


@pytest.mark.parametrize(
    ("mount", "option"), [(mount, option) for mount, (_, options) in GROUPS.items() for option in options]
)
def test_every_choice_of_every_group_is_accepted(mount: str, option: str) -> None:
    group, _ = GROUPS[mount]
    company = {
        "hosted": ["llm@policy=openai"],
        **{server: ["finetune=hosted"] for server in SERVED},
        "completion": [*ELSEWHERE],
        "tool_maker": [*TOOLS],
        "scripted_maker": ["task=tool_maker", *TOOLS],
        "gemini": ["start=prompted", "iteration=0"],
        **{engine: ["questions@grow.questions=hotpotqa_train", BAMBOOGLE, *ELSEWHERE] for engine in WEB},
    }  # fmt: skip
    needed = company.get(option, []) if mount in ("task", "task.maker", "policy", "finetune", "search") else []
    needed += ["search=http", *ELSEWHERE] if group == "questions" else []
    new = "+" if mount == "evaluate.benchmarks.more" else ""
    spelt = f"{group}={option}" if group == mount else f"{new}{group}@{mount}={option}"
    assert isinstance(load_settings(values(spelt, *needed)), Settings)


def test_the_test_above_covers_every_choice_of_every_group() -> None:
    tried: dict[str, set[str]] = {"experiment": set(), "questions": {"file", "items", "tools"}}
    for group, options in GROUPS.values():
        tried.setdefault(group, set()).update(options)
    there = {
        folder.name: {path.stem for path in folder.glob("*.yaml")} for folder in CONFIGS.iterdir() if folder.is_dir()
    }
    assert {**tried, "experiment": there["experiment"]} == there


def test_settings_that_leave_nothing_to_train_on_or_to_choose_from_are_refused() -> None:
    for given in (["finetune.mix_demonstrations=false"], ["start=prompted"]):
        (told,) = impossible("improve.max_examples=0", *given)
        assert told.startswith("improve.max_examples: 0 trains on the demonstrations alone")
    (told,) = impossible("improve.max_examples=0", "students=[base/3B]")
    assert told.startswith("students: improve.max_examples=0 leaves no trajectories")
    (told,) = impossible("improve.equal_steps=drop", "grow.samples=1")
    assert told.startswith("improve.equal_steps: drop needs several samples")


def test_published_question_sets_are_pinned_to_a_commit() -> None:
    """A branch moves."""
    pins = {
        path.stem: values(f"+questions@evaluate.benchmarks.x={path.stem}")["evaluate"]["benchmarks"]["x"]["revision"]
        for path in (CONFIGS / "questions").glob("*.yaml")
        if not path.stem.startswith(("world", "file", "items", "tools"))
    }
    assert len(pins) == 9
    assert {name: pin for name, pin in pins.items() if not re.fullmatch("[0-9a-f]{40}", pin)} == {}


def test_the_papers_experiments_grow_on_500_questions_of_each_of_its_four_sets() -> None:
    for experiment in ("paper_gpu", "paper_openai"):
        grow = load_settings(values(f"experiment={experiment}")).grow
        sets = [grow.questions, *grow.also.values()]
        assert list(grow.also) == ["eli5", "askhistorians", "askscience"]
        assert [(isinstance(one, HubQuestions), one.split, one.sample) for one in sets] == [(True, "train", 500)] * 4


@pytest.mark.parametrize(
    ("overrides", "unread"),
    [
        (["data=mine"], ["data"]),
        (["evaluate_data=mine"], ["evaluate_data"]),
        (["data=mine", "evaluate_data=theirs"], ["data", "evaluate_data"]),
    ],
)
def test_data_that_no_question_set_reads_are_refused(overrides: list[str], unread: list[str]) -> None:
    found = problems(values(*overrides))
    assert [(problem.partition(":")[0], "add experiment=local_corpus" in problem) for problem in found] == [
        (name, True) for name in unread
    ]


def test_the_restart_control_needs_no_key_of_a_judge_that_it_never_asks() -> None:
    judged = (
        "llm@reward_model=openai",
        "reward_model.model=m",
        "improve.keep_trajectories=judged_good",
        "improve.reward=options",
    )
    control = load_settings(values(*judged, "improve.max_examples=0"))
    assert [len(missing_keys(one)) for one in (load_settings(values(*judged)), control)] == [1, 0]


@pytest.mark.parametrize("kind", ["openai", "gemini"])
@pytest.mark.parametrize("limit", ["requests_per_minute", "tokens_per_minute"])
def test_a_rate_of_zero_is_refused(kind: str, limit: str) -> None:
    given = values(f"llm@policy={kind}", "finetune=hosted")
    given["policy"][limit] = 0
    assert f"policy.{limit}: input should be greater than 0 (given: 0)" in problems(given)


def test_all_problems_are_reported_at_once_with_the_setting_and_what_to_do() -> None:
    given = values()
    given["iteration"] = "x"
    given["agent"]["selct"] = "first"
    given["policy"]["kind"] = "vlm"
    given["evaluate"]["benchmarks"]["world"]["split"] = "test"
    del given["improve"]["keep"]
    del given["search"]["kind"]
    given["grow"]["temperature"] = float("inf")
    assert sorted(problems(given)) == [
        "agent.selct: there is no such setting; did you mean select?",
        "evaluate.benchmarks.world.split: input should be 'demonstrations', 'train' or 'evaluation' (given: 'test')",
        "grow.temperature: input should be a finite number (given: inf)",
        "improve.keep: is missing; give improve.keep=...",
        "iteration: input should be a valid integer, unable to parse string as an integer (given: 'x')",
        "policy.kind: there is no 'vlm'; choose one of 'transformers', 'openai', 'vllm', 'gemini', 'scripted'",
        "search.kind: is missing; give search.kind=... and the settings of that kind",
    ]


def test_a_run_name_may_be_a_number() -> None:
    assert load_settings({**values(), "run": 12}).run == "12"


@pytest.mark.parametrize("path", ["policy", "search", "grow", "grow.questions", "evaluate.benchmarks.world", "world"])
def test_an_unknown_setting_is_refused_in_every_group(path: str) -> None:
    given = values()
    part = given
    for name in path.split("."):
        part = part[name]
    part["colour"] = 1
    assert [problem.split(";")[0] for problem in problems(given)] == [f"{path}.colour: there is no such setting"]


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["run=a/b"], "run: 'a/b'"),
        (["run=.."], "run: '..'"),
        (["output='~/runs'"], "output: ~"),
        (["cache='~/replies'"], "cache: ~"),
        (["experiment=tool_maker", "task.tools='~/tools'"], "task.tools: ~"),
        (["run=multirun"], "run: 'multirun' is the folder of all runs' sweeps"),
        (["run=tools"], "run: 'tools' is the folder of all runs' tools"),
        (
            ["llm@policy=llamacpp", "start=prompted", "finetune=dry_run", "policy.base_url=[]"],
            "policy.base_url: a list of",
        ),
        (
            ["llm@grader=openai", "grader.base_url=127.0.0.1:8080/v1"],
            "grader.base_url: '127.0.0.1:8080/v1' is not an http",
        ),
        (["search=http", "search.url=localhost:8000/retrieve"], "search.url: 'localhost:8000/retrieve' is not an http"),
        (["experiment=paper_openai", "finetune.base_url=api.x/v1"], "finetune.base_url: 'api.x/v1' is not an http"),
        (["improve.rejected_trajectories=good_steps"], "improve.rejected_trajectories: good_steps has no effect"),
        (["improve.keep_trajectories=agreeing"], "improve.keep_trajectories: agreeing keeps no trajectory with"),
        (["~questions@evaluate.benchmarks.world"], "evaluate.benchmarks: "),
        (
            ["experiment=web", "search=bm25", "search.corpus=nowhere.jsonl"],
            "search.corpus: there is no file nowhere.jsonl",
        ),
        (
            ["questions@grow.questions=file", "grow.questions.path=no.jsonl", "search=http"],
            "grow.questions.path: there is no file no.jsonl",
        ),
        (["questions@grow.questions=hotpotqa_train"], "grow.questions: has no corpus, but search=bm25 needs one"),
        (
            ["questions@grow.questions=file", "grow.questions.path=README.md"],
            "grow.questions: has no corpus, but search=bm25 needs one; set grow.questions.corpus=<passages.jsonl>",
        ),
        (
            ["+questions@evaluate.benchmarks.grow=world_evaluation"],
            "evaluate.benchmarks: 'grow' has a meaning of its own",
        ),
        (
            ["agent.max_searches=1", "agent.hits_per_search=1", "improve.min_passages=2"],
            "improve.min_passages: 2 keeps no trajectory, since 1 searches of 1 results show 1 passages at most",
        ),
        (["agent.prompts=docs"], "agent.prompts: is not used; set start=prompted"),
        (["replay=true"], "replay: needs a cache"),
        (["search=http", "questions@grow.questions=bamtwoogle"], "grow.questions: https://raw.githubusercontent"),
        (["search=http", "+questions@grow.also.x=bamtwoogle"], "grow.also.x: https://raw.githubusercontent"),
        (["+questions@grow.also.eli5=eli5"], "grow.also.eli5: has no corpus, but search=bm25 needs one"),
        (["world.demonstrations=0"], "start: there are no demonstrations; set world.demonstrations above 0"),
        (["finetune=hosted"], "finetune.kind: hosted cannot tune policy.kind=transformers"),
        (
            ["llm@policy=openai", "finetune=hosted", "demonstrations.epochs=2.5"],
            "demonstrations.epochs: 2.5, but",
        ),
        (
            ["llm@policy=openai", "finetune=hosted", "demonstrations.learning_rate=1e-4"],
            "demonstrations.learning_rate: a provider chooses the rate; set it to null",
        ),
        (
            ["finetune.batch_size=8", "demonstrations.batch_size=3"],
            "demonstrations.batch_size: 3 is not a multiple of finetune.micro_batch_size × finetune.num_processes (2)",
        ),
        (["finetune=dpo", "start=prompted"], "finetune.kind: dpo needs a tuned policy"),
        (["finetune=dpo", "grow.samples=1"], "grow.samples: 1, but finetune.kind=dpo"),
        (["finetune=dpo", "finetune.start_from=base"], "finetune.start_from"),
        (["finetune=dpo", "finetune.batch_size=5", "finetune.micro_batch_size=2"], "finetune.batch_size: 5 is not"),
        (["llm@policy=openai"], "finetune.kind: local cannot tune policy.kind=openai"),
        (["llm@policy=gemini"], "policy.kind: gemini cannot be fine-tuned"),
        (["finetune.batch_size=5", "finetune.micro_batch_size=2"], "finetune.batch_size: 5 is not a multiple"),
        (["finetune.steps=[]"], "finetune.steps: is empty; give the steps of iteration 1"),
        (["finetune.snapshots=4"], "finetune.snapshots: 4 models are kept, but nothing chooses among them"),
        (
            ["finetune.snapshots=2", "evaluate.choose_by=world", "finetune.accelerate=fsdp2"],
            "finetune.snapshots: weights that finetune.accelerate shards",
        ),
        (["evaluate.choose_by=world"], "evaluate.choose_by: a training keeps one model; set finetune.snapshots=4"),
        (["evaluate.choose_by=wold", "finetune.snapshots=2"], "evaluate.choose_by: 'wold' is not in evaluate.bench"),
        (["finetune=dry_run", "evaluate.choose_by=world"], "evaluate.choose_by: finetune.kind=dry_run makes no models"),
        (
            [
                "search=http",
                "+questions@evaluate.benchmarks.bamtwoogle=bamtwoogle",
                "finetune.snapshots=2",
                "evaluate.choose_by=bamtwoogle",
            ],
            "evaluate.choose_by: bamtwoogle is for testing only",
        ),
        (
            ["experiment=paper_gpu", "finetune.num_processes=3"],
            "finetune.batch_size: 64 is not a multiple of finetune.micro_batch_size × finetune.num_processes (12); set",
        ),
        (["experiment=smoke", "llm@reward_model=same", "improve.keep=judged_good"], "reward_model: the scripted"),
        ([*TRAINED, "start=prompted"], "reward_model.kind: trained learns from demonstrations"),
        ([*TRAINED, "agent.exemplars=always"], "agent.exemplars: always shows the policy exemplars in Grow, but"),
        (
            [*TRAINED, "improve.keep_trajectories=judged_good"],
            "improve.keep_trajectories: judged_good, but reward_model=trained judges either answers or steps",
        ),
        (
            ["llm@reward_model=trained", "improve.keep_trajectories=evidence_needed"],
            "improve.keep_trajectories: evidence_needed reads whole texts, which a trained judge has not learnt",
        ),
        (
            ["llm@reward_model=trained", "improve.keep_trajectories=reader_agrees"],
            "improve.keep_trajectories: reader_agrees has the reward model answer the question, but a trained judge",
        ),
        (
            ["llm@reward_model=trained", "improve.keep_trajectories=judged_good", "world.demonstrations=2"],
            "reward_model.folds: 3, but there are 2 demonstrations; raise world.demonstrations to 3 or more",
        ),
        ([*TRAINED, "finetune=dry_run"], "reward_model.kind: trained needs weights that are tuned here"),
        (
            ["improve.keep_trajectories=evidence_needed", "llm@reward_model=openai"],
            "improve.keep_trajectories: evidence_needed reads whole texts, which reward_model=openai cannot",
        ),
        (
            ["improve.keep_trajectories=evidence_needed", "llm@reward_model=openai", "reward_model.mode=completion"],
            "improve.keep_trajectories: evidence_needed reads whole texts, which reward_model=openai cannot",
        ),
        (
            [
                "improve.keep_trajectories=evidence_needed",
                "llm@reward_model=vllm_remote",
                "reward_model.mode=completion",
                "reward_model.logprobs=false",
            ],
            "improve.keep_trajectories: evidence_needed reads whole texts, which reward_model=openai cannot",
        ),
        (
            ["improve.keep_trajectories=evidence_needed", "llm@reward_model=gemini"],
            "improve.keep_trajectories: evidence_needed reads whole texts, which reward_model=gemini cannot",
        ),
        (["improve.keep_trajectories=cycle_consistent"], "improve.keep_trajectories: cycle_consistent keeps no"),
        (
            ["improve.keep_trajectories=judged_better", "improve.reward=options", "llm@reward_model=gemini"],
            "improve.keep_trajectories: judged_better compares scores, which reward_model=gemini does not give",
        ),
        (["improve.keep_trajectories=judged_better"], "improve.keep_trajectories: judged_better compares scores, but"),
        (
            ["improve.keep_trajectories=reader_and_judge", "llm@reward_model=openai"],
            "improve.keep_trajectories: reader_and_judge compares scores, but with improve.reward=generate the reward",
        ),
        (
            [*TRAINED, "llm@policy=openai", "policy.logprobs=false", "policy.load_weights=[x]", "finetune=lora"],
            "reward_model.kind: trained is asked by log-probabilities",
        ),
        (
            ["experiment=tool_user", *TRAINED, "start=demonstrations", "world.demonstrations=24", "improve.keep=all"],
            "reward_model.kind: trained learns to judge steps by worse outputs for the same state, which task=tool",
        ),
        ([*TRAINED, "world.demonstrations=1"], "reward_model.kind: trained holds out some of the demonstrated"),
        (["experiment=smoke", *TRAINED], "reward_model: the scripted policy cannot judge"),
        (["llm@grader=scripted"], "grader: the scripted policy cannot judge"),
        (
            ["experiment=smoke", "policy.right=0", "policy.wrong=0", "policy.unparsable=0", "policy.empty=0"],
            "policy: right, wrong, unparsable and empty are all 0",
        ),
    ],
)
def test_an_impossible_combination_is_refused(overrides: list[str], told: str) -> None:
    asks_others = any("questions@" in override and "~" not in override for override in overrides)
    (problem,) = impossible(*overrides, *(ELSEWHERE if asks_others else []))
    assert problem.startswith(told)


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (
            ["search.corpus=README.md", BAMBOOGLE, *ELSEWHERE],
            (
                "grow.questions: search.corpus does not contain the built-in world; set search.corpus=questions, or "
                "use your own questions with experiment=local_corpus data=<folder>"
            ),
        ),
        (["search=duckduckgo"], f"grow.questions and evaluate.benchmarks.world: {WEB_LACKS_WORLD}"),
        (["search=duckduckgo", BAMBOOGLE, *ELSEWHERE], f"grow.questions: {WEB_LACKS_WORLD}"),
        (["search=brave", "iteration=0", "start=prompted"], f"evaluate.benchmarks.world: {WEB_LACKS_WORLD}"),
        (
            ["experiment=smoke", "improve.selector=reward_model"],
            "reward_model: the scripted policy cannot judge; choose another reward_model, such as reward_model=smollm2",
        ),
        (
            ["experiment=smoke", "llm@grader=same"],
            "grader: the scripted policy cannot judge; choose another grader, such as grader=rule",
        ),
        (
            ["task=completion", "task.grade=tone", "llm@grader=scripted", *ELSEWHERE],
            "grader: the scripted policy cannot judge; choose another grader, such as grader=smollm2",
        ),
        (
            ["improve.reward=options", "improve.selector=reward_model", "grow.samples=21"],
            (
                "grow.samples: 21, but improve.reward=options scores at most 20 options; set 20 or less, or "
                "improve.reward=generate"
            ),
        ),
        (
            ["experiment=smoke", "search=http", "questions@grow.questions=bamboogle", *ELSEWHERE],
            (
                "grow.questions: policy=scripted can answer only built-in questions; leave this question set out, or "
                "choose another policy, such as policy=smollm2"
            ),
        ),
        (
            ["questions@demonstrations.questions=world_train"],
            "demonstrations.questions: the built-in world's are demonstrated by default; leave it out",
        ),
        (
            ["task=tool_maker", *TOOLS, "questions@demonstrations.questions=hotpotqa"],
            "demonstrations.questions: the expert of task=tool_maker knows only the built-in items; leave it out",
        ),
        (
            ["task=tool_maker", *TOOLS, "questions@grow.questions=world_train"],
            (
                "grow.questions: task=tool_maker has questions of its own; set questions@grow.questions=tools, or use "
                "experiment=tool_maker"
            ),
        ),
        (
            ["task=tool_maker", *TOOLS, "questions@evaluate.benchmarks.world=world_evaluation"],
            (
                "evaluate.benchmarks.world: task=tool_maker has questions of its own; set "
                "questions@evaluate.benchmarks.world=tools evaluate.benchmarks.world.split=evaluation, or use "
                "experiment=tool_maker"
            ),
        ),
        (
            ["task=tool_maker", *TOOLS, "grow.questions.asked=making"],
            "grow.questions.asked: making needs a maker; set task.maker=openai, or another model",
        ),
        (
            ["task=completion", *ELSEWHERE, "task.baselines=[majority]"],
            (
                "task.baselines: answer from the rows of demonstrations.questions, which is not set; set "
                "demonstrations.questions=items demonstrations.questions.path=<file>, or task.baselines=[]"
            ),
        ),
    ],
)
def test_a_refusal_says_what_to_type(overrides: list[str], told: str) -> None:
    assert impossible(*overrides) == [told]


WRITES = (
    "task=completion", *ELSEWHERE, "start=demonstrations", "synthetic.n=9", "synthetic.judged=true",
    "llm@policy=vllm", "llm@teacher=vllm", "llm@reward_model=vllm",
)  # fmt: skip
MAKES = ("task=tool_maker", *TOOLS, "llm@policy=vllm", "llm@task.maker=vllm")


@pytest.mark.parametrize(
    ("overrides", "servers", "port", "named", "out"),
    [
        (MAKES, "policy and task.maker", 8011, "policy.port, task.maker.port", "task.maker.port"),
        (
            [*MAKES, "policy.replicas=4", "task.maker.port=8014"],
            *("policy and task.maker", 8014, "policy.port, task.maker.port", "task.maker.port"),
        ),
        (WRITES, "teacher and reward_model", 8011, "teacher.port, reward_model.port", "reward_model.port"),
        (
            [*WRITES, "llm@teacher=same"],
            *("teacher and reward_model", 8011, "policy.port, reward_model.port", "reward_model.port"),
        ),
        (
            [*WRITES, "llm@teacher=same", "llm@reward_model=same"],
            *("teacher and reward_model", 8011, "policy.port", "policy.port"),
        ),
    ],
)
def test_two_servers_that_run_at_the_same_time_may_not_take_the_same_port(
    overrides: list[str], servers: str, port: int, named: str, out: str
) -> None:
    assert impossible(*overrides) == [
        f"{out}: the servers of {servers} run at the same time, and both would take port {port} ({named}); set {out}=0"
    ]


@pytest.mark.parametrize(
    "overrides",
    [
        [*MAKES, "task.maker.port=0"],
        [*MAKES, "policy.replicas=4", "task.maker.port=8015"],
        [*MAKES, "cache=replies", "replay=true"],
        [*WRITES, "synthetic.judged=false"],
        [*WRITES, "reward_model.port=8012"],
        # One after the other: policy, reward model, policy, grader.
        ["llm@policy=vllm", "llm@reward_model=vllm", "improve.selector=reward_model", "llm@grader=vllm"],
        ["llm@policy=vllm", "llm@reward_model=same", "improve.selector=reward_model", "llm@grader=same"],
    ],
)
def test_servers_that_do_not_run_at_the_same_time_may_take_the_same_port(overrides: list[str]) -> None:
    assert isinstance(load_settings(values(*overrides)), Settings)


def test_without_benchmarks_a_setting_that_adds_one_is_shown() -> None:
    given = values()
    given["evaluate"]["benchmarks"] = {}
    assert problems(given) == [
        "evaluate.benchmarks: is empty; add one with +questions@evaluate.benchmarks.<name>=<set>"
    ]


def test_a_task_without_built_in_items_shows_how_to_give_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(CompletionSettings, "has_items", False)
    task = ("task=completion", *ELSEWHERE, "start=prompted")
    sets = ("grow.questions", "evaluate.benchmarks.world")
    assert impossible(*task, "llm@policy=scripted") == [
        *(
            f"{name}: task=completion has no built-in items; give a set of your own, for example "
            f"questions@{name}=file {name}.path=<file>"
            for name in sets
        ),
        "policy.kind: task=completion has no scripted policy; choose another, such as policy=smollm2",
    ]
    own = [word for name in sets for word in (f"questions@{name}=file", f"{name}.path={data(tmp_path)}/corpus.jsonl")]
    assert isinstance(load_settings(values(*task, *own)), Settings)


@pytest.mark.parametrize(
    ("elsewhere", "grown", "asked"),
    [
        (["questions@grow.questions=hotpotqa_train"], "grow.questions", "grow.questions"),
        (["+questions@grow.also.eli5=eli5"], "grow.also.eli5", "grow.also.eli5"),  # mixed with the world's
        (
            ["+questions@grow.also.eli5=eli5", "+questions@grow.also.mine=musique"],
            "grow.also.eli5 and grow.also.mine",
            "grow.also.eli5 and grow.also.mine",
        ),
        (["+questions@evaluate.benchmarks.b=bamboogle"], "", "evaluate.benchmarks.b"),
        (
            ["questions@grow.questions=musique", "questions@evaluate.benchmarks.world=bamboogle"],
            "grow.questions",
            "grow.questions and evaluate.benchmarks.world",
        ),
    ],
)
@pytest.mark.parametrize("iteration", [0, 1])
def test_the_verifier_of_the_built_in_world_is_refused_for_other_questions(
    elsewhere: list[str], grown: str, asked: str, iteration: int
) -> None:
    def refused(path: str, others: str, instead: str) -> str:
        return (
            f"{path}: the rules of `verified` are valid only for questions of the built-in world; they would reject "
            f"most correct answers of {others}; set {path}={instead}"
        )

    given = ("search=http", f"iteration={iteration}", *elsewhere)
    in_improve = [refused("improve.selector", grown, "perplexity"), refused("improve.keep", grown, "all")]
    assert impossible(*given, "improve.selector=verified") == [
        refused("agent.select", asked, "perplexity"),
        *(in_improve if grown else []),
    ]
    assert isinstance(load_settings(values(*given, *ELSEWHERE)), Settings)


def test_a_student_is_given_by_name_or_with_its_sampling_settings() -> None:
    given = "students=[base/3B,{model:base/1B,samples:16},{model:/models/tiny/,samples:8,temperature:0.7},7]"
    students = load_settings(values(given)).students
    assert students == (
        Student("base/3B"), Student("base/1B", 16), Student("/models/tiny/", 8, 0.7), Student("7"),
    )  # fmt: skip
    assert [student.name for student in students] == ["3B", "1B", "tiny", "7"]


@pytest.mark.parametrize(
    ("students", "told"),
    [
        ("[{samples:16}]", "students.0.model: is missing; give students.0.model=..."),
        ("[{model:a,sampels:16}]", "students.0.sampels: there is no such setting; did you mean samples?"),
        ("[a,{model:b,samples:0}]", "students.1.samples: input should be greater than 0 (given: 0)"),
        ("[{model:b,temperature:3}]", "students.0.temperature: input should be less than or equal to 2 (given: 3)"),
        ("['']", "students.0.model: string should have at least 1 character"),
        ("[/]", "students: '/' gives no name"),
        ("[{model:smollm2-135m-instruct,samples:16}]", "students: smollm2-135m-instruct is the policy itself"),
        (f"[x/{'m' * 250}]", "students: the folder default_mmm"),
        ("[a/x,{model:b/x,samples:2}]", "students: 2 of them have the same run default_x"),
    ],
)
def test_a_wrong_student_is_refused(students: str, told: str) -> None:
    (problem,) = impossible(f"students={students}")
    assert problem.startswith(told)


def test_allow_overlap_refuses_a_benchmark_for_testing_only(tmp_path: Path) -> None:
    """Neither under its own name, nor by its file under another, and a copy that is grown on changes nothing."""
    copy = data(tmp_path) / "questions.jsonl"
    overrides = (
        "search=http",
        *ELSEWHERE,
        "+questions@evaluate.benchmarks.bamtwoogle=file",
        f"evaluate.benchmarks.bamtwoogle.path={copy}",
        "+questions@evaluate.benchmarks.renamed=bamtwoogle",
        "questions@grow.questions=file",
        f"grow.questions.path={copy}",
    )
    told = impossible(*overrides, "grow.allow_overlap=[bamtwoogle,world,renamed]", "replay=true")
    assert [problem.split(" is for testing only")[0] for problem in told[1:]] == [
        "grow.allow_overlap: bamtwoogle",
        "grow.allow_overlap: renamed",
    ]
    assert told[0].startswith("replay: ")
    assert load_settings(values(*overrides, "grow.allow_overlap=[world]")).grow.allow_overlap == ("world",)


def test_a_budget_in_dollars_needs_the_price_of_every_model_and_trainer() -> None:
    prices = ["policy.price.input", "policy.price.output", "reward_model.price.output", "finetune.price.input"]
    asked = ("experiment=paper_openai", "llm@reward_model=gemini", "reward_model.price.input=1", "llm@grader=rule")
    assert [problem.split(":")[0] for problem in impossible(*asked, "budget.max_usd=5")] == prices
    free = (*asked, "improve.selector=perplexity", "policy.price.input=1", "policy.price.output=4")
    assert load_settings(values(*free, "iteration=0", "budget.max_usd=5")).budget.max_usd == 5
    assert load_settings(values("budget.max_usd=5")).policy.price.input == 0


def test_good_steps_have_an_effect_where_likeliest_alone_rejects_trajectories() -> None:
    given = ("improve.rejected_trajectories=good_steps", "grow.trajectories_per_question=4", "improve.likeliest=0.5")
    assert load_settings(values(*given)).improve.likeliest == 0.5


def test_a_missing_data_folder_is_reported_once() -> None:
    assert impossible("experiment=local_corpus") == [
        "data: is not set; give data=<folder with questions.jsonl and corpus.jsonl>"
    ]


def test_a_data_folder_that_does_not_exist_is_one_problem(tmp_path: Path) -> None:
    assert impossible("experiment=local_corpus", "data=/nowhere") == [
        "data: there is no folder /nowhere; check the path"
    ]
    assert impossible("experiment=local_corpus", f"data={data(tmp_path)}", "evaluate_data=/nowhere") == [
        "evaluate_data: there is no folder /nowhere; check the path"
    ]


def test_a_missing_file_of_the_data_folder_is_reported_for_each_question_set(tmp_path: Path) -> None:
    (data(tmp_path) / "corpus.jsonl").unlink()
    assert [problem.split(";")[0] for problem in impossible("experiment=local_corpus", f"data={tmp_path}")] == [
        f"grow.questions.corpus: there is no file {tmp_path}/corpus.jsonl",
        f"evaluate.benchmarks.local.corpus: there is no file {tmp_path}/corpus.jsonl",
    ]


def test_a_benchmark_name_must_be_a_folder_name() -> None:
    given = values()
    given["evaluate"]["benchmarks"]["a/b"] = given["evaluate"]["benchmarks"]["world"]
    (told,) = problems(given)
    assert told.startswith("evaluate.benchmarks: 'a/b' ")


CANNOT_CHANGE_A_RESULT = {
    "run",
    "iteration",
    "students",
    "dry_run",
    "output",
    "cache",
    "replay",
    "budget.max_usd",
    "budget.max_tokens",
    "tracking.kind",
    "tracking.mode",
    "tracking.project",
    "speed.prefill",
    "speed.decode",
    "speed.train",
    "policy.in_flight",
    "policy.device",
    "policy.threads",
    "policy.cache_tokens",
    "policy.batch_requests",
    "policy.batch_tokens",
    "policy.price.input",
    "policy.price.output",
    "grow.tolerate_outside_faults",
    "improve.tolerate_outside_faults",
    "evaluate.tolerate_outside_faults",
    "finetune.save_every",
    "finetune.max_length",
    "finetune.micro_batch_size",
    "finetune.num_processes",
    "finetune.accelerate",
    "finetune.num_machines",
    "finetune.main_process_ip",
    "finetune.main_process_port",
    "finetune.threads",
}


def test_every_setting_that_can_change_a_result_is_locked() -> None:
    settings = load_settings(values())
    everything = {path for path, _ in flatten(settings)}
    assert everything >= CANNOT_CHANGE_A_RESULT
    assert set(locked_settings(settings)) == everything - CANNOT_CHANGE_A_RESULT


def test_the_address_and_speed_settings_of_a_policy_are_not_locked() -> None:
    locked = locked_settings(load_settings(values("experiment=paper_gpu")))
    assert (locked["policy.max_model_len"], locked["policy.extra_args"]) == (16384, [])
    held = {path.removeprefix("policy.") for path in locked if path.startswith("policy.")}
    assert held == {"kind", "model", "mode", "system_turn", "max_model_len", "extra_args", "command"}


@pytest.mark.parametrize(
    ("given", "held"),
    [
        ("[--data-parallel-size,4,--enforce-eager,'--gpu_memory_utilization=0.8']", []),
        ("[--quantization,fp8,--swap-space,4,--dtype,half]", ["--quantization", "fp8", "--dtype", "half"]),
        ("[--tensor-parallel-size,2,-O,3,'--seed=1']", ["--tensor-parallel-size", "2", "--seed=1"]),
    ],
)
def test_arguments_of_a_server_that_cannot_change_a_result_are_not_locked(given: str, held: list[str]) -> None:
    assert (
        locked_settings(load_settings(values("llm@policy=vllm", f"policy.extra_args={given}")))["policy.extra_args"]
        == held
    )


@pytest.mark.parametrize(
    ("command", "held"),
    [
        ("[srun,'--gpus=1',vllm,serve]", []),
        ("[python,/opt/serve.py]", []),
        ("[python,/opt/serve.py,--quantization,fp8]", ["--quantization", "fp8"]),
    ],
)
def test_what_can_change_a_result_is_locked_also_where_it_is_in_the_command_of_a_server(
    command: str, held: list[str]
) -> None:
    settings = load_settings(values("llm@policy=vllm", f"policy.command={command}"))
    assert locked_settings(settings)["policy.command"] == held
    # Of one block it names cached replies: an empty one, which earlier versions had not, would lose them.
    assert ("door.command" in locked_settings(settings.policy, "door")) is bool(held)


def test_a_search_engine_may_change_its_speed_and_no_more() -> None:
    """`max_length` of a training refuses a row; that of dense search cuts texts, which changes the vectors."""
    engines = [path.stem for path in (CONFIGS / "search").glob("*.yaml")]
    settings = {path for name in engines for path, _ in flatten(values(f"search={name}")["search"], "search")}
    free = {"in_flight", "device", "timeout_s", "tries", "requests_per_minute", "api_key_env"}
    assert {path for path in settings if not is_locked(path)} == {f"search.{name}" for name in free}


def test_a_benchmark_named_like_a_setting_that_is_not_locked_is_locked() -> None:
    given = values()
    given["evaluate"]["benchmarks"] = {"port": given["evaluate"]["benchmarks"]["world"]}
    assert locked_settings(load_settings(given))["evaluate.benchmarks.port.split"] == "evaluation"


def test_every_name_in_unlocked_is_a_setting() -> None:
    """A renamed setting must not stay behind in UNLOCKED."""
    names = {field.name for kind in records_of(Settings) for field in fields(kind)}
    assert {entry.rpartition(".")[2] for entry in UNLOCKED} - names == set()


def test_a_similar_name_is_suggested_and_a_dissimilar_one_is_not() -> None:
    assert nearest("agnt.select", ["agent.select", "policy"]) == "did you mean agent.select?"
    assert nearest("zzz", ["agent.select"]).startswith("see --help")


def test_a_setting_is_suggested_by_its_last_word_or_its_initials() -> None:
    names = ["smoke", "policy.model", "finetune.lora_r", "finetune.learning_rate", "search.kind", "search.corpus"]
    told = {name: nearest(name, names) for name in ("model", "finetune.lr", "search.k")}
    assert told == {
        "model": "did you mean policy.model?",
        "finetune.lr": "did you mean finetune.learning_rate?",
        "search.k": "search has kind, corpus",
    }


def test_a_model_that_this_machine_cannot_run_is_refused_before_the_run() -> None:
    commands = {"no-such-vllm": ["policy.command"], sys.executable: []}
    for command, refused in commands.items():
        told = lacking_here(load_settings(values("llm@policy=vllm", f"policy.command=[{command},serve]")))
        assert [problem.partition(":")[0] for problem in told if problem.startswith("policy")] == refused


TEMPLATE = "+policy.chat_template_kwargs={enable_thinking: false}"
HOSTED_POLICY = ("llm@policy=openai", "finetune=hosted", "start=prompted")


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        ((*HOSTED_POLICY, "policy.mode=completion"), "policy.mode: completion, but a hosted job trains a chat model"),
        ((*HOSTED_POLICY, TEMPLATE), "policy.chat_template_kwargs: changes the prompt"),
        (
            (*HOSTED_POLICY, "+policy.extra_body={chat_template_kwargs: {enable_thinking: false}}"),
            "policy.extra_body.chat_template_kwargs: changes the prompt",
        ),
        (
            ("llm@policy=vllm", "policy.command=[vllm, serve, --chat-template, mine.jinja]"),
            "policy.command: must end with serve; give --chat-template mine.jinja in policy.extra_args",
        ),
        (
            ("llm@policy=vllm", "policy.extra_args=[--chat-template, mine.jinja]"),
            "policy.extra_args: --chat-template makes serving differ from training",
        ),
        (
            ("llm@policy=vllm", "policy.extra_args=['--default_chat_template_kwargs={}']"),
            "policy.extra_args: --default-chat-template-kwargs makes serving differ from training; use policy.",
        ),
        (
            ("llm@policy=vllm", "policy.extra_args=[--tokenizer, other]"),
            "policy.extra_args: --tokenizer makes serving differ from training; use a model",
        ),
        (
            ("llm@policy=vllm", "+policy.chat_template_kwargs={add_generation_prompt: false}"),
            "policy.chat_template_kwargs: add_generation_prompt is not an argument of a chat template",
        ),
    ],
)
def test_settings_that_would_sample_and_train_with_different_prompts_are_refused(
    overrides: tuple[str, ...], problem: str
) -> None:
    assert any(line.startswith(problem) for line in problems(values(*overrides)))


@pytest.mark.parametrize(
    "overrides",
    [
        (*HOSTED_POLICY, "iteration=0", "policy.mode=completion"),
        (*HOSTED_POLICY, "iteration=0", TEMPLATE),
        (*HOSTED_POLICY, "+policy.extra_body={top_k: 0}"),
        ("llm@policy=vllm", TEMPLATE),
        ("llm@policy=vllm", "start=prompted", "iteration=0", "policy.extra_args=[--chat-template, mine.jinja]"),
        ("llm@policy=smollm2", "policy.mode=chat", TEMPLATE),
    ],
)
def test_a_policy_may_have_any_template_if_it_is_not_trained_or_is_trained_with_that_template(
    overrides: tuple[str, ...],
) -> None:
    assert isinstance(load_settings(values(*overrides)), Settings)


def test_the_settings_for_reasoning_models_omit_parameters_that_these_models_refuse() -> None:
    grader = load_settings(values("llm@grader=openai_reasoning", "evaluate.grader_max_tokens=4096")).grader
    assert isinstance(grader, OpenAIModel)
    assert (grader.omit, grader.token_limit, grader.logprobs, grader.n_per_request, grader.extra_body) == (
        ("temperature", "seed", "stop"),
        "max_completion_tokens",
        False,
        False,
        {"reasoning_effort": "low"},
    )


@pytest.mark.parametrize(
    ("server", "fields"),
    [
        ("llamacpp", {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "repeat_penalty": 1.0}),
        ("ollama", {"top_p": 1.0}),
        ("vllm_remote", {"top_k": -1, "top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0}),
    ],
)
def test_the_settings_of_a_server_ask_for_plain_sampling_and_allow_further_fields(server: str, fields: object) -> None:
    settings = load_settings(values(f"llm@policy={server}", "finetune=hosted", "+policy.extra_body={keep_alive: 60}"))
    assert isinstance(settings.policy, OpenAIModel)
    none = {"presence_penalty": 0.0, "frequency_penalty": 0.0}
    assert settings.policy.extra_body == {**cast("dict[str, object]", fields), **none, "keep_alive": 60}
    assert settings.policy.api_key_env is None
