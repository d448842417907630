import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from rest_react.config.compose import compose
from rest_react.forecast.estimate import UNEQUAL, forecast
from rest_react.forecast.stage_costs import Forecast
from rest_react.protocols import Trainer
from rest_react.storage.locked_settings import locked_settings
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.settings_file import lock_settings
from rest_react.storage.summaries import write_summary
from rest_react.tasks.search_qa.prompt_files import PACKAGED_PROMPTS
from rest_react.training.trainer_settings import TrainerSettings, TrainingContext
from tests.questions.sets import write_jsonl

SMALL = [
    "world.demonstrations=10", "world.train=20", "world.evaluation=40", "improve.keep=all",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class MadeUpTrainer(TrainerSettings):
    """The settings of a new trainer, which define only what they must."""

    tunes: ClassVar[Literal["here", "provider", "nothing"]] = "here"

    kind: str
    start_from: str
    mix_demonstrations: bool

    def open(self, context: TrainingContext, epochs: float | None) -> Trainer:
        raise NotImplementedError


MADE_UP: Any = MadeUpTrainer("made_up", start_from="base", mix_demonstrations=False)


def stages(folder: Path, *overrides: str) -> list[Forecast]:
    return list(forecast(compose([*SMALL, *overrides]), RunFolder(folder)))


def by_stage(folder: Path, *overrides: str) -> dict[str, Forecast]:
    return {row.stage: row for row in stages(folder, *overrides)}


def test_the_forecast_has_every_stage_in_order_with_its_number_of_calls(tmp_path: Path) -> None:
    rows = stages(tmp_path, "iteration=1", "grow.samples=4", "evaluate.samples=1", "evaluate.repeats=2")
    calls = 2 * 2.5 + 4
    assert [(row.stage, row.calls) for row in rows] == [
        ("iteration 0: finetune", 0),
        ("iteration 0: evaluate world", 40 * 2 * calls),
        ("iteration 1: grow", 20 * calls),
        ("iteration 1: finetune", 0),
        ("iteration 1: evaluate world", 40 * 2 * calls),
    ]
    grown = rows[2]
    assert (grown.prompt_tokens, grown.completion_tokens) == (180 * 300, 180 * 4 * 60)


def test_every_model_of_a_training_answers_the_benchmark_that_chooses(tmp_path: Path) -> None:
    rows = by_stage(tmp_path, "iteration=1", "evaluate.choose_by=world", "finetune.snapshots=3")
    assert rows["iteration 1: choose a model"].calls == 2 * rows["iteration 1: evaluate world"].calls


def test_fewer_checks_and_searches_give_fewer_calls(tmp_path: Path) -> None:
    rows = by_stage(tmp_path, "agent.self_checks=false", "agent.max_searches=1")
    assert rows["iteration 1: grow"].calls == 20 * (2 * 1 + 2)


def test_a_prompted_start_has_no_training_and_counts_the_exemplars_until_the_model_is_tuned(tmp_path: Path) -> None:
    rows = by_stage(tmp_path, "start=prompted", "iteration=2")
    sizes = [(PACKAGED_PROMPTS / f"{kind}.txt").stat().st_size for kind in
             ("decide", "summarise", "answer", "relevance", "grounding")]  # fmt: skip
    shown = rows["iteration 1: grow"].prompt_tokens / rows["iteration 1: grow"].calls - 300
    assert abs(shown - sum(sizes) / 5 / 3.5) < 2
    assert "iteration 0: finetune" not in rows
    assert rows["iteration 0: evaluate world"].prompt_tokens == 360 * (300 + shown)
    assert rows["iteration 2: grow"].prompt_tokens == 180 * 300
    assert rows["iteration 1: evaluate world"].prompt_tokens == 360 * 300
    always = by_stage(tmp_path, "agent.exemplars=always")
    assert always["iteration 1: grow"].prompt_tokens == 180 * (300 + shown)


def test_the_reward_model_ranks_every_step_and_the_grader_grades_every_answer(tmp_path: Path) -> None:
    once = by_stage(tmp_path, "improve.selector=reward_model")
    both = by_stage(tmp_path, "improve.selector=reward_model", "improve.keep=judged_good", "grader=openai")
    assert once["iteration 1: improve"].calls == 180
    assert both["iteration 1: improve"].calls == 360
    assert both["iteration 1: evaluate world, grading"].calls == 40
    assert both["iteration 1: evaluate world, grading"].usd is None
    assert "iteration 1: evaluate world, grading" not in once


def test_options_take_a_request_for_each_candidate_and_a_trained_judge_its_training(tmp_path: Path) -> None:
    written = by_stage(tmp_path, "improve.selector=reward_model")["iteration 1: improve"]
    options = by_stage(tmp_path, "improve.selector=reward_model", "improve.reward=options")["iteration 1: improve"]
    samples = compose(SMALL).grow.samples
    assert (options.calls, options.completion_tokens) == (samples * written.calls, samples * written.calls)
    judged = by_stage(tmp_path, "improve.selector=reward_model", "reward_model=trained")
    rows = judged["iteration 0: judge, samples"].calls * 2 * 3 * 0.75
    demonstrated = judged["iteration 0: finetune"]
    assert judged["iteration 0: judge"].prompt_tokens / demonstrated.prompt_tokens == pytest.approx(
        rows / judged["iteration 0: judge, samples"].calls, rel=0.1
    )
    assert judged["iteration 1: improve"].prompt_tokens < options.prompt_tokens


def test_a_judge_of_answers_takes_trainings_of_folds_answers_to_all_demonstrated_questions_and_its_own_training(
    tmp_path: Path,
) -> None:
    judged = by_stage(tmp_path, "reward_model=trained", "improve.keep_trajectories=judged_good")
    folds, answers, own = (judged[f"iteration 0: outcome judge{part}"] for part in (", folds", ", answers", ""))
    assert folds.prompt_tokens == 2 * judged["iteration 0: finetune"].prompt_tokens  # three of two thirds each
    assert answers.calls == 10 * 4 * 9
    assert own.prompt_tokens == 10 * 4 * 6 * 360
    assert judged["iteration 1: improve"].calls == 20
    assert "iteration 0: judge" not in judged
    how = ("iteration=1", "reward_model=trained", "improve.keep_trajectories=judged_good", "improve.keep=all")
    source = RunFolder(tmp_path / "source")
    lock_settings(source.root, locked_settings(compose([*SMALL, *how, "run=source"])), {})
    for k, *stage in ((0, "finetune"), (0, "evaluate", "world"), (0, "outcome_judge"), (1, "grow")):
        write_summary(source.stage(k, *stage), {"calls": 0})
    again = by_stage(tmp_path / "mine", *how, "run=mine", "grow.reuse=source", "learning_seed=1")
    assert list(again) == ["iteration 1: improve", "iteration 1: finetune", "iteration 1: evaluate world"]


def test_a_trainer_with_unknown_passes_has_an_unknown_cost(tmp_path: Path) -> None:
    settings = replace(compose([*SMALL, "iteration=1"]), finetune=MADE_UP)
    rows = {row.stage: row for row in forecast(settings, RunFolder(tmp_path))}
    assert rows["iteration 1: finetune"] == Forecast("iteration 1: finetune", 0, None, 0, None, None)


def test_complete_stages_are_left_out_and_set_the_tokens_per_call(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for stage in (("finetune",), ("evaluate", "world")):
        write_summary(folder.stage(0, *stage), {})
    measured = {"calls": 100, "prompt_tokens": 50_000, "completion_tokens": 12_000, "searches_per_trajectory": 1.0}
    write_summary(folder.stage(1, "grow"), measured)
    rows = by_stage(tmp_path, "iteration=2", "grow.samples=4", "evaluate.samples=1")
    assert next(iter(rows)) == "iteration 1: finetune"
    grown = rows["iteration 2: grow"]
    assert (grown.calls, grown.prompt_tokens, grown.completion_tokens) == (120, 120 * 500, 120 * 4 * 30)
    assert rows["iteration 2: evaluate world"].completion_tokens == 240 * 30


def test_minutes_follow_the_measured_rates(tmp_path: Path) -> None:
    rows = by_stage(
        tmp_path, "speed.prefill=450", "speed.decode=100", "speed.train=50", "finetune.epochs=2", "grow.samples=1"
    )
    assert rows["iteration 1: grow"].minutes == pytest.approx((180 * 150 / 450 + 180 * 60 / 100) / 60)
    assert rows["iteration 1: finetune"].minutes == pytest.approx((180 + 90) * 360 * 2 / 50 / 60)


def test_dpo_reads_both_completions_and_asks_the_reference_model_once(tmp_path: Path) -> None:
    rows = by_stage(tmp_path, "finetune=dpo", "finetune.epochs=3", "demonstrations.epochs=2", "speed.train=50")
    assert rows["iteration 0: finetune"].prompt_tokens == 90 * 360 * 2
    later = rows["iteration 1: finetune"]
    assert later.prompt_tokens == pytest.approx(180 * 360 * 2 * 3 * 4 / 3)
    assert later.minutes == pytest.approx(later.prompt_tokens / 50 / 60)


def test_a_limit_of_steps_limits_what_a_training_reads(tmp_path: Path) -> None:
    limits = ("finetune.max_steps=3", "finetune.batch_size=4", "demonstrations.batch_size=2", "finetune.epochs=2")
    rows = by_stage(tmp_path, *limits, "demonstrations.epochs=2")
    assert rows["iteration 0: finetune"].prompt_tokens == 3 * 2 * 360
    assert rows["iteration 1: finetune"].prompt_tokens == 3 * 4 * 360
    dpo = by_stage(tmp_path, "finetune=dpo", *limits)["iteration 1: finetune"]
    assert dpo.prompt_tokens == pytest.approx(3 * 4 * 2 * 360 * 4 / 3)


@pytest.mark.parametrize("without", ["finetune.mix_demonstrations=false", "start=prompted"])
def test_mixed_demonstrations_count_in_every_training(without: str, tmp_path: Path) -> None:
    trained = [
        by_stage(tmp_path, "finetune.epochs=2", *how)["iteration 1: finetune"].prompt_tokens for how in ([], [without])
    ]
    assert trained == [(180 + 90) * 360 * 2, 180 * 360 * 2]


def test_with_keep_verified_a_quarter_of_the_steps_trains(tmp_path: Path) -> None:
    rows = by_stage(tmp_path, "finetune.epochs=2", "improve.keep=verified", "finetune.mix_demonstrations=false")
    assert rows["iteration 1: finetune"].prompt_tokens == 180 // 4 * 360 * 2


def test_steps_that_are_dropped_because_their_samples_are_equal_are_neither_ranked_nor_trained_on(
    tmp_path: Path,
) -> None:
    judged = (
        "improve.selector=reward_model",
        "improve.keep=all",
        "finetune.epochs=2",
        "finetune.mix_demonstrations=false",
    )
    rows = by_stage(tmp_path, *judged, "improve.equal_steps=drop")
    assert rows["iteration 1: improve"].calls == 180 * 2 / 5
    assert rows["iteration 1: finetune"].prompt_tokens == 180 * 2 / 5 * 360 * 2


def test_the_forecast_drops_as_many_equal_steps_as_the_settings_say_were_observed() -> None:
    config = (Path(__file__).parents[2] / "configs" / "config.yaml").read_text(encoding="utf-8")
    comment = config.partition("equal_steps:")[2].partition("only_grounded:")[0]
    observed = re.search(r"(\d+) to (\d+)% of the steps", comment)
    assert observed is not None
    low, high = map(int, observed.groups())
    assert low <= 100 * (1 - UNEQUAL) <= high


def test_unknown_numbers_are_none(tmp_path: Path) -> None:
    remote = by_stage(tmp_path, "policy=openai", "finetune=hosted")
    assert {(row.minutes, row.usd) for row in remote.values()} == {(None, None)}
    assert by_stage(tmp_path, "speed.train=null")["iteration 1: finetune"].minutes is None


def test_a_server_that_takes_a_request_for_each_sample_is_charged_for_the_prompt_each_time(tmp_path: Path) -> None:
    given = ["policy=openai", "finetune=hosted", "grow.samples=4", "evaluate.samples=1", "iteration=2"]
    one, four = (by_stage(tmp_path, *given, *more) for more in ((), ("policy.n_per_request=false",)))
    for stage, times in (("iteration 1: grow", 4), ("iteration 1: evaluate world", 1)):
        assert four[stage].prompt_tokens == times * (one[stage].prompt_tokens or 0) > 0
    measured = {"calls": 100, "prompt_tokens": 200_000, "completion_tokens": 12_000, "searches_per_trajectory": 1.0}
    write_summary(RunFolder(tmp_path).stage(1, "grow"), measured)
    grown, evaluated = (
        by_stage(tmp_path, *given, "policy.n_per_request=false")[f"iteration 2: {stage}"]
        for stage in ("grow", "evaluate world")
    )
    assert (grown.prompt_tokens, evaluated.prompt_tokens) == (2000 * grown.calls, 500 * evaluated.calls)


def test_dollars_follow_the_prices_of_each_model(tmp_path: Path) -> None:
    rows = by_stage(
        tmp_path, "policy=openai", "policy.price.input=2", "policy.price.output=10", "finetune=hosted", "grow.samples=4"
    )
    grown = rows["iteration 1: grow"]
    assert grown.usd == pytest.approx((180 * 300 * 2 + 180 * 4 * 60 * 10) / 1e6)


def test_what_the_maker_answers_has_the_price_of_the_maker(tmp_path: Path) -> None:
    given = ["experiment=tool_maker", "policy=scripted", "task.maker=openai", "task.maker.price={input:2.0,output:8.0}"]
    paid = {row.stage for row in forecast(compose(given), RunFolder(tmp_path)) if row.usd}
    assert paid == {"iteration 0: tools", *(f"iteration 0: evaluate maker_{way}" for way in ("alone", "with_tool"))}


def test_tools_take_every_try_of_a_function_and_of_its_calls_once_in_a_run(tmp_path: Path) -> None:
    two = ["task.maker_tries=4", "task.families=[word_sorting,remainders]"]
    given = ["experiment=tool_user", "task.maker=openai", *two]
    folder, price = RunFolder(tmp_path), "task.maker.price={input:2.0,output:8.0}"
    tools = Forecast("iteration 0: tools", 16, 16 * 825, 16 * 105, None, pytest.approx(16 * (825 * 2 + 105 * 8) / 1e6))
    assert [row for row in forecast(compose([*given, price]), folder) if "tools" in row.stage] == [tools]
    write_summary(folder.stage(0, "evaluate", "user_alone"), {})
    assert next(forecast(compose([*given, price]), folder)) == tools
    write_summary(folder.stage(0, "evaluate", "user_with_tool"), {})
    assert "iteration 0: tools" not in by_stage(tmp_path, *given)
    alone = ["experiment=tool_user", "iteration=0", "~evaluate.benchmarks.user_with_tool", "task.maker=openai"]
    assert [row.stage for row in forecast(compose(alone), RunFolder(tmp_path / "alone"))] == [
        "iteration 0: evaluate user_alone"
    ]


def test_a_benchmark_that_asks_for_the_tools_takes_no_calls_beside_their_making(tmp_path: Path) -> None:
    rows = {row.stage: row.calls for row in forecast(compose(["experiment=tool_maker"]), RunFolder(tmp_path))}
    assert (rows["iteration 0: tools"], rows["iteration 0: evaluate making"]) == (6 * 2 * 3, 0)


def test_the_tools_of_a_user_s_own_families_are_made_too(tmp_path: Path) -> None:
    write_jsonl(
        tmp_path / "solved.jsonl",
        *({"kind": "tips", "question": f"A tip of {i}% of 40 euros?", "answers": [str(0.4 * i)]} for i in range(6)),
    )
    write_jsonl(tmp_path / "own.jsonl", {"id": "1", "question": "A tip of 7% of 40 euros?", "answers": ["2.8"]})
    questions = ["+questions@evaluate.benchmarks.own=file", f"evaluate.benchmarks.own.path={tmp_path / 'own.jsonl'}"]
    solved = ["task.dispatch=true", f"task.solved={tmp_path / 'solved.jsonl'}", "task.maker=openai"]
    s = compose(["experiment=tool_maker", *solved, *questions])
    maker, sets = s.task.models()["task.maker"], s.evaluate.benchmarks
    asked = (["own"], ["user_with_tool"], ["user_alone", "maker_alone"])
    assert [s.task.making_of_tools([sets[name] for name in names]) for names in asked] == [
        (maker, 1 * 6), (maker, 7 * 6), None,
    ]  # fmt: skip


def test_a_scripted_policy_and_the_dry_run_trainer_take_no_time(tmp_path: Path) -> None:
    rows = stages(tmp_path, "policy=scripted", "finetune=dry_run")
    assert {(row.minutes, row.usd) for row in rows} == {(0.0, 0.0)}


def test_the_questions_of_a_user_s_file_are_counted(tmp_path: Path) -> None:
    rows = [json.dumps({"id": str(i), "question": f"Who {i}?", "answers": ["A"]}) for i in range(7)]
    (tmp_path / "questions.jsonl").write_text("\n".join(rows) + "\n\n")
    (tmp_path / "corpus.jsonl").write_text('{"id": "p", "title": "A", "text": "B"}\n')
    found = by_stage(tmp_path, "experiment=local_corpus", f"data={tmp_path}", "grow.questions.sample=3")
    assert (
        found["iteration 1: evaluate local"].calls
        == 7 * 9 * compose(["experiment=local_corpus", f"data={tmp_path}"]).evaluate.repeats
    )
    assert found["iteration 1: grow"].calls == 3 * 9


def test_stages_reused_from_another_run_are_left_out(tmp_path: Path) -> None:
    source, mine = RunFolder(tmp_path / "source"), ["iteration=1", "run=mine", "grow.reuse=source"]
    lock_settings(source.root, locked_settings(compose([*SMALL, "iteration=1", "run=source"])), {})
    assert stages(tmp_path / "mine", *mine) == stages(tmp_path / "mine", "iteration=1", "run=mine")
    for k, *stage in ((0, "finetune"), (0, "evaluate", "world"), (1, "grow"), (1, "finetune")):
        write_summary(source.stage(k, *stage), {"calls": 0})
    at_random = list(by_stage(tmp_path / "mine", *mine, "improve.selector=random"))
    assert at_random == ["iteration 1: finetune", "iteration 1: evaluate world"]
    more_samples = list(by_stage(tmp_path / "mine", *mine, "grow.samples=16"))
    assert more_samples == ["iteration 1: grow", *at_random]
    slower = list(by_stage(tmp_path / "mine", *mine, "finetune.batch_size=8", "demonstrations.batch_size=2"))
    assert slower == at_random
    assert len(stages(tmp_path / "mine", *mine, "agent.self_checks=false")) == 5  # which the run itself would refuse


def test_a_user_s_own_texts_are_as_long_as_they_are(tmp_path: Path) -> None:
    for split, mark in (("train", "x"), ("validation", "y")):
        texts = (f"{i:02}{mark}" + ("o" * 347 if i % 2 else "猫" * 100) for i in range(20))
        rows = ({"id": f"{split}-{i}", "text": text, "label": "AB"[i % 2] * 7} for i, text in enumerate(texts))
        write_jsonl(tmp_path / "data" / f"{split}.jsonl", *rows)
    own = ["experiment=classify", f"data={tmp_path / 'data'}", "demonstrations.questions.n=20"]
    settings = compose([*own, "evaluate.benchmarks.validation.n=20"])
    (zero, few, trained, answered) = forecast(settings, RunFolder(tmp_path / "run"))
    assert [one.stage for one in (zero, few)] == ["baseline zero_shot: validation", "baseline few_shot: validation"]
    assert few.prompt_tokens > zero.prompt_tokens + 20 * 7 * 100
    assert zero.prompt_tokens > answered.prompt_tokens
    read, written = (350 / 3.5 + 3 / 3.5 + 300 / 2) / 2 + 8, 7 / 3.5 + 8
    assert trained.prompt_tokens == round(20 * 5 * (read + written))
    assert (answered.prompt_tokens, answered.completion_tokens) == (round(20 * read), round(20 * written))


def test_the_texts_of_a_teacher_are_written_judged_and_trained_on(tmp_path: Path) -> None:
    for split, mark in (("train", "x"), ("validation", "y")):
        rows = ({"id": f"{split}{i}", "text": f"{i:02}{mark}" * 100, "label": "AB"[i % 2]} for i in range(20))
        write_jsonl(tmp_path / "data" / f"{split}.jsonl", *rows)
    given = [
        "experiment=synthetic",
        "synthetic.n=40",
        "synthetic.spare=0.5",
        "task.baselines=[]",
        "demonstrations.questions.n=20",
    ]
    models = [
        "llm@teacher=openai",
        "llm@reward_model=openai",
        "evaluate.benchmarks.validation.n=20",
        f"data={tmp_path / 'data'}",
    ]
    given += [f"{role}.price={{input:1.0,output:2.0}}" for role in ("teacher", "reward_model")]
    written, judged, trained, _ = forecast(compose([*given, *models]), RunFolder(tmp_path / "run"))
    assert (written.stage, written.calls) == ("iteration 0: synthetic texts", 60)
    assert (judged.stage, judged.calls) == ("iteration 0: synthetic texts, verdicts", 60)
    assert written.usd is not None and written.usd > 0
    assert judged.usd is not None and judged.usd > 0
    assert trained.prompt_tokens == round(40 * 5 * (300 / 3.5 + 8 + 1 / 3.5 + 8))


def test_a_share_of_the_trajectories_gives_that_share_of_the_rows(tmp_path: Path) -> None:
    whole, half = (
        by_stage(tmp_path, "iteration=1", "finetune.mix_demonstrations=false", *more)["iteration 1: finetune"]
        for more in ([], ["improve.likeliest=0.5"])
    )
    assert whole.prompt_tokens is not None and half.prompt_tokens is not None
    assert abs(half.prompt_tokens / whole.prompt_tokens - 0.5) < 0.01


def test_the_forecast_goes_on_with_each_student_which_takes_the_trajectories_of_its_teacher(tmp_path: Path) -> None:
    fixed = ["iteration=1", "speed.prefill=450", "speed.decode=100", "speed.train=50"]
    alone = stages(tmp_path / "default", *fixed)
    both = stages(tmp_path / "default", *fixed, "students=[base/1B,{model:base/3B,samples:2}]")
    assert both[: len(alone)] == alone
    taught = {row.stage: row for row in both[len(alone) :]}
    kept = [row for row in alone if "grow" not in row.stage and "improve" not in row.stage]
    assert list(taught) == [f"{name}: {row.stage}" for name in ("1B", "3B") for row in kept]
    for row in kept:
        assert replace(taught[f"1B: {row.stage}"], stage=row.stage) == row
    evaluated = "iteration 1: evaluate world"
    assert taught[f"3B: {evaluated}"].completion_tokens == 2 * taught[f"1B: {evaluated}"].completion_tokens
    assert all(row.minutes is not None for row in both)
    write_summary(RunFolder(tmp_path / "default_1B").stage(0, "finetune"), {})
    left = stages(tmp_path / "default", *fixed, "students=[base/1B]")[len(alone) :]
    assert [row.stage for row in left] == [f"1B: {row.stage}" for row in kept[1:]]


def test_a_student_of_a_provider_is_forecast_at_its_own_price(tmp_path: Path) -> None:
    given = ["policy=openai", "policy.price={input:9,output:9}", "start=prompted", "finetune=hosted", "iteration=0"]
    rows = by_stage(tmp_path / "r", *given, "students=[small,{model:tiny,price:{input:1,output:1}}]")
    evaluated = "iteration 0: evaluate world"
    paid = rows[evaluated].usd
    assert paid is not None and rows[f"small: {evaluated}"].usd is None
    assert rows[f"tiny: {evaluated}"].usd == pytest.approx(paid / 9)
