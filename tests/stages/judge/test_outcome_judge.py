"""The judge of answers: its folds, its training rows, what is held out, and its accuracy."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from rest_react.errors import UsageError
from rest_react.judges.grader import RuleGrader, rule_verdict
from rest_react.records import Example, JudgedOutcome, ModelRef, OptionScores, Prompt, Trajectory
from rest_react.search.bm25 import Bm25Search
from rest_react.stages.judge.held_out import HELD_OUT, held_out_questions
from rest_react.stages.judge.outcome_judge import deal, make_outcome_judge
from rest_react.stages.rollouts import TRAJECTORIES
from rest_react.storage.jsonl import read_lines
from rest_react.storage.summaries import read_summary
from rest_react.tasks.protocol import Policy
from rest_react.tasks.search_qa.agent import SearchAgent
from rest_react.tasks.search_qa.scripted import ScriptedLLM
from rest_react.tasks.search_qa.task import SearchQA
from rest_react.tasks.search_qa.world import build_world
from tests.clients import FREE, Killed

WORLD = build_world(3, passages=200, demonstrations=6, train=2, evaluation=2)
ASKED = WORLD.demonstrations
BY_ID = {one.question.id: one for one in ASKED}
EXAMPLES = [Example(f"{id_}.0.0", f"{id_}.0", 0, "decide", "state", "action", "perplexity") for id_ in BY_ID]
UNTUNED, BASE = ModelRef("tiny", "base", tuned=False), ModelRef("iter_0/finetune/model", "local", tuned=True)


class Trainer:
    """Keeps what it was given."""

    def __init__(self, name: str, trained: dict[str, tuple[ModelRef, list[Example]]]) -> None:
        self.name, self.trained = name, trained

    async def train(self, examples: Sequence[Example], base: ModelRef, folder: Path, seed: int) -> ModelRef:
        self.trained[self.name] = (base, list(examples))
        return ModelRef(self.name, "local", tuned=True)


class Judge:
    """Says yes to answers of one claim alone."""

    async def score(self, prompt: Prompt, options: Sequence[str]) -> OptionScores:
        assert prompt.state.startswith("Question: ") and prompt.state.endswith("\n# good:")
        good = prompt.state.count("[link_id=") == 1
        return OptionScores((-0.1, -2.4) if good else (-2.4, -0.1), (), 10, 4)

    async def aclose(self) -> None:
        pass


def make(folder: Path, questions=ASKED, wrong: float = 0.5, folds: int = 3, killed_at: str = ""):
    """What was trained, by its name, and the summary."""
    trained: dict[str, tuple[ModelRef, list[Example]]] = {}
    llm = ScriptedLLM(WORLD.plans, seed=1, right=1 - wrong, wrong=wrong, unparsable=0, empty=0)

    def open_policy(model: ModelRef) -> Policy:
        if model.name == killed_at:
            raise Killed
        trained[f"answering {model.name}"] = (model, [])
        return Policy(llm, 1, 1.0, 256, "perplexity", tuned=True)

    asyncio.run(
        make_outcome_judge(
            SearchQA(SearchAgent(Bm25Search(WORLD.passages))), questions, EXAMPLES, folder,
            folds=folds, repeats=2, held_out=0.34, grader=RuleGrader(), trainers=lambda name: Trainer(name, trained),
            untuned=UNTUNED, base=BASE, open_policy=open_policy, open_judge=lambda _: Judge(), seed=7, in_flight=1,
            prices=FREE,
        )
    )  # fmt: skip
    return trained, read_summary(folder) or {}


def answered(folder: Path) -> list[Trajectory]:
    return [
        one for path in sorted(folder.glob("fold_*/answers")) for one in read_lines(path / TRAJECTORIES, Trajectory)
    ]


def test_the_questions_of_a_fold_are_answered_by_a_policy_that_never_saw_their_demonstrations(tmp_path) -> None:
    trained, _ = make(tmp_path)
    assert list(trained) == [
        "fold_0", "answering fold_0", "fold_1", "answering fold_1", "fold_2", "answering fold_2", "weights",
    ]  # fmt: skip
    for name in ("fold_0", "fold_1", "fold_2"):
        base, rows = trained[name]
        asked = {one.question_id for one in read_lines(tmp_path / name / "answers" / TRAJECTORIES, Trajectory)}
        shown = {row.trajectory_id.rpartition(".")[0] for row in rows}
        assert (base, asked & shown, asked | shown) == (UNTUNED, set(), set(BY_ID))
    assert sorted(one.id for one in answered(tmp_path)) == sorted(f"{id_}.{n}" for id_ in BY_ID for n in (0, 1))


def test_the_judge_learns_yes_for_right_answers_and_no_for_wrong_ones_equally_often(tmp_path) -> None:
    trained, summary = make(tmp_path)
    base, rows = trained["weights"]
    held_out = held_out_questions(set(BY_ID), 0.34, 7)
    told = {
        one.id: " yes" if rule_verdict(BY_ID[one.question_id], one.answer).verdict == "correct" else " no"
        for one in answered(tmp_path)
        if one.outcome == "finished" and one.question_id not in held_out
    }
    assert base == BASE
    assert {(row.trajectory_id, row.completion) for row in rows} == set(told.items())
    assert [row.completion for row in rows].count(" yes") * 2 == len(rows) == summary["training_rows"]
    assert len({row.id for row in rows}) == len(rows)
    asked = {one.id: one.question for one in answered(tmp_path)}
    assert all(row.prompt.startswith(f"Question: {asked[row.trajectory_id]}\n") for row in rows)


def test_the_summary_has_the_accuracy_on_held_out_questions(tmp_path) -> None:
    _, summary = make(tmp_path)
    held = list(read_lines(tmp_path / HELD_OUT, JudgedOutcome))
    assert {one.question_id for one in held} == held_out_questions(set(BY_ID), 0.34, 7)
    right = sum((one.log_odds > 0) == one.right for one in held) / len(held)
    accuracy = summary["accuracy"]
    assert (accuracy["mean"], accuracy["trajectories"], accuracy["questions"]) == (round(right, 4), len(held), 2)
    assert (summary["base"], summary["model"], summary["cost_usd"]) == (BASE.name, "weights", 0.0)
    assert 0 < summary["right"] < summary["trajectories"] <= 12


def test_a_killed_stage_goes_on_with_the_fold_that_it_was_at_and_a_complete_one_is_left_alone(tmp_path) -> None:
    with pytest.raises(Killed):
        make(tmp_path / "killed", killed_at="fold_1")
    trained, summary = make(tmp_path / "killed")
    # the model of fold_1 was trained before
    assert list(trained) == ["answering fold_0", "answering fold_1", "fold_2", "answering fold_2", "weights"]
    assert summary["seconds"] is None
    whole, other = make(tmp_path / "whole")
    assert trained["weights"] == whole["weights"]
    assert {**summary, "seconds": 0} == {**other, "seconds": 0}
    assert make(tmp_path / "whole") == ({}, other)


@pytest.mark.parametrize(("wrong", "told"), [(0.0, "are right"), (1.0, "are wrong")])
def test_answers_of_one_kind_alone_teach_nothing(wrong: float, told: str, tmp_path) -> None:
    with pytest.raises(UsageError, match=rf"scored answers to demonstrated questions that are not held out {told}, so"):
        make(tmp_path, wrong=wrong)


def test_fewer_questions_than_folds_are_refused(tmp_path) -> None:
    with pytest.raises(
        UsageError, match=r"2 demonstrated questions are too few for 3 folds; lower reward_model\.folds"
    ):
        make(tmp_path, questions=ASKED[:2])
    assert not any(tmp_path.iterdir())


def test_folds_are_the_same_for_the_same_seed_and_share_no_question() -> None:
    names = {f"q{n}" for n in range(11)}
    dealt = deal(names, 4, 7, Path("judge"))
    assert dealt == deal(sorted(names), 4, 7, Path("judge")) != deal(names, 4, 8, Path("judge"))
    assert [len(fold) for fold in dealt.values()] == [3, 3, 3, 2]
    assert frozenset().union(*dealt.values()) == names
