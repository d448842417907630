from pathlib import Path

import pytest

from rest_react.config.compose import compose
from rest_react.config.notes import notes


def told(*overrides: str) -> list[str]:
    return list(notes(compose(overrides)))


@pytest.mark.parametrize("overrides", [("improve.keep=all",), ("improve.keep=all", "finetune=dpo", "iteration=3")])
def test_a_run_that_would_train_on_unjudged_samples_says_so_with_the_measured_figure(
    overrides: tuple[str, ...],
) -> None:
    (note,) = told(*overrides)
    assert "-7.7 points" in note


@pytest.mark.parametrize(
    "way_out",
    [
        "improve.keep_trajectories=reader_agrees reward_model=openai",
        "improve.keep_trajectories=agreeing grow.trajectories_per_question=4",
        "improve.selector=reward_model reward_model=openai",
    ],
)
def test_the_ways_out_of_unjudged_samples_lead_to_no_other_note(way_out: str) -> None:
    (note,) = told("improve.keep=all")
    assert way_out in note
    assert told("improve.keep=all", *way_out.split()) == []


def test_the_embedded_model_as_its_own_reader_is_told_with_what_was_measured() -> None:
    (note,) = told("improve.keep=all", "improve.keep_trajectories=reader_agrees")
    assert note.startswith("improve.keep_trajectories: reader_agrees needs a model that can answer from a passage")
    assert "the answer of 8 of 188 trajectories, 2 of them right" in note
    assert told("improve.keep=all", "improve.keep_trajectories=reader_agrees", "llm@reward_model=openai") == []


@pytest.mark.parametrize(
    "overrides",
    [
        (), ("improve.keep=all", "iteration=0"), ("improve.keep=all", "improve.keep_trajectories=supported"),
        ("improve.keep=all", "improve.selector=random"), ("experiment=paper_openai", "iteration=1"),
    ],
)  # fmt: skip
def test_other_runs_say_nothing(overrides: tuple[str, ...]) -> None:
    assert told(*overrides) == []


def test_a_run_with_one_sample_a_step_says_that_nothing_judges_it(tmp_path: Path) -> None:
    given = ("grow.samples=1", "improve.keep=all", "improve.selector=reward_model", "reward_model=openai")
    (note,) = told(*given)
    assert note.startswith("grow.samples: 1, so every step trains on its only sample, and nothing judges it")
    assert told(*given, "improve.keep=judged_good") == []


def test_steps_beyond_a_limit_that_they_replace_are_told() -> None:
    (note,) = told("finetune.max_steps=10", "finetune.steps=[5,20]")
    assert note.startswith("finetune.max_steps: 10 holds for iteration 0 alone")
    assert told("finetune.max_steps=20", "finetune.steps=[5,20]") == told("finetune.max_steps=10") == []


def test_the_learning_rate_of_the_embedded_model_is_questioned_for_a_larger_one() -> None:
    larger = ("policy=vllm", "policy.model=Qwen/Qwen2.5-7B-Instruct", "start=prompted")
    (note,) = told(*larger)
    assert note.startswith("finetune.learning_rate: 0.001 was chosen for the embedded model")
    assert "not for Qwen/Qwen2.5-7B-Instruct" in note
    assert told(*larger, "finetune.learning_rate=1e-4") == told(*larger, "iteration=0") == []
    assert told("policy=tiny") == told("policy=scripted") == []


def test_runs_on_a_user_s_own_questions_ask_a_reward_model(tmp_path: Path) -> None:
    for name in ("questions.jsonl", "corpus.jsonl"):
        (tmp_path / name).touch()
    hosted = ("policy=openai", "finetune=hosted", "start=prompted", "~finetune.micro_batch_size")
    for overrides in ((), hosted):
        given = ("experiment=local_corpus", f"data={tmp_path}", "iteration=1", *overrides)
        settings = compose(given)
        assert (settings.improve.selector, settings.improve.reward, settings.reward_model.kind) == (
            "reward_model", "options", "same",
        )  # fmt: skip
        assert len(told(*given)) == (0 if overrides else 1)


@pytest.mark.parametrize("kept", ["cycle_consistent", "evidence_needed"])
def test_a_run_that_the_untuned_embedded_model_would_read_for_says_what_its_reading_is_worth(kept: str) -> None:
    given = ("improve.keep=all", f"improve.keep_trajectories={kept}", "grow.trajectories_per_question=4")
    (note,) = told(*given)
    assert "cycle_consistent kept 180 of them, 66% right" in note
    served = ("reward_model=vllm_remote", "reward_model.mode=completion", "reward_model.base_url=http://judges:8000/v1")
    assert told(*given, *served) == []


ASKING = ("improve.selector=reward_model", "improve.reward=options")


@pytest.mark.parametrize("overrides", [ASKING, (*ASKING, "reward_model=smollm2"), ("experiment=web", "iteration=1")])
def test_a_run_that_the_untuned_embedded_model_would_judge_says_what_its_judgement_is_worth(
    overrides: tuple[str, ...],
) -> None:
    (note,) = told(*overrides)
    assert "49% [45, 54]" in note and "reward_model=openai" in note
    assert told(*ASKING, "reward_model=openai") == []


def test_what_the_notes_recommend_composes_on_a_user_s_own_questions(tmp_path: Path) -> None:
    for name in ("questions.jsonl", "corpus.jsonl"):
        (tmp_path / name).touch()
    kept = "improve.selector=perplexity improve.keep_trajectories=agreeing grow.trajectories_per_question=4"
    (note,) = told("experiment=local_corpus", f"data={tmp_path}", "iteration=1")
    assert kept in note
    assert told("experiment=local_corpus", f"data={tmp_path}", "iteration=1", *kept.split()) == []


def test_a_large_model_that_would_learn_built_in_demonstrations_for_other_questions_is_told(tmp_path: Path) -> None:
    for name in ("questions.jsonl", "corpus.jsonl"):
        (tmp_path / name).touch()
    larger = ("policy=vllm", "policy.model=Qwen/Qwen2.5-7B-Instruct", "finetune.learning_rate=1e-4")
    own = ("experiment=local_corpus", f"data={tmp_path}", *larger)
    (note,) = told(*own)
    assert note.startswith("start: demonstrations fine-tunes Qwen/Qwen2.5-7B-Instruct on scripted answers")
    assert told(*own, "start=prompted") == told(*larger) == []


def test_equal_samples_are_told() -> None:
    (note,) = told("grow.temperature=0")
    assert note.startswith("grow.temperature: 0, so all samples of a step are the same")
    assert told("grow.temperature=0", "iteration=0") == []


def test_lora_at_a_rate_of_full_fine_tuning_is_told() -> None:
    (note,) = told("experiment=paper_gpu", "finetune=lora", "finetune.learning_rate=1e-5")
    assert note.startswith("finetune.learning_rate: 1e-05 is a rate of full fine-tuning")
    assert told("experiment=paper_gpu") == []
