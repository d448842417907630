"""Grow: trajectories of unlabelled questions, and what is counted of them; with Improve, nothing depends on a label."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from rest_react.errors import ModelFault, OutsideFault, StageIncomplete
from rest_react.questions import unlabelled
from rest_react.records import Candidate, Fault, LabelledQuestion, Lookup, Question, Step, Trajectory, Usage
from rest_react.search.bm25 import Bm25Search
from rest_react.stages.grow import count, grow
from rest_react.stages.improve.improve import EXAMPLES, RANKINGS, improve
from rest_react.stages.improve.trainable_steps import Rules
from rest_react.stages.rollouts import TRAJECTORIES
from rest_react.storage.jsonl import read_lines, replace_lines
from rest_react.storage.summaries import read_summary
from rest_react.tasks.protocol import Policy
from rest_react.tasks.search_qa.actions import Search, Terminate, render_output
from rest_react.tasks.search_qa.agent import SearchAgent
from rest_react.tasks.search_qa.scripted import RecordedLLM, ScriptedLLM
from rest_react.tasks.search_qa.task import SearchQA
from rest_react.tasks.search_qa.world import build_world
from tests.clients import FREE, Spied, recorded_search

WORLD = build_world(7, passages=300, demonstrations=0, train=6, evaluation=0)
SCRIPTED = ScriptedLLM(WORLD.plans, seed=1, right=0.5, wrong=0.3, unparsable=0.1, empty=0.1)
QUESTIONS = (Question("a", "Alpha?"), Question("b", "Beta?"))


def asked(llm, search=None, samples=4, select="perplexity") -> tuple[SearchQA, Policy]:
    task = SearchQA(SearchAgent(search or recorded_search(), max_searches=4))
    return task, Policy(llm, samples, 0.5, 128, select, tuned=True)


def grown(llm, stage: Path, questions=QUESTIONS, **how) -> None:
    how = {"repeats": 1, "seed": 0, "in_flight": 4, "prices": FREE} | how
    asyncio.run(grow(*asked(llm), questions, stage, **how))


def test_grow_is_complete_when_its_summary_exists(tmp_path) -> None:
    llm = Spied(SCRIPTED)
    questions = unlabelled(WORLD.train)
    how = asked(llm, Bm25Search(WORLD.passages))
    asyncio.run(grow(*how, questions, tmp_path, repeats=2, seed=0, in_flight=4, prices=FREE))
    summary, calls = read_summary(tmp_path), len(llm.prompts)
    assert summary is not None
    assert {key: summary[key] for key in ("schema", "trajectories", "calls")} == {
        "schema": 1, "trajectories": 12, "calls": calls,
    }  # fmt: skip
    asyncio.run(grow(*asked(llm), questions, tmp_path, repeats=9, seed=9, in_flight=4, prices=FREE))
    assert (read_summary(tmp_path), len(llm.prompts)) == (summary, calls)


def test_failed_trajectories_are_kept(tmp_path) -> None:
    grown(RecordedLLM({"Alpha?": [ModelFault("gpt at https://api: refused (policy)")], "Beta?": [["prose"]]}), tmp_path)
    stored = list(read_lines(tmp_path / TRAJECTORIES, Trajectory))
    assert [(t.id, t.outcome, t.fault) for t in stored] == [
        ("a.0", "failed", Fault("model", "gpt at https://api: refused (policy)")),
        (
            "b.0",
            "failed",
            Fault("model", "no usable sample at step 0 (decide): no call of ActionWrapper, Search or Terminate"),
        ),
    ]
    summary = read_summary(tmp_path) or {}
    assert (summary["failed_model"], summary["faults"]) == (2, {"no usable sample": 1, "gpt: refused": 1})


def test_an_outage_leaves_the_stage_incomplete_until_the_next_run(tmp_path) -> None:
    llm = RecordedLLM({"Alpha?": [OutsideFault("llm: HTTP 503"), ModelFault("refused")], "Beta?": [["prose"]]})
    with pytest.raises(
        StageIncomplete, match=r"1 of 2 trajectories failed because of external errors \(last error: llm: HTTP 503"
    ):
        grown(llm, tmp_path)
    assert read_summary(tmp_path) is None
    grown(llm, tmp_path)
    assert (read_summary(tmp_path) or {})["failed_model"] == 2


def test_a_tolerated_outage_is_counted(tmp_path) -> None:
    llm = RecordedLLM({"Alpha?": [OutsideFault("llm: HTTP 503")], "Beta?": [["prose"]]})
    grown(llm, tmp_path, tolerated=0.5)
    summary = read_summary(tmp_path) or {}
    assert (summary["failed_outside"], summary["failed_model"]) == (1, 1)
    assert summary["faults"] == {"llm: HTTP 503": 1, "no usable sample": 1}


def sample(text: str, logprob: float | None = -1.0, problem: str = "") -> Candidate:
    return Candidate(text, 5, logprob, "stop", problem)


def test_the_summary_counts_outcomes_tokens_and_different_samples(tmp_path) -> None:
    search, stop = render_output(Search("q", "t")), render_output(Terminate("t"))
    steps = (
        Step("decide", "s", (sample(search), sample(search)), 0),
        Step("decide", "s", (sample(search, None), sample(stop)), 1),
        Step("decide", "s", (sample("prose", None, "no call"), sample(stop)), 1),
        Step("decide", "s", (), None, forced=True),
    )
    finished = Trajectory("a.0", "a", "?", "finished", None, steps, "d", "a", Usage(3, 100, 20, 2))
    failed = replace(finished, id="b.0", outcome="failed", fault=Fault("model", "gpt: refused (x)"), steps=steps[:1])
    outage = replace(failed, id="c.0", fault=Fault("outside", "llm: HTTP 503"), steps=(), usage=Usage())
    path = tmp_path / TRAJECTORIES
    replace_lines(path, [finished, failed, outage])
    expected = {
        "trajectories": 3, "finished": 1, "failed_model": 1, "failed_outside": 1,
        "faults": {"gpt: refused": 1, "llm: HTTP 503": 1},
        "steps": 4, "calls": 6, "prompt_tokens": 200, "completion_tokens": 40,
        "searches_per_trajectory": 1.3333, "identical_share": 0.5, "unparsable_share": 0.125,
        "supplied_actions": 0,
        "selected_by_majority_for_want_of_logprobs": 1, "selected_by_perplexity_of_whole_samples": 4,
    }  # fmt: skip
    assert count(path, by_perplexity=True) == expected
    assert count(path, by_perplexity=False) == {
        **expected,
        "selected_by_majority_for_want_of_logprobs": 0,
        "selected_by_perplexity_of_whole_samples": 0,
    }


def test_the_counts_of_an_empty_file_are_0_and_shares_of_nothing_are_none(tmp_path) -> None:
    counts = count(tmp_path / TRAJECTORIES, by_perplexity=True)
    assert {name for name, found in counts.items() if found is None} == {
        "searches_per_trajectory", "identical_share", "unparsable_share",
    }  # fmt: skip
    assert set(map(json.dumps, counts.values())) == {"0", "{}", "null"}


def garbled(labelled: LabelledQuestion) -> LabelledQuestion:
    return replace(
        labelled, answers=("garbage",), options=("rubbish",), kind="nonsense", hops=99, passages=("p-none",),
        explanation="a lie", chain=(Lookup("a", "b", "c"),),
    )  # fmt: skip


@pytest.mark.parametrize("selector", ["verified", "perplexity", "majority", "random"])
def test_wrong_gold_answers_do_not_change_the_training_data(tmp_path, selector) -> None:
    async def bring(labelled, folder: Path) -> list[bytes]:
        task, policy = asked(SCRIPTED, Bm25Search(WORLD.passages))
        await grow(task, policy, unlabelled(labelled), folder / "grow", repeats=1, seed=5, in_flight=4, prices=FREE)
        await improve(
            task, folder / "grow" / TRAJECTORIES, folder / "improve", rules=Rules(selector), reward_model=None, seed=6,
            in_flight=4, prices=FREE,
        )  # fmt: skip
        files = (folder / "grow" / TRAJECTORIES, folder / "improve" / RANKINGS, folder / "improve" / EXAMPLES)
        return [path.read_bytes() for path in files]

    true = asyncio.run(bring(WORLD.train, tmp_path / "true"))
    assert asyncio.run(bring([garbled(labelled) for labelled in WORLD.train], tmp_path / "garbled")) == true
    assert all(true)
