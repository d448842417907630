"""Settings become parts: which client each kind opens, and what the parts share."""

import asyncio
import json
import shutil
import sys
from pathlib import Path

import pytest

from rest_react.build import Parts
from rest_react.build.run_prompts import AUTOEVAL, JUDGED_GOOD, RANKING, READ_ANSWER
from rest_react.config.compose import compose
from rest_react.errors import ConfigError, OutsideFault
from rest_react.judges.grader import LLMGrader, RuleGrader
from rest_react.llm.gemini import Gemini
from rest_react.llm.openai_api.openai_compatible import OpenAICompatible
from rest_react.llm.transformers_engine import TransformersEngine
from rest_react.llm.vllm.vllm_server import VllmServer
from rest_react.prompts import Exemplar, StepPrompt
from rest_react.records import ModelRef, Passage, Prompt, Sampling
from rest_react.remote.budget import Metered
from rest_react.search.bm25 import Bm25Search
from rest_react.search.retrieval_server import HttpSearch
from rest_react.search.web import DuckDuckGo
from rest_react.storage.run_folder import RunFolder
from rest_react.tasks.completion.settings import CompletionSettings
from rest_react.tasks.completion.task import Completion as CompletionTask
from rest_react.tasks.completion.task import render_state as render_text
from rest_react.tasks.protocol import Policy
from rest_react.tasks.search_qa.prompt_files import PACKAGED_PROMPTS
from rest_react.tasks.search_qa.render_state import render_state
from rest_react.tasks.search_qa.scripted import ScriptedLLM
from rest_react.training.dpo import DpoTrainer
from rest_react.training.dry_run import DryRunTrainer
from rest_react.training.hosted import HostedTrainer
from rest_react.training.local import LocalTrainer
from tests.tasks.completion.test_rows import write_data

CORPUS = (Passage("p0", "Velmar", "A town founded by Ada Mell."),)


def parts(folder: Path, *overrides: str) -> Parts:
    return Parts(compose(["tracking=none", *overrides]), RunFolder(folder))


@pytest.mark.parametrize(
    ("policy", "client"),
    [
        ("scripted", ScriptedLLM),
        ("smollm2", TransformersEngine),
        ("tiny", TransformersEngine),
        ("openai", OpenAICompatible),
        ("vllm", VllmServer),
        ("gemini", Gemini),
    ],
)
def test_each_kind_of_model_has_its_client(
    policy: str, client: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("OPENAI_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(key, "no-key")
    hosted = ("start=prompted", "finetune=hosted") if policy in ("openai", "gemini") else ()
    iteration = "iteration=0" if policy == "gemini" else "iteration=1"
    made = parts(tmp_path, f"policy={policy}", iteration, *hosted)
    llm = made.llm(made.starting_model())
    assert type(llm.client if isinstance(llm, Metered) else llm) is client


def test_a_merged_model_is_served_without_its_adapter(tmp_path: Path) -> None:
    script = tmp_path / "serve.py"
    script.write_text("import sys; open(__file__ + '.told', 'w').write('\\n'.join(sys.argv[1:])); sys.exit(3)")
    made = parts(tmp_path, "policy=vllm", f"policy.command=[{sys.executable},{script}]", "policy.extra_args=[--seed,7]")
    tuned = ModelRef("iter_1/finetune/model", "local", tuned=True)
    (tmp_path / "iter_1/finetune/adapter").mkdir(parents=True)
    with pytest.raises(OutsideFault, match=r"failed to start \(exit code 3"):
        asyncio.run(made.llm(tuned).sample(Prompt("", "state"), n=1, sampling=Sampling(0.5, 10, 1)))
    assert (tmp_path / "serve.py.told").read_text().split("\n") == [
        str(tmp_path / "iter_1/finetune/model"),
        *("--host", "127.0.0.1", "--port", "8011", "--served-model-name", "iter_1-finetune-model"),
        *("--generation-config", "vllm", "--max-model-len", "16384", "--seed", "7"),
    ]


@pytest.mark.parametrize(("search", "client"), [("bm25", Bm25Search), ("duckduckgo", DuckDuckGo), ("http", HttpSearch)])
def test_each_kind_of_search_has_its_client(search: str, client: type, tmp_path: Path) -> None:
    company = ["search.url=http://127.0.0.1:9/retrieve"] if search == "http" else []
    company += ["experiment=web"] if search == "duckduckgo" else []
    assert type(parts(tmp_path, f"search={search}", *company).search(CORPUS)) is client


def test_the_index_of_a_corpus_is_saved_in_the_run_folder_and_reused(tmp_path: Path) -> None:
    first, second = (parts(tmp_path).search(CORPUS) for _ in range(2))
    (index,) = (tmp_path / "bm25").glob("[!.]*")
    assert [asyncio.run(s.search("who founded Velmar", 3))[0].title for s in (first, second)] == ["Velmar"] * 2
    assert index.is_dir()


@pytest.mark.parametrize(
    ("finetune", "trainer"),
    [("local", LocalTrainer), ("lora", LocalTrainer), ("dpo", DpoTrainer), ("hosted", HostedTrainer)],
)
def test_each_kind_of_fine_tuning_has_its_trainer(
    finetune: str, trainer: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "no-key")
    model = ("policy=openai", "start=prompted") if finetune == "hosted" else ("policy=tiny",)
    assert type(parts(tmp_path, *model, f"finetune={finetune}").trainer(1)) is trainer


def test_only_iteration_0_follows_the_demonstrations_schedule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = ("demonstrations.epochs=7", "demonstrations.learning_rate=1e-3", "demonstrations.batch_size=2")
    made = parts(
        tmp_path, "policy=tiny", *own, "finetune.epochs=2", "finetune.learning_rate=3e-4", "finetune.batch_size=8"
    )
    trained = [trainer.training for k in (0, 1) if isinstance(trainer := made.trainer(k), LocalTrainer)]
    assert [(how.epochs, how.learning_rate, how.batch_size) for how in trained] == [(7, 1e-3, 2), (2, 3e-4, 8)]
    monkeypatch.setenv("OPENAI_API_KEY", "no-key")
    made = parts(tmp_path, "policy=openai", "finetune=hosted", "demonstrations.epochs=7", "demonstrations.batch_size=4")
    chosen = [t._hyperparameters for k in (0, 1) if isinstance(t := made.trainer(k), HostedTrainer)]
    assert chosen == [{"n_epochs": 7, "batch_size": 4}, {}]


def test_dpo_learns_demonstrations_by_supervised_fine_tuning_and_preferences_after_them(tmp_path: Path) -> None:
    given = ("finetune.learning_rate=1e-5", "finetune.supervised_learning_rate=1e-3", "finetune.beta=0.3")
    made = parts(tmp_path, "policy=tiny", "finetune=dpo", "demonstrations.epochs=7", "finetune.epochs=2", *given)
    first, later = made.trainer(0), made.trainer(1)
    assert isinstance(first, LocalTrainer) and isinstance(later, DpoTrainer)
    assert (first.training.epochs, first.training.learning_rate) == (7, 1e-3)
    assert (later.training.epochs, later.training.learning_rate, later.training.beta) == (2, 1e-5, 0.3)


def test_there_is_a_reward_model_only_if_improve_uses_one(tmp_path: Path) -> None:
    asked = {
        (selector, keep): parts(tmp_path, f"improve.selector={selector}", f"improve.keep={keep}").judges.reward_model()
        for selector in ("perplexity", "reward_model")
        for keep in ("all", "verified", "judged_good")
    }
    assert {how for how, model in asked.items() if model is None} == {("perplexity", "all"), ("perplexity", "verified")}


def test_the_grader_is_a_rule_or_a_model(tmp_path: Path) -> None:
    assert type(parts(tmp_path).judges.grader()) is RuleGrader
    judged = parts(tmp_path, "grader=same", "policy=tiny")
    assert type(judged.judges.grader()) is LLMGrader
    assert judged.judges.grader_needs_room
    assert not parts(tmp_path).judges.grader_needs_room


def test_what_a_client_sends_with_every_request_is_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("OPENAI_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(key, "no-key")
    prompted = ("start=prompted", "finetune=hosted", "iteration=0")
    prompt, sampling = Prompt("", "S"), Sampling(0, 9, 1)
    asked = ("policy.token_limit=max_completion_tokens", "+policy.extra_body={reasoning_effort: none}")
    openai = parts(tmp_path, "policy=openai", *asked, *prompted)
    client = openai.llm(openai.starting_model())
    assert isinstance(client, OpenAICompatible)
    body = client._form.body(prompt, sampling, 0, 1)
    assert (body["max_completion_tokens"], body["reasoning_effort"]) == (9, "none")
    gemini = parts(tmp_path, "policy=gemini", "policy.thinking_budget=7", *prompted)
    client = gemini.llm(gemini.starting_model())
    assert isinstance(client, Gemini)
    thinking = client._config(prompt, sampling, 0, 1).thinking_config
    assert thinking is not None and thinking.thinking_budget == 7


def test_a_user_s_own_prompt_changes_the_hash_of_the_prompts_of_its_kind_alone(tmp_path: Path) -> None:
    mine = tmp_path / "prompts"
    shutil.copytree(PACKAGED_PROMPTS, mine)
    hashes = []
    for name in ("", RANKING, JUDGED_GOOD, AUTOEVAL):
        if name:
            (mine / name).write_text("Mine.", encoding="utf-8")
        hashes.append(parts(tmp_path, f"agent.prompts={mine}", "grader=same").prompts.digests())
    assert hashes[0] == parts(tmp_path).prompts.digests()
    assert len({one["judge_prompts"] for one in hashes}) == 4
    assert len({one["step_prompts"] for one in hashes}) == 1
    decide = mine / "decide.txt"
    decide.write_text(decide.read_text(encoding="utf-8").replace("agent", "Agent", 1), encoding="utf-8")
    changed = parts(tmp_path, f"agent.prompts={mine}", "grader=same").prompts.digests()
    assert changed["step_prompts"] != hashes[-1]["step_prompts"]
    assert changed["judge_prompts"] == hashes[-1]["judge_prompts"]
    assert [one["grader_prompts"] == hashes[0]["grader_prompts"] for one in hashes] == [True, True, True, False]
    assert [one["text_judge_prompts"] == hashes[0]["text_judge_prompts"] for one in hashes] == [
        True,
        True,
        False,
        False,
    ]
    filtered = parts(tmp_path, "improve.keep_trajectories=judged_good", "improve.reward=options").prompts.digests()
    assert filtered["judge_prompts"] != hashes[0]["judge_prompts"]
    assert filtered["grader_prompts"] == hashes[0]["grader_prompts"]


@pytest.mark.parametrize(("keep", "counts"), [("reader_agrees", True), ("judged_good", False)])
def test_the_prompt_of_a_reader_counts_where_a_reader_is_asked(keep: str, counts: bool, tmp_path: Path) -> None:
    mine = tmp_path / "prompts"
    shutil.copytree(PACKAGED_PROMPTS, mine)
    given = (f"agent.prompts={mine}", "grader=same", "llm@reward_model=qwen", f"improve.keep_trajectories={keep}")
    before = parts(tmp_path, *given).prompts.digests()
    (mine / READ_ANSWER).write_text("{question} {passages}", encoding="utf-8")
    made = parts(tmp_path, *given)
    assert (made.prompts.digests() != before) is counts
    reward_model = made.judges.reward_model()
    assert getattr(reward_model, "read_answer", "") == ("{question} {passages}" if counts else "")


def test_a_users_prompt_without_what_the_judge_is_to_see_is_refused_with_the_missing_marks(tmp_path: Path) -> None:
    mine = tmp_path / "prompts"
    shutil.copytree(PACKAGED_PROMPTS, mine)
    (mine / RANKING).write_text("{input}\n{output}\nRank them.", encoding="utf-8")
    parts(tmp_path, f"agent.prompts={mine}", "grader=same").prompts.digests()  # no judge reads it
    with pytest.raises(ConfigError) as told:
        parts(tmp_path, f"agent.prompts={mine}", "grader=same", "improve.selector=reward_model").prompts.digests()
    assert told.value.problems == (
        f"agent.prompts: {mine / RANKING} has no {{inputs}} and no {{outputs}}; write it where that text is to stand",
    )


@pytest.mark.parametrize("start", ["prompted", "demonstrations"])
def test_baselines_are_asked_with_the_users_instructions_and_the_rows_as_examples(start: str, tmp_path: Path) -> None:
    mine = tmp_path / "prompts"
    shutil.copytree(CompletionSettings.packaged_prompts, mine)
    write_data(tmp_path / "data", labelled=18)
    given = ("policy=tiny", f"start={start}", "demonstrations.questions.n=9", "task.shots=2", f"data={tmp_path}/data")
    made = parts(tmp_path / "run", "experiment=classify", f"agent.prompts={mine}", *given, "run=x")
    asked = {name: task.prompts.by_kind for name, task, _ in made.baselines() if isinstance(task, CompletionTask)}
    instructions = made.prompts.steps["complete"].instructions
    assert instructions.startswith("# A customer's complaint is given as TEXT.")
    shown = [
        Exemplar(render_text(row.question.text), f"{row.answers[0]}  # [END]")
        for row in made.question_sets.labelled_rows[:2]
    ]
    assert asked["zero_shot"] == {"complete": StepPrompt(instructions, ())}
    assert asked["few_shot"] == {"complete": StepPrompt(instructions, tuple(shown))}


def test_a_missing_folder_of_prompts_is_told_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as told:
        parts(tmp_path, f"agent.prompts={tmp_path}/nowhere", "grader=same").prompts.digests()
    assert [problem.partition(";")[0] for problem in told.value.problems] == [
        f"agent.prompts: there is no folder {tmp_path}/nowhere"
    ]


def test_the_dry_run_trainer_can_be_chosen(tmp_path: Path) -> None:
    made = parts(tmp_path, "finetune=dry_run", "start=prompted", "policy=tiny")
    assert type(made.trainer(1)) is DryRunTrainer


@pytest.mark.parametrize(("mistakes", "low", "high"), [(0.0, 0.0, 0.0), (0.3, 0.2, 0.4), (1.0, 1.0, 1.0)])
def test_the_expert_makes_unmarked_errors_as_often_as_the_settings_say(
    mistakes: float, low: float, high: float, tmp_path: Path
) -> None:
    made = parts(tmp_path, f"demonstrations.mistakes={mistakes}", "demonstrations.slip=0")
    plan = made.question_sets.world.plans[made.question_sets.world.demonstrations[0].question.text]
    prompt = Prompt("", render_state("decide", plan.question, (), remaining=5))
    samples = asyncio.run(made.expert().sample(prompt, n=200, sampling=Sampling(1.0, 256, seed=3)))
    wrong = [f'query="{plan.hops[0].query}"' not in sample.text for sample in samples]
    assert low <= sum(wrong) / len(wrong) <= high
    assert {sample.finish for sample in samples} == {"stop"}


def test_select_verified_uses_the_rules(tmp_path: Path) -> None:
    for select in ("verified", "majority"):
        made = parts(tmp_path, "policy=scripted", f"agent.select={select}")
        llm = made.llm(made.starting_model())
        assert made.policy(llm, samples=2, temperature=1.0, tuned=True) == Policy(llm, 2, 1.0, 128, select, tuned=True)


def test_a_corpus_without_a_searchable_word_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text('{"id": "1", "text": "!!!"}\n{"id": "2", "text": "the of"}\n')
    (tmp_path / "questions.jsonl").write_text('{"question": "Who?", "answer": "Ada"}\n')
    made = parts(tmp_path / "run", "experiment=local_corpus", f"data={tmp_path}")
    with pytest.raises(ConfigError, match=rf"{tmp_path}/corpus\.jsonl: no passage contains a searchable word"):
        made.question_sets.grown()


def test_a_publishers_file_with_contexts_is_its_own_corpus(tmp_path: Path) -> None:
    row = {"_id": "5a8b", "answer": "yes", "question": "Are both towns?", "context": [["A", ["A is a town."]]]}
    path = tmp_path / "hotpot.json"
    path.write_text(json.dumps([row]))
    how = [
        f"{one}.{key}={path}" for one in ("grow.questions", "evaluate.benchmarks.local") for key in ("path", "corpus")
    ]
    made = parts(tmp_path / "run", "experiment=local_corpus", *how)
    grown = made.question_sets.grown()
    assert [one.question.id for one in grown.labelled] == ["5a8b"]
    assert asyncio.run(made.search(grown.passages).search("town A", 2))[0].snippet == "A is a town."
