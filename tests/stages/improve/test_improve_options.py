"""Improve with a reward model that scores options: what its records keep, and what is asked again."""

import asyncio

import pytest

from rest_react.errors import OutsideFault, StageIncomplete
from rest_react.records import OptionRanking, Ranking, Step, Trajectory, Usage
from rest_react.selection.reward_model import RewardModel
from rest_react.selection.trained_judge import TrainedJudge
from rest_react.stages.improve.improve import EXAMPLES, RANKINGS, improve
from rest_react.stages.improve.trainable_steps import Rules
from rest_react.storage.jsonl import read_lines, replace_lines
from rest_react.storage.summaries import read_summary
from rest_react.tasks.search_qa.actions import Search
from rest_react.tasks.search_qa.scripted import RecordedLLM
from rest_react.tasks.search_qa.task import SearchQA
from tests.clients import FREE
from tests.stages.improve.test_improve import candidate

SCORES = {"A": -0.5, "B": -1.5}


def decide(state: str) -> Step:
    return Step("decide", state, (candidate(Search("Ada", "x")), candidate(Search("Bob", "x"), 2.0)), 0)


def run(folder, replies, **rules) -> tuple[list[OptionRanking], RecordedLLM]:
    steps = (decide("state one"), decide("state two"))
    replace_lines(folder / "t.jsonl", [Trajectory("q.0", "q", "Q?", "finished", None, steps, "d", "a", Usage())])
    llm = RecordedLLM(replies)
    model = RewardModel(
        llm, "rank {inputs} {outputs}", "good {inputs} {output}", 64, best_option="best {inputs} {outputs}\nBEST:"
    )
    asyncio.run(
        improve(
            SearchQA(), folder / "t.jsonl", folder / "improve", rules=Rules(**({"selector": "reward_model"} | rules)),
            reward_model=model, seed=0, in_flight=1, prices=FREE,
        )
    )  # fmt: skip
    return list(read_lines(folder / "improve" / RANKINGS, OptionRanking)), llm


def test_a_ranking_keeps_letters_and_scores_and_equal_scores_are_a_fallback(tmp_path) -> None:
    # The requests of the first step prefer A: nothing is left. Those of the second prefer one candidate.
    replies = {"best state one": [SCORES], "best state two": [SCORES, {"A": -1.5, "B": -0.5}]}
    (tie, decided), _ = run(tmp_path, replies)
    assert (tie.status, tie.order, tie.best, tie.written) == ("fallback", (), 0, False)
    assert sorted(tie.letters) == ["AB", "BA"]
    best = decided.letters[0].index("A")
    assert (decided.status, decided.best, decided.order) == ("ranked", best, (best, 1 - best))
    assert decided.logprobs == ((-0.5, -1.5) if best == 0 else (-1.5, -0.5),) * 2
    summary = read_summary(tmp_path / "improve") or {}
    assert (summary["ranked"], summary["fallback"], summary["written"], summary["floored_options"]) == (1, 1, 0, 0)


def test_of_candidates_with_the_best_score_the_rollout_s_choice_is_the_target(tmp_path) -> None:
    searches = tuple(candidate(Search(name, "x")) for name in ("Ada", "Bob", "Cat"))
    step = Step("decide", "a state", searches, 1)
    replace_lines(tmp_path / "t.jsonl", [Trajectory("q.0", "q", "Q?", "finished", None, (step,), "d", "a", Usage())])
    scores = {name: {" yes": yes, " no": -1.0} for name, yes in (("Ada", -0.5), ("Bob", -0.5), ("Cat", -3.0))}
    judge = TrainedJudge(RecordedLLM({f'query="{name}"': [given] for name, given in scores.items()}))
    asyncio.run(
        improve(
            SearchQA(), tmp_path / "t.jsonl", tmp_path / "improve", rules=Rules("reward_model"), reward_model=judge,
            seed=0, in_flight=1, prices=FREE,
        )
    )  # fmt: skip
    (ranking,) = read_lines(tmp_path / "improve" / RANKINGS, OptionRanking)
    assert (ranking.best, ranking.order, ranking.logprobs) == (1, (1, 0, 2), ((0.5, 0.5, -2.0),))


def test_where_the_model_gives_no_scores_the_reply_is_written_and_the_record_says_so(tmp_path, capsys) -> None:
    replies = {"best": [["none"]], "rank": [["BEST: 1\nRANKING: 1, 2"]], "good": [["GOOD: no"]]}
    rankings, _ = run(tmp_path, replies, keep="judged_good")
    assert [(one.status, one.written, one.logprobs, one.good) for one in rankings] == [("ranked", True, (), False)] * 2
    assert not list(read_lines(tmp_path / "improve" / EXAMPLES, Ranking))
    assert "2 steps have written replies, although improve.reward=options" in capsys.readouterr().err


def test_a_resumed_stage_asks_failed_steps_again_and_keeps_the_scores_of_the_others(tmp_path) -> None:
    outage = {"best state one": [SCORES, {"A": -1.5, "B": -0.5}], "best state two": [OutsideFault("HTTP 503")]}
    with pytest.raises(StageIncomplete):
        run(tmp_path, outage)
    before = list(read_lines(tmp_path / "improve" / RANKINGS, OptionRanking))
    assert [one.status for one in before] == ["ranked", "errored"]
    (first, second), llm = run(tmp_path, {"best state two": [SCORES, {"A": -1.5, "B": -0.5}]})
    assert (first, second.status, len(llm.asked)) == (before[0], "ranked", 2)
