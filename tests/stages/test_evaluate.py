"""Evaluate: two verdicts on each trajectory, and whose fault is what."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from rest_react.errors import ModelFault, OutsideFault, StageIncomplete, UsageError
from rest_react.judges.grader import LLMGrader, RuleGrader, rule_verdict
from rest_react.metrics.prices import Price
from rest_react.records import Fault, LabelledQuestion, Question, Result, Trajectory, Verdict
from rest_react.reporting.results.rows import compute_rows
from rest_react.search.bm25 import Bm25Search
from rest_react.stages.evaluate import RESULTS, evaluate, reopen_unscored
from rest_react.stages.rollouts import TRAJECTORIES
from rest_react.storage.jsonl import read_lines
from rest_react.storage.summaries import read_summary
from rest_react.tasks.protocol import Policy
from rest_react.tasks.search_qa.actions import (
    Answer,
    CheckAnswer,
    ReviseAnswer,
    Search,
    Terminate,
    render_output,
)
from rest_react.tasks.search_qa.agent import SearchAgent
from rest_react.tasks.search_qa.scripted import RecordedLLM, ScriptedLLM
from rest_react.tasks.search_qa.task import SearchQA
from rest_react.tasks.search_qa.world import build_world
from tests.clients import FREE, Killed, Spied, recorded_search

VELMAR = LabelledQuestion(Question("a", "Where was Ada Mell born?"), ("Velmar",), kind="bridge", hops=2)
TARN = LabelledQuestion(Question("b", "Where was Ado Mell born?"), ("Tarn",))
BOTH = (VELMAR, TARN)
RIGHT, WRONG = "In Velmar.", "In Tarn."
TRUE, FALSE = ["# It says so.\nCheck_Answer() = True"], ["# It does not.\nCheck_Answer() = False"]
PASSED = CheckAnswer(True, ("fine",))


def policy(draft: str = WRONG, relevance=PASSED, grounding=PASSED) -> RecordedLLM:
    actions = {"decision": Terminate("x"), "answer": Answer("x", draft)}
    actions |= {"relevance check": relevance, "grounding check": grounding}
    return RecordedLLM(
        {
            f"\n# step: {name}\n": [action if isinstance(action, Exception) else [render_output(action)]]
            for name, action in actions.items()
        }
    )


def asked(llm, search=None, samples=1) -> tuple[SearchQA, Policy]:
    task = SearchQA(SearchAgent(search or recorded_search()))
    return task, Policy(llm, samples, 0.5, 128, "perplexity", tuned=True)


def judge(*replies) -> LLMGrader:
    return LLMGrader(RecordedLLM({"# step: verdict": replies}), "header\n", "llm:tiny", max_tokens=64)


def said(verdict: Verdict) -> tuple[str, str]:
    return verdict.verdict, verdict.reason


def run(stage: Path, llm, benchmark=BOTH, grader=None, **how) -> list[Result]:
    how = {"repeats": 1, "seed": 0, "in_flight": 1, "prices": FREE} | how
    task, policy = llm if isinstance(llm, tuple) else asked(llm)
    asyncio.run(evaluate(task, policy, benchmark, grader or RuleGrader(), stage, **how))
    return list(read_lines(stage / RESULTS, Result))


def test_draft_and_final_answer_of_a_trajectory_are_graded(tmp_path) -> None:
    llm = policy(relevance=ReviseAnswer("Velmar", ("No, there.",)))
    (result,) = run(tmp_path, llm, [VELMAR])
    (trajectory,) = read_lines(tmp_path / TRAJECTORIES, Trajectory)
    assert result == Result(
        id="a.0",
        question_id="a",
        kind="bridge",
        hops=2,
        outcome="finished",
        fault=None,
        answer="Velmar",
        draft=WRONG,
        verdict=Verdict("correct", result.verdict.reason),
        verdict_before_checks=Verdict("incorrect", result.verdict_before_checks.reason),
        em=1.0,
        f1=1.0,
        searches=0,
        calls=4,
        tokens=trajectory.usage.prompt_tokens + trajectory.usage.completion_tokens,
        question="Where was Ada Mell born?",
        golds=("Velmar",),
    )
    summary = dict(read_summary(tmp_path) or {})
    assert [held["answers"] for held in summary.pop("latency").values()] == [1]
    assert {key: value for key, value in summary.items() if key != "seconds"} == {
        "schema": 1, "grader": "rule", "questions": 1, "repeats": 1,
        "prompt_tokens": trajectory.usage.prompt_tokens, "completion_tokens": trajectory.usage.completion_tokens,
        "cost_usd": 0.0, "cost_reason": None, "answering_usd": 0.0,
    }  # fmt: skip


def test_the_cost_includes_the_tokens_of_policy_and_grader(tmp_path) -> None:
    prices = {"policy": Price(1.0, 10.0), "grader": Price(100.0, 1000.0)}
    revising = policy(relevance=ReviseAnswer("Velmar", ("No, there.",)))
    (result,) = run(tmp_path / "a", revising, [VELMAR], judge(TRUE, FALSE), prices=prices)
    summary = read_summary(tmp_path / "a") or {}
    graded = [result.verdict, result.verdict_before_checks]
    assert all(verdict.prompt_tokens > 0 and verdict.completion_tokens > 0 for verdict in graded)
    answering = (summary["prompt_tokens"] + 10 * summary["completion_tokens"]) / 1e6
    grading = sum(100 * verdict.prompt_tokens + 1000 * verdict.completion_tokens for verdict in graded) / 1e6
    assert summary["cost_usd"] == pytest.approx(answering + grading)
    assert summary["answering_usd"] == pytest.approx(answering)
    run(tmp_path / "b", policy(RIGHT), [VELMAR], judge(TRUE), prices={**prices, "grader": Price(None, None)})
    unpriced = read_summary(tmp_path / "b") or {}
    assert (unpriced["cost_usd"], unpriced["cost_reason"]) == (None, "grader.price is not set")
    assert unpriced["answering_usd"] > 0


def test_the_seconds_of_an_evaluation_are_known_only_if_one_process_made_all_answers(tmp_path) -> None:
    run(tmp_path / "whole", policy(RIGHT))
    whole = read_summary(tmp_path / "whole") or {}
    assert whole["seconds"] is not None
    with pytest.raises(Killed):
        run(tmp_path / "cut", asked(Spied(policy(RIGHT), killed_after=5)))  # after the first of two answers
    assert len(list(read_lines(tmp_path / "cut" / TRAJECTORIES, Trajectory))) == 1
    run(tmp_path / "cut", policy(RIGHT))
    resumed = read_summary(tmp_path / "cut") or {}
    assert {key: resumed[key] for key in resumed.keys() - {"latency"}} == {
        key: None if key == "seconds" else whole[key] for key in whole.keys() - {"latency"}
    }


def test_a_result_has_the_verdict_of_the_rule_grader_beside_that_of_an_llm_grader(tmp_path) -> None:
    (result,) = run(tmp_path / "judged", policy(RIGHT), [VELMAR], judge(FALSE))
    assert said(result.verdict)[0] == "incorrect"
    assert result.rule_verdict == rule_verdict(VELMAR, result.answer)
    assert result.rule_verdict.verdict == "correct"
    (alone,) = run(tmp_path / "rule", policy(RIGHT), [VELMAR])
    assert alone.rule_verdict is None


def test_a_result_of_an_older_version_has_no_rule_verdict(tmp_path) -> None:
    run(tmp_path, policy(RIGHT), [VELMAR], judge(TRUE))
    line = json.loads((tmp_path / RESULTS).read_text(encoding="utf-8"))
    del line["rule_verdict"]
    (tmp_path / RESULTS).write_text(json.dumps(line) + "\n", encoding="utf-8")
    (result,) = read_lines(tmp_path / RESULTS, Result)
    assert result.rule_verdict is None


def test_an_answer_that_equals_the_draft_is_graded_once(tmp_path) -> None:
    grader = judge(TRUE, FALSE)
    (result,) = run(tmp_path, policy(RIGHT), [VELMAR], grader)
    assert result.verdict == result.verdict_before_checks
    assert said(result.verdict) == ("correct", "It says so.")
    assert len(grader.llm.asked) == 1


@pytest.mark.parametrize(("broken", "draft"), [("decision", "incorrect"), ("grounding check", "correct")])
def test_a_trajectory_that_failed_is_incorrect_and_its_draft_is_graded_as_usual(tmp_path, broken, draft) -> None:
    llm = Spied(policy(RIGHT), shut={f"# step: {broken}": ModelFault("refused")})
    (result,) = run(tmp_path / "iter_0" / "evaluate" / "world", llm, [VELMAR])
    wrong = Verdict("incorrect", "the model's fault: refused")
    assert (result.outcome, result.fault) == ("failed", Fault("model", "refused"))
    assert (result.verdict, result.em, result.f1) == (wrong, 0.0, 0.0)
    assert result.verdict_before_checks.verdict == draft
    (row,) = compute_rows(tmp_path)
    right = int(draft == "correct")
    assert (row.before_checks.mean, row.accuracy.mean, row.checks.broken) == (right, 0.0, right)


def test_an_outage_of_the_policy_is_retried_or_unscored_if_tolerated(tmp_path) -> None:
    llm = Spied(policy(RIGHT), shut={"Ada Mell": OutsideFault("HTTP 503")})
    with pytest.raises(StageIncomplete, match="1 of 2 trajectories failed because of external errors"):
        run(tmp_path / "a", llm)
    first, second = run(tmp_path / "b", llm, tolerated=0.5)
    lost = Verdict("unscored", "outside fault: HTTP 503", owed=True)
    assert (first.verdict, first.verdict_before_checks, first.fault) == (lost, lost, Fault("outside", "HTTP 503"))
    assert second.verdict.verdict == "incorrect"
    again, _ = run(tmp_path / "a", policy(RIGHT))
    assert again.verdict.verdict == "correct"


def test_only_verdicts_lost_to_an_outage_are_requested_again(tmp_path) -> None:
    llm = Spied(policy(RIGHT))
    with pytest.raises(StageIncomplete, match=r"1 of 2 verdicts failed .* \(last error: llm:tiny: HTTP 503\)"):
        run(tmp_path, llm, grader=judge(OutsideFault("HTTP 503"), FALSE))
    calls, grader = len(llm.prompts), judge(TRUE)
    assert read_summary(tmp_path) is None
    results = run(tmp_path, llm, grader=grader)
    assert [said(result.verdict) for result in results] == [
        ("correct", "It says so."),
        ("incorrect", "It does not."),
    ]
    assert (len(llm.prompts), len(grader.llm.asked)) == (calls, 1)


def test_an_outage_between_the_two_verdicts_is_retried(tmp_path) -> None:
    llm = policy(relevance=ReviseAnswer(RIGHT, ("No, there.",)))
    with pytest.raises(StageIncomplete):
        run(tmp_path, llm, [VELMAR], judge(TRUE, OutsideFault("HTTP 503")))
    (result,) = run(tmp_path, llm, [VELMAR], judge(TRUE, FALSE))
    assert (result.verdict.verdict, result.verdict_before_checks.verdict) == ("correct", "incorrect")


def test_after_a_power_cut_no_verdict_is_kept_for_an_answer_that_is_gone(tmp_path) -> None:
    run(tmp_path, policy(RIGHT))
    (tmp_path / "summary.json").unlink()
    first, second = (tmp_path / TRAJECTORIES).read_bytes().splitlines(keepends=True)
    (tmp_path / TRAJECTORIES).write_bytes(first + second[:40])
    _, result = run(tmp_path, policy("In Tarn, said the other."))
    assert (result.answer, result.verdict.verdict) == ("In Tarn, said the other.", "correct")
    (tmp_path / "summary.json").unlink()
    (tmp_path / TRAJECTORIES).write_bytes(b"")
    grader = judge(TRUE)
    first, _ = run(tmp_path, policy("In Tarn, said the other."), grader=grader)
    assert (first.answer, len(grader.llm.asked)) == ("In Tarn, said the other.", 1)  # the second answer is as it was


@pytest.mark.parametrize("reply", [["who knows"], ModelFault("too long")])
def test_a_reply_without_a_verdict_is_unscored_and_not_retried(tmp_path, reply) -> None:
    (result,) = run(tmp_path, policy(RIGHT), [VELMAR], judge(reply))
    assert (result.verdict.verdict, result.verdict.owed) == ("unscored", False)
    assert read_summary(tmp_path) is not None


def test_up_to_the_tolerated_share_verdicts_may_be_missing(tmp_path) -> None:
    results = run(tmp_path, policy(RIGHT), grader=judge(OutsideFault("HTTP 503"), FALSE), tolerated=0.5)
    assert [result.verdict.verdict for result in results] == ["unscored", "incorrect"]


WORLD = build_world(7, passages=300, demonstrations=0, train=0, evaluation=5)
SCRIPTED = ScriptedLLM(WORLD.plans, seed=1, right=0.8, wrong=0.1, unparsable=0.05, empty=0.05)
CORPUS = Bm25Search(WORLD.passages)


def test_the_scripted_expert_is_right_and_every_repeat_counts(tmp_path) -> None:
    expert = ScriptedLLM(WORLD.plans, seed=1, right=1.0, wrong=0.0, unparsable=0.0, empty=0.0)
    results = run(tmp_path, asked(expert, CORPUS), WORLD.evaluation, repeats=2, in_flight=9)
    ids = [f"{labelled.question.id}.{repeat}" for labelled in WORLD.evaluation for repeat in range(2)]
    assert [(result.id, result.verdict.verdict) for result in results] == [(id_, "correct") for id_ in ids]


@pytest.mark.parametrize("calls", [5, 30])
def test_a_kill_changes_no_byte(tmp_path, calls) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run(whole, asked(SCRIPTED, CORPUS, samples=2), WORLD.evaluation)
    with pytest.raises(Killed):
        how_asked = asked(Spied(SCRIPTED, pauses=1, killed_after=calls), CORPUS, samples=2)
        run(cut, how_asked, WORLD.evaluation, in_flight=4)
    run(cut, asked(SCRIPTED, CORPUS, samples=2), WORLD.evaluation, in_flight=4)
    results = (cut / RESULTS).read_bytes()
    assert results == (whole / RESULTS).read_bytes()
    (cut / "summary.json").unlink()
    (cut / RESULTS).write_bytes(results[: len(results) // 2])
    run(cut, asked(SCRIPTED, CORPUS, samples=2), WORLD.evaluation, in_flight=4)
    assert (cut / RESULTS).read_bytes() == results


def test_no_label_reaches_the_agent(tmp_path) -> None:
    """Labels that stand nowhere else: the world's passages and questions cannot have told them."""
    secret = [
        replace(
            labelled, answers=("Xyzzy the gold",), options=("Plugh the option", "Xyzzy the gold"), kind="frobnicate",
            passages=("p-quux",), explanation="Because of the grue.",
        )
        for labelled in WORLD.evaluation
    ]  # fmt: skip
    seen: list[str] = []

    class Watched:
        async def search(self, query, k):
            seen.append(query)
            return await CORPUS.search(query, k)

    llm = Spied(SCRIPTED)
    run(tmp_path, asked(llm, Watched(), samples=2), secret)
    seen += [prompt.text for prompt in llm.prompts]
    assert len(seen) > 40
    words = ("Xyzzy", "Plugh", "frobnicate", "p-quux", "grue")
    assert [text for text in seen if any(word in text for word in words)] == []
    assert not any(word in (tmp_path / TRAJECTORIES).read_text() for word in words)


@pytest.mark.parametrize("make_room", [True, False])
def test_policy_and_grader_are_closed_for_each_other_if_memory_is_short(tmp_path, make_room) -> None:
    llm = Spied(policy(RIGHT))
    grader = judge(TRUE, FALSE)
    grader = replace(grader, llm=Spied(grader.llm))
    run(tmp_path, llm, grader=grader, make_room=make_room)
    assert llm.closed == grader.llm.closed == make_room


def test_a_complete_stage_is_not_changed(tmp_path) -> None:
    before = run(tmp_path, policy(RIGHT))
    assert run(tmp_path, Spied(policy(), killed_after=0), [VELMAR]) == before
    assert json.loads((tmp_path / "summary.json").read_text())["questions"] == 2


def test_a_trajectory_that_searches_is_counted_with_its_searches(tmp_path) -> None:
    replies = {
        "\n# step: decision\n": [[render_output(Search("x", "y"))], [render_output(Terminate("z"))]],
        "\n# step: summary\n": [['LinkSelection(grounded_summarization="n", thoughts="t", selected_link_ids=[])']],
        "\n# step: answer\n": [[render_output(Answer("t", RIGHT))]],
        " check\n": [[render_output(PASSED)]],
    }
    how_asked = asked(RecordedLLM(replies), recorded_search({"x": []}))
    (result,) = run(tmp_path, how_asked, [VELMAR])
    assert (result.searches, result.calls, result.verdict.verdict) == (1, 6, "correct")


REFUSED = ModelFault("judge: HTTP 400: the prompt is longer than the context")


def test_a_grader_that_refuses_every_answer_stops_the_run_and_only_grading_is_repeated(tmp_path) -> None:
    with pytest.raises(UsageError) as stopped:
        run(tmp_path, policy(RIGHT), grader=judge(REFUSED, REFUSED))
    problem, way_out = str(stopped.value).splitlines()
    assert problem.startswith("evaluate, grading: grader refused all 2 requests ")
    assert "llm:tiny: judge: HTTP 400: the prompt is longer than the context" in problem
    assert "Change grader.model, grader.base_url" in way_out
    assert (read_summary(tmp_path), (tmp_path / RESULTS).exists()) == (None, False)
    results = run(tmp_path, RecordedLLM({}), grader=judge(TRUE, FALSE))
    assert [result.verdict.verdict for result in results] == ["correct", "incorrect"]


def test_after_refusals_of_the_grader_s_settings_no_verdict_is_kept(
    tmp_path,
) -> None:
    class Wrong:
        async def sample(self, prompt, *, n, sampling):
            raise UsageError("judge: set grader.token_limit")

        async def aclose(self):
            pass

    grader = LLMGrader(Wrong(), "header\n", "llm:tiny", max_tokens=64)
    with pytest.raises(UsageError, match=r"set grader\.token_limit"):
        run(tmp_path, Spied(policy(RIGHT), shut={VELMAR.question.text: REFUSED}), grader=grader)
    assert not (tmp_path / RESULTS).exists()


def test_a_single_refusal_by_the_grader_is_unscored_and_not_retried(tmp_path) -> None:
    first, second = run(tmp_path, policy(RIGHT), grader=judge(REFUSED, TRUE))
    reason = "llm:tiny: judge: HTTP 400: the prompt is longer than the context"
    assert first.verdict == Verdict("unscored", reason, owed=False, refused=True)
    assert second.verdict.verdict == "correct"
    assert read_summary(tmp_path) is not None


def test_a_reopened_evaluation_grades_only_unscored_answers_again(tmp_path) -> None:
    run(tmp_path, policy(RIGHT), grader=judge(REFUSED, TRUE))
    reopen_unscored(tmp_path)
    again = judge(FALSE)
    results = run(tmp_path, RecordedLLM({}), grader=again)
    assert [result.verdict.verdict for result in results] == ["incorrect", "correct"]
    assert len(again.llm.asked) == 1
    reopen_unscored(tmp_path)
    assert read_summary(tmp_path) is not None


def test_refusals_during_an_outage_do_not_count_as_a_refusal_of_all(tmp_path) -> None:
    with pytest.raises(StageIncomplete):
        run(tmp_path, policy(RIGHT), grader=judge(REFUSED, OutsideFault("HTTP 503")))
