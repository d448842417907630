"""Question sets without a question are refused before the run starts."""

from pathlib import Path

import pytest

from rest_react.build import Parts
from rest_react.config.compose import compose
from rest_react.errors import ConfigError
from rest_react.loop import Loop
from rest_react.storage.run_folder import RunFolder
from tests.questions.sets import write_jsonl


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (["world.evaluation=0"], ["evaluate.benchmarks.world"]),
        (["world.evaluation=0", "world.train=0"], ["grow.questions", "evaluate.benchmarks.world"]),
        (["world.evaluation=0", "world.train=0", "iteration=0"], ["evaluate.benchmarks.world"]),
    ],
    ids=str,
)
def test_grow_and_every_benchmark_need_a_question(overrides: list[str], named: list[str], tmp_path: Path) -> None:
    settings = compose(["experiment=smoke", "iteration=1", f"output={tmp_path}", *overrides])
    with pytest.raises(ConfigError) as told:
        Loop(settings, Parts(settings, RunFolder(tmp_path / "mine")))
    assert [problem.partition(":")[0] for problem in told.value.problems] == named
    assert "~questions@evaluate.benchmarks.world" in told.value.problems[-1]


def test_a_benchmark_that_shares_questions_with_grow_may_not_choose_the_policy(tmp_path: Path) -> None:
    """Also where `grow.allow_overlap` permits the overlap: the answers to Grow's questions would reach the loop."""
    shared = ["experiment=smoke", "grow.questions.split=evaluation", "grow.allow_overlap=[world]", f"output={tmp_path}"]
    settings = compose(shared)
    Loop(settings, Parts(settings, RunFolder(tmp_path / "mine")))
    chosen = compose([*shared, "finetune=lora", "finetune.snapshots=4", "evaluate.choose_by=world"])
    with pytest.raises(
        ConfigError, match=r"evaluate\.choose_by: \d+ of \d+ questions of grow\.questions are in world, whose"
    ):
        Loop(chosen, Parts(chosen, RunFolder(tmp_path / "mine")))


def test_two_questions_of_grow_with_one_id_are_refused(tmp_path: Path) -> None:
    given = ["experiment=completion_smoke", "policy=tiny", "iteration=1", "run=x", "+questions@grow.also.x=file"]
    for name, where, id_ in (("mine", "grow.questions", "x-1"), ("more", "grow.also.x", "1")):
        path = write_jsonl(tmp_path / f"{name}.jsonl", {"id": id_, "question": f"A text, {name}."})
        given += [f"questions@{where}=file"] * (name == "mine") + [f"{where}.path={path}"]
    sets = Parts(compose(given), RunFolder(tmp_path / "run")).question_sets
    with pytest.raises(ConfigError, match=r"the id x-1 is that of two questions.*rename the set"):
        sets.grown()


def test_two_sets_of_one_corpus_have_each_passage_once_and_an_id_has_one_text(tmp_path: Path) -> None:
    passages = [{"id": f"p{i}", "title": f"T{i}", "text": f"Text {i}."} for i in range(3)]
    corpus = write_jsonl(tmp_path / "corpus.jsonl", *passages)
    other = write_jsonl(tmp_path / "other.jsonl", passages[0] | {"text": "Another text."})
    given = ["policy=tiny", "iteration=1", "run=x", "questions@grow.questions=file", "+questions@grow.also.more=file"]
    given += ["agent.select=perplexity", "improve.keep=all", "improve.selector=perplexity"]
    for name, where in (("mine", "grow.questions"), ("more", "grow.also.more")):
        path = write_jsonl(tmp_path / f"{name}.jsonl", {"id": name, "question": f"Who is {name}?"})
        given += [f"{where}.path={path}", f"{where}.corpus={corpus}"]
    sets = Parts(compose(given), RunFolder(tmp_path / "run")).question_sets
    assert [one.id for one in sets.grown().passages or ()] == ["p0", "p1", "p2"]
    sets = Parts(compose([*given, f"grow.also.more.corpus={other}"]), RunFolder(tmp_path / "run")).question_sets
    with pytest.raises(ConfigError, match="the passage 'p0' has another text in another corpus"):
        sets.grown()
