"""Improve on hand-made steps: who is chosen, who trains, and what a kill or an outage leaves."""

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.errors import ModelFault, OutsideFault, StageIncomplete, UsageError
from rest_react.metrics.prices import Price
from rest_react.records import Candidate, Example, Fault, Hit, Ranking, Step, Trajectory, Usage
from rest_react.selection import filters
from rest_react.selection.reward_model import RewardModel
from rest_react.stages.improve.improve import EXAMPLES, RANKINGS, improve, reopen_refused
from rest_react.stages.improve.improve_summary import fallback_note, idle_selector_note, nothing_trains_note
from rest_react.stages.improve.trainable_steps import Rules
from rest_react.storage.jsonl import read_lines, replace_lines
from rest_react.storage.summaries import read_summary
from rest_react.tasks.completion.task import Completion
from rest_react.tasks.search_qa.actions import (
    Action,
    Answer,
    CheckAnswer,
    LinkSelection,
    ReviseAnswer,
    Search,
    Terminate,
    canonical_text,
    render_output,
)
from rest_react.tasks.search_qa.scripted import RecordedLLM
from rest_react.tasks.search_qa.step import parse_step
from rest_react.tasks.search_qa.task import SearchQA
from rest_react.trajectories.parsed import ParsedStep
from tests.clients import FREE, Killed, Spied

RANK, JUDGE = "rank these", "is this good"
ADA, BOB, CAT = Search("Ada", "x"), Search("Bob", "x"), Search("Cat", "x")
PASSED = CheckAnswer(True, ("fine",))


def text(action: Action | str) -> str:
    return action if isinstance(action, str) else render_output(action).removesuffix("  # [END]")


def candidate(action: Action | str, nll: float | None = 1.0, finish: str = "stop") -> Candidate:
    return Candidate(text(action), 10, None if nll is None else -10 * nll, finish, "prose" if action == "prose" else "")


def decide(*candidates: Candidate, chosen: int | None = 0, state: str = "a state") -> Step:
    return Step("decide", state, candidates, chosen)


def trajectory_of(*steps: Step, id_: str = "q.0", fault: Fault | None = None, searches: int = 1) -> Trajectory:
    outcome = "failed" if fault else "finished"
    return Trajectory(id_, id_.split(".")[0], "Q?", outcome, fault, steps, "d", "a", Usage(searches=searches))


def answers(ranking: list, good: list | None = None) -> RewardModel:
    replies = {JUDGE: good or [["GOOD: yes"]], RANK: ranking}
    return reward_model(RecordedLLM(replies))


def reward_model(llm) -> RewardModel:
    return RewardModel(llm, f"{RANK}\n{{inputs}}\n{{outputs}}", f"{JUDGE}\n{{inputs}}\n{{output}}", max_tokens=64)


def run(
    folder: Path,
    trajectories: list[Trajectory],
    *,
    model: RewardModel | None = None,
    seed=0,
    in_flight=4,
    prices=None,
    task=None,
    **rules,
):
    grown, stage = folder / "trajectories.jsonl", folder / "improve"
    replace_lines(grown, trajectories)
    asyncio.run(
        improve(
            task or SearchQA(), grown, stage, rules=Rules(**({"selector": "perplexity"} | rules)), reward_model=model,
            seed=seed, in_flight=in_flight, prices=prices or FREE,
        )
    )  # fmt: skip
    rankings = list(read_lines(stage / RANKINGS, Ranking))
    return rankings, list(read_lines(stage / EXAMPLES, Example)), read_summary(stage) or {}


def usable_candidates(step: Step) -> tuple[int, ...]:
    return filters.usable_candidates(parse_step(step))


def targets_of(step: Step) -> list[str]:
    return [parsed.target for parsed in parse_step(step).actions]


def opinion(ranking: Ranking) -> Ranking:
    """The ranking without what it took."""
    return replace(ranking, prompt_tokens=0, completion_tokens=0)


def chosen(folder: Path, step: Step, **how) -> int:
    (ranking,), _, _ = run(folder, [trajectory_of(step)], **how)
    return ranking.best


def test_an_example_is_the_state_and_the_candidate_with_the_lowest_perplexity(tmp_path) -> None:
    step = decide(candidate(ADA, 2.0), candidate("prose", 0.1), candidate(BOB, 1.0), candidate(CAT, 3.0))
    rankings, examples, summary = run(tmp_path, [trajectory_of(step)])
    assert rankings == [Ranking("q.0.0", "decide", "perplexity", "ranked", best=2)]
    assert examples == [Example("q.0.0", "q.0", 0, "decide", "a state", text(BOB), "perplexity")]
    assert {key: value for key, value in summary.items() if key not in ("schema", "seconds")} == {
        "selector": "perplexity", "examples": 1, "examples_changed": 1, "dropped_steps": 0,
        "unfinished_trajectories": 0, "filtered_trajectories": 0, "rejected_trajectories": 0, "candidates": 4,
        "candidates_cut_off": 0, "steps": 1, "equal_steps": 0,
        "steps_of_rejected": 0, "steps_with_a_choice": 1, "targets_changed": 1, "targets_respelled": 0, "ranked": 1,
        "fallback": 0, "errored": 0, "judged_bad": 0, "not_judged": 0, "prompt_tokens": 0, "completion_tokens": 0,
        "fallback_reason": "", "cost_usd": 0.0, "cost_reason": None,
    }  # fmt: skip


def test_majority_counts_decisions_and_takes_the_first_candidate_with_the_most_frequent_one(tmp_path) -> None:
    same = (Search("bob", "one thought"), Search("Bob ", "another"))
    step = decide(candidate(ADA, 0.1), candidate(same[0], 3.0), candidate(same[1], 2.0))
    assert chosen(tmp_path, step, selector="majority") == 1


def test_identical_candidates_are_one_choice_but_each_has_a_vote(tmp_path) -> None:
    step = decide(candidate(ADA), candidate(BOB), candidate(BOB), candidate("prose"))
    assert usable_candidates(step) == (0, 1)
    assert chosen(tmp_path / "a", step, selector="majority") == 1
    unknown = replace(step, candidates=tuple(replace(c, logprob=None) for c in step.candidates))
    assert chosen(tmp_path / "b", unknown, selector="perplexity") == 1


def test_a_sample_cut_off_at_its_token_limit_never_trains(tmp_path) -> None:
    cut = replace(candidate(text(ADA)[:-9], 0.1, finish="length"), problem="cut off at 10 tokens")
    step, lost = decide(cut, candidate(BOB, 2.0), chosen=1), decide(cut, chosen=None)
    trajectories = [trajectory_of(step), trajectory_of(lost, id_="r.0", fault=Fault("model", "no usable sample"))]
    _, examples, summary = run(tmp_path, trajectories)
    assert [example.completion for example in examples] == [text(BOB)]
    assert (summary["candidates"], summary["candidates_cut_off"]) == (3, 2)
    assert usable_candidates(lost) == ()


def test_a_cut_off_sample_whose_label_is_read_is_not_told_as_lost(tmp_path) -> None:
    cut = [Candidate("billing\nThe customer", 4, -1.0, "length"), Candidate("bill", 4, -1.0, "length", "cut off")]
    whole = trajectory_of(Step("complete", "s", tuple(cut), 0))
    _, examples, summary = run(tmp_path, [whole], task=Completion(labels=("billing", "delivery")))
    assert [example.completion for example in examples] == ["billing"]
    assert (summary["candidates"], summary["candidates_cut_off"]) == (2, 1)


WRAPPED = "Certainly! Here is the next step:\n```python\n# Ada first.\n{}\n```\nI hope that this helps."


def test_only_the_action_and_comments_of_a_wrapped_sample_train(tmp_path) -> None:
    steps = [decide(candidate(WRAPPED.format(text(ADA)))), decide(candidate(f"# Bob next.\n{text(BOB)}"), state="s2")]
    _, examples, summary = run(tmp_path, [trajectory_of(*steps)])
    assert [example.completion for example in examples] == [
        f"# Ada first.\n{text(ADA)}",
        f"# Bob next.\n{text(BOB)}",
    ]
    assert summary["targets_respelled"] == 1


WORDS = st.text(st.sampled_from("abc \"'\\\n()#é"), max_size=20).map(str.strip)
LINES = st.lists(st.from_regex(r"[a-z][a-z ]{0,10}[a-z]", fullmatch=True), max_size=2).map(tuple)
WRITTEN = st.one_of(
    st.tuples(st.just("decide"), st.builds(Search, WORDS, WORDS, LINES) | st.builds(Terminate, WORDS, LINES)),
    st.tuples(st.just("answer"), st.builds(Answer, WORDS, WORDS, LINES)),
    st.tuples(st.just("grounding"), st.builds(CheckAnswer, st.booleans(), LINES)),
    st.tuples(st.just("relevance"), st.builds(ReviseAnswer, WORDS, LINES)),
)


@given(written=WRITTEN, before=st.sampled_from(["", "Sure! Here it is:\n\n", "```python\n"]))
def test_parsing_a_target_or_a_wrapped_target_gives_the_same_target(written, before: str) -> None:
    kind, action = written
    target = canonical_text(action)
    assert targets_of(Step(kind, "s", (candidate(f"{before}{target}\n```"), candidate(target)), 0)) == [target, target]


def test_samples_with_the_same_action_are_one_candidate_whatever_their_spelling(tmp_path) -> None:
    other = "action_selected = ActionWrapper(action = Search(query='Ada'), thoughts = 'x',)"
    step = decide(candidate(other, 3.0), candidate(ADA, 1.0), candidate(BOB, 2.0), chosen=1)
    assert usable_candidates(step) == (0, 2)
    (ranking,), (example,), summary = run(tmp_path / "likeliest", [trajectory_of(step)])
    assert (ranking.best, example.completion) == (0, text(ADA))
    assert (summary["targets_changed"], summary["targets_respelled"]) == (0, 1)
    model = answers([["BEST: 1"]])
    alone = replace(step, candidates=step.candidates[:2])
    _, _, summary = run(tmp_path / "alone", [trajectory_of(alone)], selector="reward_model", model=model)
    assert (model.llm.asked, summary["steps_with_a_choice"]) == ([], 0)


@pytest.mark.parametrize(("equal_steps", "kept"), [("keep", ["q.0.0", "q.0.1", "q.0.2"]), ("drop", ["q.0.1", "q.0.2"])])
def test_steps_whose_samples_are_all_the_same_action_can_be_left_out(tmp_path, equal_steps, kept) -> None:
    steps = [decide(candidate(ADA), candidate(ADA)), decide(candidate(ADA), candidate(BOB)), decide(candidate(CAT))]
    _, examples, summary = run(tmp_path, [trajectory_of(*steps)], equal_steps=equal_steps)
    assert [example.id for example in examples] == kept  # the last has one sample, so nothing is known
    assert (summary["equal_steps"], summary["examples"]) == (1, len(kept))


def test_no_judge_is_asked_about_steps_that_are_left_out_because_their_samples_are_equal(tmp_path) -> None:
    steps = [decide(candidate(ADA), candidate(ADA)), decide(candidate(ADA), candidate(BOB))]
    model = answers([["GOOD: yes"]])
    _, examples, summary = run(tmp_path, [trajectory_of(*steps)], keep="judged_good", equal_steps="drop", model=model)
    assert (len(model.llm.asked), [example.id for example in examples]) == (1, ["q.0.1"])
    assert (summary["steps"], summary["equal_steps"], summary["dropped_steps"], summary["not_judged"]) == (2, 1, 1, 0)


def test_the_reward_model_sees_the_training_targets(tmp_path) -> None:
    model = answers([["BEST: 1"]])
    step = decide(candidate(WRAPPED.format(text(ADA))), candidate(BOB))
    run(tmp_path, [trajectory_of(step)], selector="reward_model", model=model)
    ((prompt, _),) = model.llm.asked
    assert text(ADA) in prompt.state
    assert "Certainly" not in prompt.state


def test_random_follows_the_seed_and_can_choose_every_usable_candidate(tmp_path) -> None:
    step = decide(candidate(ADA), candidate("prose"), candidate(BOB), candidate(CAT))
    best = [chosen(tmp_path / str(seed), step, selector="random", seed=seed) for seed in range(20)]
    assert set(best) == {0, 2, 3}
    assert best == [chosen(tmp_path / f"{seed}again", step, selector="random", seed=seed) for seed in range(20)]


def test_unparsable_empty_and_erroneous_samples_and_unknown_links_never_train() -> None:
    empty = Search("Dan", "")
    step = decide(candidate("prose"), candidate(empty), candidate(ADA, finish="slip"), candidate(ADA), candidate(BOB))
    assert usable_candidates(step) == (3, 4)
    selections = (LinkSelection("s", "t", (9,)), LinkSelection("s", "", (4,)), LinkSelection("s", "t", (4,)))
    summary = Step("summarise", "s", tuple(map(candidate, selections)), 2, hits=(Hit("p", "t", "s"),), first_link=4)
    assert usable_candidates(summary) == (2,)
    uncommented = Step("relevance", "s", (candidate(CheckAnswer(True)), candidate(ReviseAnswer("x"))), 0)
    assert usable_candidates(uncommented) == ()
    assert usable_candidates(Step("decide", "s", (), None, forced=True)) == ()


def test_steps_without_a_usable_candidate_are_dropped_and_counted(tmp_path) -> None:
    steps = [decide(candidate(Search("Dan", ""))), decide(candidate(ADA)), Step("decide", "s", (), None, forced=True)]
    rankings, examples, summary = run(tmp_path, [trajectory_of(*steps)])
    assert [ranking.id for ranking in rankings] == ["q.0.1"]
    assert [example.id for example in examples] == ["q.0.1"]
    assert (summary["steps"], summary["dropped_steps"], summary["steps_with_a_choice"]) == (2, 1, 0)


def test_the_chosen_candidate_replaces_its_target_and_no_later_state(tmp_path) -> None:
    first = decide(candidate(ADA, 1.0), candidate(BOB, 2.0), chosen=0, state="first")
    second = decide(candidate(CAT), state=f"second, after {text(ADA)}")
    _, examples, summary = run(
        tmp_path, [trajectory_of(first, second)], selector="reward_model", model=answers([["BEST: 1"], ["BEST: 2"]])
    )
    assert [(example.prompt, example.selector) for example in examples] == [
        ("first", "reward_model"),
        (f"second, after {text(ADA)}", "reward_model"),
    ]
    assert examples[1].completion == text(CAT)
    assert summary["steps_with_a_choice"] == 1


@pytest.mark.parametrize("seed", range(6))
def test_the_reward_model_ranks_the_candidates_of_the_step(tmp_path, seed) -> None:
    step = decide(candidate("prose"), candidate(ADA), candidate(ADA), candidate(BOB), candidate(CAT), chosen=2)
    reply = "EXPLANATION: x\nBEST: 3\nRANKING: 3, 1, 2"
    model = answers([[reply]])
    (ranking,), (example,), _ = run(tmp_path, [trajectory_of(step)], selector="reward_model", model=model, seed=seed)
    ((prompt, _),) = model.llm.asked
    shown = re.findall(r"query=\"(\w+)\"", prompt.state)
    index = {"Ada": 1, "Bob": 3, "Cat": 4}
    order = tuple(index[shown[place]] for place in (2, 0, 1))
    assert opinion(ranking) == Ranking("q.0.0", "decide", "reward_model", "ranked", order[0], order, reply)
    assert example.completion == step.candidates[order[0]].text


def test_one_usable_candidate_is_not_ranked(tmp_path) -> None:
    model = answers([])
    (ranking,), _, _ = run(
        tmp_path,
        [trajectory_of(decide(candidate("prose"), candidate(ADA), chosen=1))],
        selector="reward_model",
        model=model,
    )
    assert opinion(ranking) == Ranking("q.0.0", "decide", "reward_model", "ranked", best=1)
    assert model.llm.asked == []


@pytest.mark.parametrize(
    ("reply", "words"), [(["I cannot choose."], "I cannot choose."), (ModelFault("too long"), "model fault: too long")]
)
def test_after_an_unusable_reply_the_rollout_s_choice_is_the_target(tmp_path, reply, words) -> None:
    step = decide(candidate(ADA, 0.5), candidate(BOB, 2.0), candidate(BOB, 1.0), chosen=2)
    (ranking,), (example,), summary = run(
        tmp_path, [trajectory_of(step)], selector="reward_model", model=answers([reply])
    )
    assert opinion(ranking) == Ranking("q.0.0", "decide", "reward_model", "fallback", best=1, reply=words)
    assert example.completion == text(BOB)
    assert (summary["fallback"], summary["targets_changed"]) == (1, 0)


@pytest.mark.parametrize("how", [{"selector": "reward_model"}, {"keep": "judged_good"}], ids=["ranks", "judges"])
def test_a_reward_model_that_refuses_every_step_stops_the_run_and_is_retried(tmp_path, how) -> None:
    steps = [decide(candidate(ADA), candidate(BOB), state=f"state {n}") for n in range(3)]
    refused = ModelFault("judge: HTTP 400: too long")
    with pytest.raises(UsageError) as stopped:
        run(
            tmp_path,
            [trajectory_of(*steps, decide(candidate(CAT)))],
            model=answers([refused] * 3, [refused] * 4),
            **how,
        )
    count = 3 if "selector" in how else 4
    problem, way_out = str(stopped.value).splitlines()
    assert problem.startswith(f"improve: reward_model refused all {count} requests ")
    assert "judge: HTTP 400: too long" in problem and "Change reward_model.model" in way_out
    assert (read_summary(tmp_path / "improve"), (tmp_path / "improve" / RANKINGS).exists()) == (None, False)
    rankings, _, _ = run(tmp_path, [trajectory_of(*steps)], model=answers([["BEST: 1"]]), **how)
    assert [ranking.status for ranking in rankings] == ["ranked"] * 3


def test_many_fallbacks_are_reported_with_their_most_frequent_reason(tmp_path, capsys) -> None:
    steps = [decide(candidate(ADA), candidate(BOB), state=f"state {n}") for n in range(5)]
    long = [ModelFault(f"judge at http://x: HTTP 400: prompt of {n} tokens is too long") for n in (501, 502)]
    model = answers([["BEST: 1"], ["well"], *long, ["BEST: 2"]])
    _, _, summary = run(tmp_path, [trajectory_of(*steps)], selector="reward_model", model=model, in_flight=1)
    assert (summary["fallback"], summary["fallback_reason"]) == (
        3, "model fault: judge at http://x: HTTP 400: prompt of 502 tokens is too long (2 times)"
    )  # fmt: skip
    note = (
        "the reward model decided 2 of 5 steps with a choice; for the other 3 the rollout's own choice is the training "
        "target (fallback). Most frequent reason: model fault: judge at http://x: HTTP 400: prompt of 502 tokens is "
        "too long (2 times)"
    )
    assert fallback_note(summary) == note
    assert f"note: improve: {note}" in " ".join(capsys.readouterr().err.split())


def test_a_reopened_improve_retries_refused_rankings_unless_a_training_used_them(tmp_path) -> None:
    steps = [decide(candidate(ADA), candidate(BOB), state=f"state {n}") for n in range(3)]
    how, stage = {"selector": "reward_model", "in_flight": 1}, tmp_path / "improve"
    run(tmp_path, [trajectory_of(*steps)], model=answers([["BEST: 1"], ModelFault("too long"), ["well"]]), **how)
    (tmp_path / "finetune").mkdir()
    (tmp_path / "finetune" / "job.json").touch()
    reopen_refused(stage)
    assert read_summary(stage) is not None
    (tmp_path / "finetune" / "job.json").unlink()
    reopen_refused(stage)
    again = answers([["BEST: 2"]])
    rankings, _, _ = run(tmp_path, [trajectory_of(*steps)], model=again, **how)
    assert [ranking.status for ranking in rankings] == ["ranked", "ranked", "fallback"]
    assert len(again.llm.asked) == 1


def test_examples_that_have_trained_are_made_again_as_they_were(tmp_path) -> None:
    """After their file was damaged and deleted together with the summary, as the message advises."""
    steps = [decide(candidate(ADA), candidate(BOB), state=f"state {n}") for n in range(2)]
    how, stage = {"selector": "reward_model", "in_flight": 1}, tmp_path / "improve"
    run(tmp_path, [trajectory_of(*steps)], model=answers([["BEST: 1"], ModelFault("too long")]), **how)
    before = (stage / EXAMPLES).read_bytes()
    (tmp_path / "finetune").mkdir()
    (tmp_path / "finetune" / "job.json").touch()
    for damaged in (EXAMPLES, "summary.json"):
        (stage / damaged).unlink()
    model = answers([["BEST: 2"]])
    run(tmp_path, [trajectory_of(*steps)], model=model, **how)
    assert ((stage / EXAMPLES).read_bytes(), model.llm.asked) == (before, [])


def test_an_improve_that_keeps_nothing_says_so(tmp_path, capsys) -> None:
    alone = [answered("q.0", "Vell."), answered("q.1", "Gar.")]
    _, examples, summary = run(tmp_path, alone, keep_trajectories="agreeing")
    assert (examples, summary["rejected_trajectories"]) == ([], 2)
    note = nothing_trains_note(summary)
    assert "2 rejected by improve.keep_trajectories or likeliest" in note
    assert f"note: improve: {note}" in " ".join(capsys.readouterr().err.split())
    run(tmp_path / "some", [*alone, answered("q.2", "Gar.")], keep_trajectories="agreeing")
    assert "no step trains" not in capsys.readouterr().err


def test_few_fallbacks_are_only_counted(tmp_path, capsys) -> None:
    steps = [decide(candidate(ADA), candidate(BOB), state=f"state {n}") for n in range(10)]
    model = answers([["well"], *[["BEST: 1"]] * 9])
    _, _, summary = run(tmp_path, [trajectory_of(*steps)], selector="reward_model", model=model, in_flight=1)
    assert (summary["fallback"], fallback_note(summary)) == (1, "")
    assert "fallback" not in capsys.readouterr().err


def test_if_the_rollout_s_choice_is_not_usable_the_usable_candidate_with_the_lowest_perplexity_is_taken(
    tmp_path,
) -> None:
    step = decide(candidate(Search("Dan", ""), 0.1), candidate(ADA, 2.0), candidate(BOB, 1.0), chosen=0)
    (ranking,), _, summary = run(tmp_path, [trajectory_of(step)], selector="reward_model", model=answers([["hm"]]))
    assert (ranking.status, ranking.best, summary["targets_changed"]) == ("fallback", 2, 1)


def test_unfinished_trajectories_never_train(tmp_path) -> None:
    step = decide(candidate(ADA))
    trajectories = [
        trajectory_of(step, id_="a.0", fault=Fault("model", "x")),
        trajectory_of(step, id_="b.0", fault=Fault("outside", "x")),
        trajectory_of(step, id_="c.0"),
    ]
    rankings, examples, summary = run(tmp_path, trajectories)
    assert [ranking.id for ranking in rankings] == [example.id for example in examples] == ["c.0.0"]
    assert summary["unfinished_trajectories"] == 2


def test_examples_come_in_the_order_of_trajectories_and_steps(tmp_path) -> None:
    steps = [decide(candidate(ADA), candidate(BOB)) for _ in range(12)]
    trajectories = [trajectory_of(*steps, id_=id_) for id_ in ("q2.0", "q10.0", "q10.1")]
    model = reward_model(Spied(RecordedLLM({RANK: [["BEST: 1"]]}), pauses=4))
    rankings, examples, _ = run(tmp_path, trajectories, selector="reward_model", model=model, in_flight=9)
    order = [f"{trajectory.id}.{index}" for trajectory in trajectories for index in range(12)]
    assert [ranking.id for ranking in rankings] == [example.id for example in examples] == order
    assert [(e.trajectory_id, e.step_index) for e in examples[12:14]] == [("q10.0", 0), ("q10.0", 1)]
    assert model.llm.most_at_once == 9


def test_steps_judged_bad_are_left_out_and_unjudged_steps_are_kept(tmp_path) -> None:
    steps = [decide(candidate(action), state=action.query) for action in (ADA, BOB, CAT, Search("Dan", "x"))]
    good = [["GOOD: yes"], ["GOOD: no"], ["who knows"], ModelFault("too long")]
    rankings, examples, summary = run(
        tmp_path, [trajectory_of(*steps)], keep="judged_good", model=answers([], good), in_flight=1
    )
    blank = Ranking("", "decide", "perplexity", "ranked", best=0)
    assert list(map(opinion, rankings)) == [
        replace(blank, id="q.0.0", good=True, good_reply="GOOD: yes"),
        replace(blank, id="q.0.1", good=False, good_reply="GOOD: no"),
        replace(blank, id="q.0.2", good=None, good_reply="who knows"),
        replace(blank, id="q.0.3", good=None, good_reply="model fault: too long"),
    ]
    assert [example.prompt for example in examples] == ["Ada", "Cat", "Dan"]
    assert (summary["judged_bad"], summary["not_judged"], summary["examples"]) == (1, 2, 3)


def test_the_selected_candidate_is_judged(tmp_path) -> None:
    model = answers([["BEST: 1"]], [["GOOD: no"]])
    step = decide(candidate(ADA), candidate(BOB))
    (ranking,), examples, _ = run(
        tmp_path, [trajectory_of(step)], selector="reward_model", keep="judged_good", model=model
    )
    judged = model.llm.asked[1][0].state
    assert step.candidates[ranking.best].text in judged
    assert step.candidates[1 - ranking.best].text not in judged
    assert (ranking.good, examples) == (False, [])


def test_the_tokens_of_the_reward_model_are_counted_and_priced(tmp_path) -> None:
    model = answers([["BEST: 1"]], [["GOOD: yes"]])
    step = decide(candidate(ADA), candidate(BOB))
    how = {"selector": "reward_model", "keep": "judged_good", "model": model}
    (ranking,), _, summary = run(
        tmp_path / "a", [trajectory_of(step)], prices={"reward_model": Price(1.0, 1000.0)}, **how
    )
    prompts = sum(len(prompt.state.split()) for prompt, _ in model.llm.asked)
    assert (ranking.prompt_tokens, ranking.completion_tokens) == (prompts, 4)
    assert (summary["prompt_tokens"], summary["completion_tokens"]) == (prompts, 4)
    assert summary["cost_usd"] == pytest.approx((prompts + 4000) / 1e6)
    _, _, summary = run(tmp_path / "b", [trajectory_of(step)], prices={"reward_model": Price(1.0, None)}, **how)
    assert (summary["cost_usd"], summary["cost_reason"]) == (None, "reward_model.price is not set")


def test_only_rankings_lost_to_an_outage_are_requested_again(tmp_path) -> None:
    steps = [decide(candidate(ADA), candidate(BOB), state=f"state {n}") for n in range(4)]
    model = reward_model(Spied(RecordedLLM({RANK: [["BEST: 1"]]}), shut={"state 2": OutsideFault("HTTP 503")}))
    with pytest.raises(StageIncomplete, match=r"1 of 4 rankings failed .* \(last error: outside fault: HTTP 503\)"):
        run(tmp_path, [trajectory_of(*steps)], selector="reward_model", model=model)
    assert read_summary(tmp_path / "improve") is None
    left = list(read_lines(tmp_path / "improve" / RANKINGS, Ranking))
    assert [ranking.status for ranking in left] == ["ranked", "ranked", "errored", "ranked"]
    again = answers([["BEST: 1"]])
    rankings, examples, _ = run(tmp_path, [trajectory_of(*steps)], selector="reward_model", model=again)
    assert ["state 2" in prompt.state for prompt, _ in again.llm.asked] == [True]
    assert (len(examples), rankings[:2] + rankings[3:]) == (4, left[:2] + left[3:])


def test_tolerated_missing_verdicts_filter_nothing(tmp_path) -> None:
    step = decide(candidate(ADA, 1.0), candidate(BOB, 0.5), chosen=1)
    model = answers([OutsideFault("HTTP 503")])
    (ranking,), (example,), summary = run(
        tmp_path, [trajectory_of(step)], selector="reward_model", model=model, tolerate_outside_faults=1.0
    )
    reply = "outside fault: HTTP 503"
    assert opinion(ranking) == Ranking("q.0.0", "decide", "reward_model", "errored", best=1, reply=reply)
    assert (example.completion, summary["errored"]) == (text(BOB), 1)


def grounding(action: Action) -> Step:
    return Step("grounding", "s", (candidate("prose"), candidate(action)), 1)


def test_ungrounded_trajectories_can_be_left_out(tmp_path) -> None:
    answered = Step("answer", "s", (candidate(Answer("t", "a")),), 0)
    revised = ReviseAnswer("b", ("better",))
    trajectories = [
        trajectory_of(grounding(PASSED), id_="passed.0"),
        trajectory_of(grounding(revised), id_="revised.0"),
        trajectory_of(grounding(CheckAnswer(False, ("no",))), id_="failed.0"),
        trajectory_of(answered, id_="unchecked.0"),
        trajectory_of(grounding(revised), grounding(PASSED), id_="searched_again.0"),
    ]
    _, examples, summary = run(tmp_path / "a", trajectories, task=SearchQA(only_grounded=True))
    assert [example.id for example in examples] == ["passed.0.0", "searched_again.0.0", "searched_again.0.1"]
    assert summary["filtered_trajectories"] == 3
    assert len(run(tmp_path / "b", trajectories)[1]) == 6


def test_trajectories_that_selected_too_few_different_passages_can_be_left_out(tmp_path) -> None:
    found = (Hit("p1", "Ada Mell", "Her teacher is Bob Lin."), Hit("p2", "Bob Lin", "He was born in Vell."))

    def selecting(id_: str, *ids: int) -> Trajectory:
        chosen = tuple(
            Step("summarise", "s", (candidate(LinkSelection("A note.", "t", (i,))),), 0, hits=found, first_link=1)
            for i in ids
        )
        return trajectory_of(*chosen, id_=id_)

    trajectories = [selecting("none.0"), selecting("one.0", 1), selecting("twice.0", 1, 1), selecting("two.0", 1, 2)]
    _, examples, summary = run(tmp_path, trajectories, task=SearchQA(min_passages=2))
    assert [example.id for example in examples] == ["two.0.0", "two.0.1"]
    assert summary["filtered_trajectories"] == 3


ASKED = "In which town was the teacher of Ada Mell born?"
ADAS = (Hit("p1", "Ada Mell", "The teacher of Ada Mell is Bob Lin."), Hit("p2", "Ida Mell", "Her teacher is Gus Orn."))
BOBS = (Hit("p3", "Bob Lin", "Bob Lin was born in Vell in 1850."), Hit("p4", "Vell", "Vell has 7 mills."))
TEACHER = "The teacher of Ada Mell is Bob Lin [link_id={}]."
BORN = "The town where Bob Lin was born is Vell [link_id={}]."


def test_keep_verified_trains_on_samples_without_violations_of_trajectories_whose_answer_has_none(tmp_path) -> None:
    teacher, born = TEACHER.format(1), BORN.format(3)
    query, off = Search("teacher of Ada Mell", "t"), Search("mother of Ada Mell", "t")
    right, wrong = LinkSelection(born, "t", (3,)), LinkSelection("Bob Lin was born in Gar [link_id=3].", "t", (3,))
    targets = (query, LinkSelection(teacher, "t", (1,)), Search("Bob Lin born", "t"), right, Terminate("t"))

    def answering(id_: str, *says: str) -> Trajectory:
        steps = (
            decide(candidate(off, 0.5), candidate(query, 1.0), chosen=1),
            Step("summarise", "s1", (candidate(targets[1]),), 0, hits=ADAS, first_link=1),
            decide(candidate(targets[2]), state="s2"),
            Step("summarise", "s3", (candidate(right), candidate(wrong, 0.5)), 0, hits=BOBS, first_link=3),
            decide(candidate(Terminate("t")), state="s4"),
            Step("answer", "s5", (candidate(Answer("t", " ".join(says))),), 0),
            Step("grounding", "s6", (candidate(PASSED),), 0),
        )
        return replace(trajectory_of(*steps, id_=id_), question=ASKED, answer=" ".join(says))

    trajectories = [
        answering("right.0", teacher, born),
        answering("uncited.0", teacher, "The town where Bob Lin was born is Vell."),
        answering("not_held.0", teacher, BORN.format(5)),
        answering("beside_the_point.0", teacher, "Bob Lin lived in 1850 [link_id=3]."),
        answering("on_one_link.0", "The town where the teacher of Ada Mell was born is Bob Lin [link_id=1]."),
    ]
    _, examples, summary = run(tmp_path, trajectories, keep="verified")
    assert [(example.id, example.completion) for example in examples] == [
        (f"right.0.{i}", text(action)) for i, action in enumerate((*targets, Answer("t", f"{teacher} {born}"), PASSED))
    ]
    assert (summary["steps"], summary["dropped_steps"]) == (35, 28)


def test_the_verified_selector_takes_the_likeliest_sample_without_violations_or_else_the_likeliest(tmp_path) -> None:
    query, off = Search("teacher of Ada Mell", "t"), Search("mother of Ada Mell", "t")
    steps = (
        decide(candidate(off, 0.5), candidate(query, 1.0), candidate(Search("Ada Mell", "t"), 1.5), chosen=0),
        decide(candidate(off, 1.0), candidate(Search("teacher", "t"), 0.5), candidate("prose", 0.1), state="s1"),
    )
    trajectory = replace(trajectory_of(*steps), question=ASKED)
    for selector, best in (("verified", [1, 1]), ("perplexity", [0, 1])):
        rankings, _, summary = run(tmp_path / selector, [trajectory], selector=selector)
        assert [ranking.best for ranking in rankings] == best
    assert rankings[0] == Ranking("q.0.0", "decide", "perplexity", "ranked", best=0)
    assert summary["steps"] == 2
    assert run(tmp_path / "keep", [trajectory], selector="verified", keep="verified")[0] == []


def test_a_summary_without_selected_links_does_not_support_a_query(tmp_path) -> None:
    teacher, born = TEACHER.format(3), BORN.format(5)
    steps = (
        decide(candidate(Search("Ada Mell", "t"))),
        Step("summarise", "s1", (candidate(LinkSelection(f"{teacher} {born}", "t", ())),), 0, hits=ADAS, first_link=1),
        decide(candidate(Search("teacher of Ada Mell", "t")), candidate(Terminate("t"), 0.5), state="s2"),
        Step("summarise", "s3", (candidate(LinkSelection(teacher, "t", (3,))),), 0, hits=ADAS, first_link=3),
        decide(candidate(Search("Bob Lin born", "t")), state="s4"),
        Step("summarise", "s5", (candidate(LinkSelection(born, "t", (5,))),), 0, hits=BOBS, first_link=5),
        decide(candidate(Terminate("t")), state="s6"),
        Step("answer", "s7", (candidate(Answer("t", f"{teacher} {born}")),), 0),
    )
    trajectory = replace(trajectory_of(*steps), question=ASKED, answer=f"{teacher} {born}")
    rankings, _, _ = run(tmp_path, [trajectory], keep="verified")
    assert [(ranking.id, ranking.best) for ranking in rankings if ranking.kind == "decide"] == [
        ("q.0.0", 0),
        ("q.0.2", 0),  # to stop there would rest on nothing
        ("q.0.4", 0),
        ("q.0.6", 0),
    ]


def test_long_searches_can_be_left_out(tmp_path) -> None:
    trajectories = [trajectory_of(decide(candidate(ADA)), id_=f"q{n}.0", searches=n) for n in range(4)]
    _, examples, summary = run(tmp_path, trajectories, task=SearchQA(max_searches=2))
    assert [example.trajectory_id for example in examples] == ["q0.0", "q1.0", "q2.0"]
    assert summary["filtered_trajectories"] == 1


def answered(id_: str, answer: str) -> Trajectory:
    return replace(trajectory_of(decide(candidate(ADA)), decide(candidate(BOB)), id_=id_), answer=answer)


def test_only_trajectories_with_the_majoritys_answer_train_and_the_others_are_counted(tmp_path) -> None:
    trajectories = [
        *(answered(f"most.{i}", says) for i, says in enumerate(("Vell.", "Gar.", "It is Vell."))),
        *(answered(f"all.{i}", "Vell.") for i in range(3)),
        answered("alone.0", "Vell."),
        trajectory_of(decide(candidate(ADA)), id_="alone.1", fault=Fault("model", "no usable sample")),
    ]
    kept = {}
    for keep in ("all", "agreeing", "agreeing_in_band"):
        _, examples, summary = run(tmp_path / keep, trajectories, keep_trajectories=keep)
        kept[keep] = list(dict.fromkeys(example.trajectory_id for example in examples))
        assert summary["rejected_trajectories"] == 7 - len(kept[keep])
        assert (summary["steps"], summary["unfinished_trajectories"]) == (2 * len(kept[keep]), 1)
    assert kept == {
        "all": [trajectory.id for trajectory in trajectories[:-1]],
        "agreeing": ["most.0", "most.2", "all.0", "all.1", "all.2"],
        "agreeing_in_band": ["most.0", "most.2"],
    }


def test_only_the_likeliest_share_of_all_finished_trajectories_trains_together_with_the_other_filter(tmp_path) -> None:
    def one(id_: str, answer: str, nll: float | None) -> Trajectory:
        steps = (decide(candidate(ADA, nll), candidate(BOB, 0.0)), decide(candidate(BOB, nll)))
        return replace(trajectory_of(*steps, id_=id_), answer=answer)

    trajectories = [
        one("q1.0", "Vell.", 0.1), one("q1.1", "Vell.", 0.4), one("q1.2", "Gar.", 0.2),
        one("q2.0", "Orn.", 0.5), one("q2.1", "Orn.", 0.3),
        trajectory_of(decide(candidate(ADA, 0.0)), id_="q2.2", fault=Fault("model", "no usable sample")),
    ]  # fmt: skip
    kept = {}
    for keep in ("all", "agreeing"):
        _, examples, summary = run(tmp_path / keep, trajectories, keep_trajectories=keep, likeliest=0.6)
        kept[keep] = list(dict.fromkeys(example.trajectory_id for example in examples))
        assert (summary["rejected_trajectories"], summary["unfinished_trajectories"]) == (5 - len(kept[keep]), 1)
    assert kept == {"all": ["q1.0", "q1.2", "q2.1"], "agreeing": ["q1.0", "q2.1"]}
    unknown = one("q3.0", "Vell.", None)
    _, examples, _ = run(tmp_path / "some", [*trajectories, unknown], likeliest=0.2)
    assert {example.trajectory_id for example in examples} == {"q1.0", "q3.0"}
    with pytest.raises(UsageError, match=r"improve\.likeliest: the policy gave no log-probabilities"):
        run(tmp_path / "none", [unknown], likeliest=0.5)


def test_a_trajectory_that_may_not_train_still_has_a_vote(tmp_path) -> None:
    long, short = answered("q.0", "Vell."), answered("q.1", "Vell.")
    long = replace(long, usage=Usage(searches=9))
    _, examples, summary = run(tmp_path, [long, short], task=SearchQA(max_searches=2), keep_trajectories="agreeing")
    assert {example.trajectory_id for example in examples} == {"q.1"}
    assert (summary["filtered_trajectories"], summary["rejected_trajectories"]) == (1, 0)


def test_of_rejected_trajectories_the_searches_and_selections_of_kept_ones_train(tmp_path) -> None:
    hits = (Hit("p3", "Bob Lin", "Vell."), Hit("p4", "Vell", "7 mills."))

    def one(id_: str, answer: str, first_link: int, *, query: Action, links: tuple[int, ...]) -> Trajectory:
        steps = (
            decide(candidate(ADA), candidate(query, 0.5), chosen=1),
            Step("summarise", "s1", (candidate(LinkSelection("b", "t", links)),), 0, hits=hits, first_link=first_link),
            decide(candidate(Terminate("t")), state="s2"),
            Step("answer", "s3", (candidate(Answer("t", answer)),), 0),
            Step("grounding", "s4", (candidate(PASSED),), 0),
        )
        return replace(trajectory_of(*steps, id_=id_), answer=answer)

    trajectories = [
        one("q.0", "Vell.", 1, query=BOB, links=(1,)),
        one("q.1", "It is Vell.", 1, query=BOB, links=(1,)),
        one("q.2", "Gar.", 4, query=CAT, links=(4,)),  # the same selection under another link id
        one("q.3", "Orn.", 1, query=Search("bob", "other thoughts"), links=(2,)),
    ]
    rules = {"keep_trajectories": "agreeing", "rejected_trajectories": "good_steps"}
    _, examples, summary = run(tmp_path, trajectories, **rules)
    assert [example.id for example in examples if example.trajectory_id > "q.1"] == ["q.2.1", "q.3.0"]
    assert examples[-1].completion == text(Search("bob", "other thoughts"))
    assert (summary["rejected_trajectories"], summary["steps_of_rejected"], summary["examples"]) == (2, 2, 12)


def test_a_trajectory_that_may_not_train_makes_no_step_of_a_rejected_one_good(tmp_path) -> None:
    def one(id_: str, answer: str, searches: int) -> Trajectory:
        return replace(trajectory_of(decide(candidate(ADA)), id_=id_, searches=searches), answer=answer)

    trajectories = [one("q.0", "Vell.", 9), one("q.1", "It is Vell.", 9), one("q.2", "Gar.", 1)]
    rules = {"keep_trajectories": "agreeing", "rejected_trajectories": "good_steps"}
    _, examples, summary = run(tmp_path, trajectories, task=SearchQA(max_searches=2), **rules)
    assert (examples, summary["filtered_trajectories"], summary["rejected_trajectories"]) == ([], 2, 1)


def test_a_selector_that_chooses_what_the_rollout_chose_is_called_idle(tmp_path) -> None:
    def grown(chosen: int) -> list[Trajectory]:
        steps = (decide(candidate(ADA, 0.5), candidate(BOB), chosen=chosen, state=str(n)) for n in range(20))
        return [trajectory_of(*steps)]

    _, _, summary = run(tmp_path / "same", grown(0))
    assert (summary["examples_changed"], summary["examples"]) == (0, 20)
    assert "0 of 20 training targets differ" in idle_selector_note(summary)
    _, _, summary = run(tmp_path / "other", grown(1), max_examples=5)
    assert (summary["examples_changed"], summary["targets_changed"]) == (5, 20)
    assert idle_selector_note(summary) == ""


MANY = [
    trajectory_of(*(decide(candidate(ADA), candidate(BOB), state=f"{q}, {n}") for n in range(5)), id_=f"q{q}.0")
    for q in range(4)
]


def judged(folder: Path, killed_after: int | None = None) -> Spied:
    llm = Spied(RecordedLLM({JUDGE: [["GOOD: yes"]], RANK: [["BEST: 2"]]}), pauses=8, killed_after=killed_after)
    run(folder, MANY, selector="reward_model", keep="judged_good", model=reward_model(llm), in_flight=7)
    return llm


def files(folder: Path) -> tuple[bytes, bytes]:
    return (folder / "improve" / RANKINGS).read_bytes(), (folder / "improve" / EXAMPLES).read_bytes()


@pytest.mark.parametrize("calls", [1, 20])
def test_a_kill_while_ranking_does_not_change_the_files(tmp_path, calls) -> None:
    judged(tmp_path / "whole")
    with pytest.raises(Killed):
        judged(tmp_path / "cut", killed_after=calls)
    kept = list(read_lines(tmp_path / "cut" / "improve" / RANKINGS, Ranking))
    llm = judged(tmp_path / "cut")
    assert files(tmp_path / "cut") == files(tmp_path / "whole")
    assert len(llm.prompts) == 2 * (20 - len(kept))


def test_a_complete_stage_is_not_changed(tmp_path) -> None:
    run(tmp_path, MANY)
    before = files(tmp_path), (tmp_path / "improve" / "summary.json").read_bytes()
    run(tmp_path, MANY[:1], selector="random")
    assert (files(tmp_path), (tmp_path / "improve" / "summary.json").read_bytes()) == before
    assert json.loads(before[1])["examples"] == 20


def test_terminate_trains_like_any_other_action(tmp_path) -> None:
    _, (example,), _ = run(tmp_path, [trajectory_of(decide(candidate(Terminate("I know enough."))))])
    assert example.completion == text(Terminate("I know enough."))


def test_a_larger_sample_of_examples_contains_the_smaller_one(tmp_path: Path) -> None:
    steps = [decide(candidate(ADA), state=f"state {i}") for i in range(20)]
    drawn = {}
    for n in (5, 10, 99):
        _, examples, summary = run(tmp_path / str(n), [trajectory_of(*steps)], max_examples=n, seed=3)
        assert summary["examples"] == len(examples) == min(n, 20)
        assert examples == sorted(examples, key=lambda example: example.step_index)
        drawn[n] = {example.id for example in examples}
    assert drawn[5] < drawn[10] < drawn[99]
    _, other, _ = run(tmp_path / "other", [trajectory_of(*steps)], max_examples=5, seed=4)
    assert {example.id for example in other} != drawn[5]


class _Counting(SearchQA):
    """The task, which counts the candidates that it parses."""

    parsed = 0

    def parse(self, step: Step) -> ParsedStep:
        type(self).parsed += len(step.candidates)
        return super().parse(step)


@pytest.mark.parametrize("rules", [{}, {"selector": "verified", "keep": "verified"}], ids=["perplexity", "verified"])
def test_each_candidate_is_parsed_once_to_be_ranked_and_once_for_the_examples(
    tmp_path: Path, rules: dict[str, str]
) -> None:
    _Counting.parsed = 0
    run(tmp_path, MANY, task=_Counting(), **rules)
    assert _Counting.parsed == 2 * sum(len(step.candidates) for trajectory in MANY for step in trajectory.steps)
