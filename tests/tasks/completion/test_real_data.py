"""Real texts: complaints with 7 and 11 classes, Japanese news with 9, and multiple choice answered as lists in JSON."""

import os
from collections import Counter
from pathlib import Path

import pytest

from rest_react.config.compose import compose
from rest_react.questions import read_items
from rest_react.tasks.completion.baselines import tfidf
from rest_react.tasks.completion.formatting import SCORES, formatting_scores, leaf_values
from rest_react.tasks.completion.label import read_label
from rest_react.tasks.completion.settings import CompletionSettings

pytestmark = pytest.mark.skipif(
    "REST_REACT_DATA" not in os.environ, reason="REST_REACT_DATA names no folder of real texts"
)
SETS = {
    "cfpb_complaints_7": (7, {}, 0.67),
    "cfpb_complaints_11": (11, {}, 0.55),
    "livedoor_news_9": (9, {"text": "title + text"}, 0.80),
}


def folder(name: str) -> Path:
    return Path(os.environ["REST_REACT_DATA"]) / name


@pytest.mark.parametrize("name", SETS)
def test_tfidf_on_the_first_rows_has_its_known_accuracy_and_every_label_is_read_as_itself(name: str) -> None:
    classes, fields, known = SETS[name]
    rows = read_items(folder(name) / "train.jsonl", fields)[:100]
    labels = sorted({row.answers[0] for row in rows})
    assert len(labels) == classes
    assert max(Counter(row.answers[0] for row in rows).values()) - 100 // classes <= 1
    assert [read_label(f"Label: **{label.upper()}**.", labels) for label in labels] == labels
    model = tfidf(rows)
    asked = read_items(folder(name) / "validation.jsonl", fields)[:100]
    right = sum(model.predict(item.question.text) == item.answers[0] for item in asked)
    assert right / len(asked) == pytest.approx(known, abs=0.03)


def test_lists_in_json_are_all_right_against_themselves() -> None:
    train, validation = (
        read_items(folder("mmlu_sample") / f"formatting_{split}.jsonl") for split in ("train", "validation")
    )
    values = leaf_values([row.answers[0] for row in train])
    assert values == ["A", "B", "C", "D"]
    assert all(
        formatting_scores(row.answers[0], row.answers[0], values) == dict.fromkeys(SCORES, 1.0) for row in validation
    )


def test_the_experiments_compose_on_real_folders() -> None:
    labelled = compose(["experiment=classify", f"data={folder('cfpb_complaints_11')}", "run=x"])
    assert isinstance(labelled.task, CompletionSettings)
    assert labelled.task.labels is not None
    assert len(labelled.task.labels) == 11
    for experiment in ("alpaca", "[alpaca,data_curve]"):
        lists = compose(
            [f"experiment={experiment}", f"data={folder('mmlu_sample')}", "task.grade=formatting", "run=x",
             "demonstrations.questions.split=formatting_train", "task.baselines=[zero_shot]",
             "evaluate.benchmarks.validation.split=formatting_validation"]
        )  # fmt: skip
        assert isinstance(lists.task, CompletionSettings)
        assert lists.task.labels == ("A", "B", "C", "D")
