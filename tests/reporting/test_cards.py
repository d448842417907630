"""Cards in the Hub's format, read by the Hub's own reader."""

import json
from dataclasses import replace
from pathlib import Path

from huggingface_hub import ModelCard
from huggingface_hub.repocard import metadata_load

from rest_react.records import Example
from rest_react.report import write_report
from rest_react.reporting.cards import write_cards
from rest_react.storage.settings_file import read_settings
from tests.runs import HOSTILE, made_with, result, write_evaluation, write_lines


def front(path: Path) -> dict:
    """What the Hub reads of a card, by the Hub's own reader."""
    return metadata_load(path)


def carded(folder: Path, model: str, iteration: int = 1, reuse: str | None = None, through: int = 1) -> Path:
    """One iteration that was trained, with its rows."""
    write_evaluation(folder, iteration, [result("a"), result("b", verdict="incorrect")])
    stage = folder / f"iter_{iteration}"
    row = Example("t.0.0", "t.0", 0, "decide", "state", "action", "perplexity")
    write_lines(stage / "improve" / "examples.jsonl", [row, replace(row, id="t.0.1", step_index=1)])
    for name, facts in {
        "grow": {"trajectories": 1234},
        "improve": {"examples": 2, "dropped_steps": 7},
        "finetune": {"examples": 9, "model": "iter_1/finetune/model"},
    }.items():
        (stage / name).mkdir(exist_ok=True)
        (stage / name / "summary.json").write_text(json.dumps({"schema": 1, "seconds": 1.0, "files": {}, **facts}))
    model_file = {"name": f"iter_{iteration}/finetune/model", "where": "local", "tuned": True}
    (stage / "finetune" / "model.json").write_text(json.dumps(model_file))
    settings = {
        "policy.model": model,
        "improve.selector": "perplexity",
        "grow.samples": 4,
        "world.demonstrations": 24,
        "improve.keep_trajectories": "corroborated",
        "learning_seed": 7,
        "reward_model.kind": "same",
        "finetune.epochs": 3,
    }
    if reuse:
        settings |= {"grow.reuse": reuse, "grow.reuse_through": through}
    made_with(folder, settings)
    return stage


def test_a_model_card_has_the_base_model_and_the_accuracy(tmp_path):
    stage = carded(tmp_path / "demo", "smollm2-135m-instruct")
    (stage / "finetune" / "model").mkdir()
    write_report(tmp_path / "demo", smoke=False)
    card = stage / "finetune" / "model" / "README.md"
    told = front(card)
    assert (told["base_model"], told["license"]) == ("HuggingFaceTB/SmolLM2-135M-Instruct", "apache-2.0")
    (results,) = ModelCard.load(card).data.eval_results
    assert (results.dataset_name, results.metric_type, results.metric_value) == ("world", "accuracy", 0.5)
    text = card.read_text(encoding="utf-8")
    assert "| training rows | 9 |" in text
    assert "| 1 | world | 50.0% |" in text
    assert "after iteration 1 of self-improvement" in text


def test_the_card_of_demonstrations_has_no_settings_of_grow(tmp_path):
    card = carded(tmp_path / "demo", "org/model", iteration=0) / "improve" / "README.md"
    write_report(tmp_path / "demo", smoke=False)
    text = card.read_text(encoding="utf-8")
    assert "| world.demonstrations | 24 |" in text
    assert "| policy.model | org/model |" in text
    assert "grow." not in text
    assert "improve." not in text


def test_the_card_of_reused_rows_names_their_run(tmp_path):
    card = carded(tmp_path / "demo", "org/model", reuse="first") / "improve" / "README.md"
    write_report(tmp_path / "demo", smoke=False)
    text = card.read_text(encoding="utf-8")
    assert "| reused from | first |" in text
    assert "written by the agent of another run in iteration 1" in text
    model = (card.parents[1] / "finetune" / "README.md").read_text(encoding="utf-8")
    others = ("grow.samples", "improve.selector", "reward_model.kind", "learning_seed", "finetune.epochs")
    assert [name for name in others if name in (text + model).replace("\\", "")] == []


def test_the_card_of_a_student_names_its_teacher(tmp_path):
    carded(tmp_path / "teacher", "org/large")
    stage = carded(tmp_path / "student", "org/small", reuse="teacher", through=0)
    write_report(tmp_path / "student", smoke=False)
    rows, model = ((stage / part / "README.md").read_text(encoding="utf-8") for part in ("improve", "finetune"))
    assert "| reused from | teacher |" in rows
    assert "written by the agent of another run" in rows
    assert "org/small" not in rows
    assert "org/small" in model
    assert "| learning_seed | 7 |" in model.replace("\\", "") and "| finetune.epochs | 3 |" in model
    own = carded(tmp_path / "own", "org/large", reuse="teacher", through=0) / "improve" / "README.md"
    write_report(tmp_path / "own", smoke=False)
    assert "written by the agent itself in iteration 1" in own.read_text(encoding="utf-8")


def test_a_data_card_counts_its_rows(tmp_path):
    stage = carded(tmp_path / "demo", "org/model")
    write_report(tmp_path / "demo", smoke=False)
    card = stage / "improve" / "README.md"
    assert front(card)["configs"] == [{"config_name": "default", "data_files": "examples.jsonl"}]
    assert front(card)["size_categories"] == ["n<1K"]
    text = card.read_text(encoding="utf-8")
    assert "| trajectories | 1234 |" in text
    assert "| dropped steps | 7 |" in text
    assert "| decide | 2 |" in text
    assert "| grow.samples | 4 |" in text
    assert {r"| improve.keep\_trajectories | corroborated |", r"| learning\_seed | 7 |"} <= set(text.splitlines())
    assert "world.demonstrations" not in text
    model = front(stage / "finetune" / "README.md")  # no weights here: a hosted model
    assert model["base_model"] == "org/model"
    assert "license" not in model


def test_the_cards_of_another_task_name_it_and_tell_of_no_search(tmp_path: Path) -> None:
    task = {"task.kind": "completion", "task.labels": ["Card"], "search.kind": "bm25", "agent.max_searches": 5}
    for k in (0, 1):
        carded(tmp_path / "demo", "org/model", iteration=k)
    made_with(tmp_path / "demo", {**read_settings(tmp_path / "demo"), **task})
    write_cards(tmp_path / "demo", [], smoke=False, searches=False)
    for k, data, model in (
        (0, "labelled rows, or demonstrations by a script that knows the answers", "after labelled rows or"),
        (1, "written by the model itself in iteration 1", "after iteration 1 of self-improvement"),
    ):
        cards = [tmp_path / f"demo/iter_{k}/{stage}/README.md" for stage in ("improve", "finetune")]
        rows, tuned = (card.read_text(encoding="utf-8") for card in cards)
        assert f"Training rows for a model of the task `completion`, {data}" in rows
        assert f"A model of the task `completion` {model}" in tuned
        told = (rows + tuned).casefold()
        assert [word for word in ("search agent", "search engine", "expert", "bm25", "world.") if word in told] == []
        tags = ["rest-react", "self-improvement"]
        assert [front(card)["tags"] for card in cards] == [[*tags, *["synthetic"] * k], tags]


def test_the_card_of_texts_that_a_teacher_wrote_names_the_teacher(tmp_path: Path) -> None:
    carded(tmp_path / "demo", "org/model", iteration=0)
    made = {"task.kind": "completion", "synthetic.n": 100, "synthetic.judged": True, "teacher.model": "org/large"}
    made_with(tmp_path / "demo", {**read_settings(tmp_path / "demo"), **made})
    write_cards(tmp_path / "demo", [], smoke=False, searches=False)
    card = tmp_path / "demo/iter_0/improve/README.md"
    text = card.read_text(encoding="utf-8")
    assert "texts that org/large wrote for the labels" in text and "labelled rows" not in text
    assert "| synthetic.n | 100 |" in text
    assert front(card)["tags"] == ["rest-react", "self-improvement", "synthetic"]


def test_the_cards_of_targets_chosen_by_gold_say_so_and_claim_no_missing_answer_key(tmp_path):
    stage = carded(tmp_path / "demo_gold", "org/model")
    summary = {"schema": 1, "seconds": 1.0, "selector": "gold", "files": {}}
    (stage / "improve" / "summary.json").write_text(json.dumps(summary))
    write_report(tmp_path / "demo_gold", smoke=False)
    for name in ("improve", "finetune"):
        text = (stage / name / "README.md").read_text(encoding="utf-8")
        assert "gold answers" in text.lower() and "without an" not in text
        assert "improve.selector" not in text


def test_a_base_model_that_is_not_on_the_hub_is_omitted_and_names_are_escaped(tmp_path):
    stage = carded(tmp_path / "demo", HOSTILE)
    write_report(tmp_path / "demo", smoke=True)
    assert "A smoke run" in (stage / "improve" / "README.md").read_text(encoding="utf-8")
    text = (stage / "finetune" / "README.md").read_text(encoding="utf-8")
    assert "<script" not in text
    assert front(stage / "finetune" / "README.md")["model-index"]


def test_an_iteration_that_was_not_trained_has_no_card(tmp_path):
    write_evaluation(tmp_path, 0, [result("a")])
    write_report(tmp_path, smoke=False)
    assert not list(tmp_path.rglob("README.md"))
