"""Trajectories judged by a reward model: what it is shown, who trains, and what is asked again."""

import asyncio
import re
from dataclasses import replace

import pytest

from rest_react.errors import ModelFault, OutsideFault, StageIncomplete, UsageError
from rest_react.records import Example, Hit, OptionScores, Prompt, Step, Trajectory, TrajectoryVerdict, Usage
from rest_react.selection.judge_trajectory import judge_trajectory
from rest_react.selection.reward_model import RewardModel
from rest_react.stages.improve.improve import EXAMPLES, improve, reopen_refused
from rest_react.stages.improve.improve_summary import notes_of
from rest_react.stages.improve.judge_trajectories import VERDICTS
from rest_react.stages.improve.preferences import preferences
from rest_react.stages.improve.trainable_steps import Rules
from rest_react.storage.jsonl import read_lines, replace_lines
from rest_react.storage.summaries import read_summary
from rest_react.tasks.search_qa.actions import LinkSelection, Search, render_output
from rest_react.tasks.search_qa.prompt_files import PACKAGED_PROMPTS
from rest_react.tasks.search_qa.scripted import RecordedLLM
from rest_react.tasks.search_qa.task import SearchQA
from rest_react.trajectories.parsed import ParsedTrajectory
from tests.clients import FREE
from tests.stages.improve.test_improve import candidate

JUDGED_ANSWER = (PACKAGED_PROMPTS / "judged_answer.txt").read_text(encoding="utf-8")
FENCED = re.compile(r"^```\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
HITS = (Hit("p1", "Ada Mell", "Ada Mell was born in Vell."), Hit("p2", "Bob Lin", "Bob Lin was born in Gar."))


def trajectory(number: int, answer: str = "She was born in Vell [link_id=1].") -> Trajectory:
    selected = LinkSelection("Ada was born in Vell [link_id=1].", "Enough.", (1,), ())
    steps = (
        Step("decide", f"state {number}", (candidate(Search("Ada", "x")), candidate(Search("Bob", "x"), 2.0)), 0),
        Step("summarise", f"results {number}", (candidate(render_output(selected)),), 0, hits=HITS, first_link=1),
    )
    return Trajectory(
        f"q{number}.0", f"q{number}", f"Question {number}?", "finished", None, steps, "d", answer, Usage()
    )


TRAJECTORIES = [trajectory(1), trajectory(2), trajectory(3)]
RIGHT, WRONG = {"yes": -0.1, "no": -3.0}, {"yes": -3.0, "no": -0.1}
RULES = Rules("perplexity", keep_trajectories="judged_good")


READ_ANSWER = (PACKAGED_PROMPTS / "read_answer.txt").read_text(encoding="utf-8")


def run(
    folder, replies, *, by_options=True, rules=RULES, trajectories=TRAJECTORIES
) -> tuple[list[TrajectoryVerdict], set[str], RecordedLLM]:
    """The verdicts, the trajectories that train, and what the judge was asked."""
    replace_lines(folder / "t.jsonl", trajectories)
    llm, stage = RecordedLLM(replies), folder / "improve"
    model = RewardModel(llm, "", "", 64, "best" if by_options else None, JUDGED_ANSWER, READ_ANSWER)
    asyncio.run(
        improve(
            SearchQA(), folder / "t.jsonl", stage, rules=rules, reward_model=model, seed=0, in_flight=1, prices=FREE
        )
    )
    trained = {example.trajectory_id for example in read_lines(stage / EXAMPLES, Example)}
    return list(read_lines(stage / VERDICTS, TrajectoryVerdict)), trained, llm


def test_the_judge_sees_question_cited_snippets_and_answer_and_nothing_else(tmp_path) -> None:
    _, _, llm = run(tmp_path, {"": [RIGHT]})
    (prompt, options), *_ = llm.asked
    assert FENCED.findall(prompt.state) == [
        "Question 1?", "[link_id=1] Ada Mell: Ada Mell was born in Vell.", "She was born in Vell [link_id=1]."
    ]  # fmt: skip
    assert (options, prompt.state.endswith("\n\nGOOD:")) == (("yes", "no"), True)


def test_trajectories_that_are_judged_wrong_do_not_train(tmp_path) -> None:
    verdicts, trained, _ = run(tmp_path, {"Question 2": [WRONG], "Question": [RIGHT]})
    assert verdicts == [
        TrajectoryVerdict(f"q{i}.0", "judged", good, "", (-0.1, -3.0) if good else (-3.0, -0.1), tokens, 1)
        for i, good, tokens in zip((1, 2, 3), (True, False, True), [one.prompt_tokens for one in verdicts], strict=True)
    ]
    assert trained == {"q1.0", "q3.0"}
    summary = read_summary(tmp_path / "improve") or {}
    told = ("trajectories_judged_bad", "trajectories_not_judged", "rejected_trajectories", "completion_tokens")
    assert [summary[name] for name in told] == [1, 0, 1, 3]


def test_preferences_leave_out_the_same_trajectories(tmp_path) -> None:
    run(tmp_path, {"Question 2": [WRONG], "Question": [RIGHT]})
    stage = tmp_path / "improve"
    examples = read_lines(stage / EXAMPLES, Example)
    found = preferences(SearchQA(), tmp_path / "t.jsonl", stage / "rankings.jsonl", examples, RULES)
    assert [one.id for one in found] == ["q1.0.0", "q3.0.0"]


def test_a_judge_that_gives_no_scores_writes_its_verdict(tmp_path) -> None:
    verdicts, trained, llm = run(tmp_path, {"Question 2": [["GOOD: no"]], "Question": [["GOOD: yes"]]})
    assert [(one.good, one.reply, one.logprobs) for one in verdicts] == [
        (True, "GOOD: yes", ()), (False, "GOOD: no", ()), (True, "GOOD: yes", ())
    ]  # fmt: skip
    assert (trained, len(llm.asked)) == ({"q1.0", "q3.0"}, 6)


def test_a_trajectory_without_a_verdict_is_never_bad_and_is_asked_about_again(tmp_path) -> None:
    replies = {"Question 1": [OutsideFault("HTTP 503")], "Question 2": [ModelFault("refused")], "": [["Perhaps."]]}
    with pytest.raises(StageIncomplete, match="1 of 3 verdicts failed because of external errors"):
        run(tmp_path, replies, by_options=False)
    tolerant = replace(RULES, tolerate_outside_faults=0.5)
    verdicts, trained, _ = run(tmp_path, replies, by_options=False, rules=tolerant)
    assert [(one.status, one.good) for one in verdicts] == [("errored", None), ("unscored", None), ("unscored", None)]
    assert trained == {"q1.0", "q2.0", "q3.0"}
    reopen_refused(tmp_path / "improve")
    verdicts, trained, llm = run(tmp_path, {"Question 3": [["GOOD: no"]], "": [["GOOD: yes"]]}, by_options=False)
    assert ([one.good for one in verdicts], trained, len(llm.asked)) == ([True, True, False], {"q1.0", "q2.0"}, 3)


def test_only_the_cited_snippets_are_evidence_and_without_any_the_judge_is_told() -> None:
    task, asked = SearchQA(), []

    class Judge:
        async def score(self, prompt: Prompt, options: list[str]) -> OptionScores:
            asked.append(FENCED.findall(prompt.state)[1])
            return OptionScores((-0.1, -3.0))

    async def judge(answer: str) -> None:
        one = trajectory(1, answer)
        found = task.evidence(ParsedTrajectory(one, tuple(map(task.parse, one.steps))))
        await RewardModel(Judge(), "", "", 64, "best", JUDGED_ANSWER).is_right(found, seed=0)

    for answer in ("Gar [link_id=2]. Vell [link_id=1].", "Vell, I think.", "Vell [link_id=9]."):
        asyncio.run(judge(answer))
    both = "[link_id=1] Ada Mell: Ada Mell was born in Vell.\n[link_id=2] Bob Lin: Bob Lin was born in Gar."
    assert asked == [both, "(none)", "(none)"]


def test_trajectories_whose_answer_the_reader_does_not_give_do_not_train(tmp_path) -> None:
    rules = replace(RULES, keep_trajectories="reader_agrees")
    replies = {"Question 1": [["Vell."]], "Question 2": [["unknown"]], "Question 3": [[""]]}
    verdicts, trained, llm = run(tmp_path, replies, rules=rules)
    assert [(one.status, one.good, one.reply, one.logprobs) for one in verdicts] == [
        ("judged", True, "Vell.", ()), ("judged", False, "unknown", ()), ("unscored", None, "", ())
    ]  # fmt: skip
    assert (trained, len(llm.asked)) == ({"q1.0", "q3.0"}, 3)
    assert FENCED.findall(llm.asked[0][0].state) == ["Ada Mell: Ada Mell was born in Vell.", "Question 1?"]
    summary = read_summary(tmp_path / "improve") or {}
    told = ("trajectories_judged_bad", "trajectories_not_judged", "trajectories_judged_in_writing")
    assert [summary[name] for name in told] == [1, 1, 0]


def test_a_trajectory_without_a_selected_passage_is_not_shown_to_the_reader(tmp_path) -> None:
    one = replace(TRAJECTORIES[0], steps=TRAJECTORIES[0].steps[:1])
    llm = RecordedLLM({})
    found = SearchQA().evidence(ParsedTrajectory(one, tuple(map(SearchQA().parse, one.steps))))
    model = RewardModel(llm, "", "", 64, None, JUDGED_ANSWER, READ_ANSWER)
    verdict = asyncio.run(judge_trajectory("q1.0", found, model, keep="reader_agrees", seed=0))
    assert (verdict, llm.asked) == (TrajectoryVerdict("q1.0", "judged", False), [])


@pytest.mark.parametrize("keep", ["reader_agrees", "reader_and_judge", "evidence_needed"])
def test_a_reward_model_that_refuses_all_stops_although_a_trajectory_needs_no_request(tmp_path, keep) -> None:
    bare = replace(TRAJECTORIES[0], id="q9.0", question_id="q9", steps=TRAJECTORIES[0].steps[:1])
    rules = replace(RULES, keep_trajectories=keep)
    with pytest.raises(UsageError, match="reward_model refused all 3 requests"):
        run(tmp_path, {"": [ModelFault("too long")]}, rules=rules, trajectories=[*TRAJECTORIES, bare])


def test_a_reader_that_is_the_judge_too_is_asked_both(tmp_path) -> None:
    rules = replace(RULES, keep_trajectories="reader_and_judge")
    scores = {"Question 1?\n```\n\n*** Snippets": [RIGHT], "*** Snippets": [WRONG]}
    verdicts, trained, llm = run(tmp_path, {**scores, "": [["Vell"]]}, rules=rules)
    assert [(one.good, one.reply, one.logprobs, one.completion_tokens) for one in verdicts] == [
        (True, "Vell", (-0.1, -3.0), 2), (True, "Vell", (-3.0, -0.1), 2), (True, "Vell", (-3.0, -0.1), 2)
    ]  # fmt: skip
    assert (trained, len(llm.asked)) == ({"q1.0", "q2.0", "q3.0"}, 6)  # none is below the median


@pytest.mark.parametrize(
    ("answer", "judged", "good"),
    [
        ("Vell", "yes", True),
        ("Vell", "no", False),
        ("Gar", "yes", False),
        ("Vell", "perhaps", None),
        ("Gar", "?", False),
    ],
)
def test_a_judge_that_writes_its_verdict_beside_the_reader_must_say_yes_too(tmp_path, answer, judged, good) -> None:
    rules = replace(RULES, keep_trajectories="reader_and_judge")
    replies = {"*** Snippets": [[f"GOOD: {judged}"]], "": [[answer]]}
    verdicts, _, _ = run(tmp_path, replies, rules=rules, by_options=False)
    assert [(one.good, one.reply, one.logprobs) for one in verdicts] == [(good, answer, ())] * 3
    summary = read_summary(tmp_path / "improve") or {}
    assert summary["trajectories_judged_in_writing"] == (0 if good is None else 3)


def test_what_the_reader_rejects_stays_rejected_where_the_judge_refuses(tmp_path) -> None:
    rules = replace(RULES, keep_trajectories="reader_and_judge")
    replies = {"*** Snippets": [ModelFault("refused")], "Question 1": [["Vell"]], "Question": [["Gar"]]}
    verdicts, trained, _ = run(tmp_path, replies, rules=rules)
    assert [(one.status, one.good) for one in verdicts] == [("unscored", None), ("judged", False), ("judged", False)]
    assert trained == {"q1.0"}


def test_many_missing_verdicts_are_told() -> None:
    summary = dict.fromkeys(("candidates", "candidates_cut_off", "fallback", "ranked", "steps_with_a_choice"), 0)
    summary |= {"examples": 9, "steps": 9, "targets_changed": 0, "ranked": 9}
    counts = {"trajectories_judged": 8, "trajectories_not_judged": 2}
    (told,) = notes_of({"selector": "perplexity", "fallback_reason": "", **summary, **counts})
    assert told == (
        "2 of 10 trajectories have no verdict and are kept: the reward model refused, or its reply was empty or "
        "unclear. One that thinks needs a larger improve.max_tokens (about 4096)"
    )


def read_of(question: int, score: float) -> dict[str, list[dict[str, float]]]:
    return {f"Question {question}?": [{"Vell": score}]}


def test_answers_that_the_passages_do_not_make_likelier_do_not_train(tmp_path) -> None:
    replies = {"(none)": [{"Vell": -5.0}], **read_of(1, -1.0), **read_of(2, -6.0), **read_of(3, -4.9)}
    verdicts, trained, llm = run(tmp_path, replies, rules=replace(RULES, keep_trajectories="evidence_needed"))
    assert [(one.id, one.status, one.good, one.logprobs) for one in verdicts] == [
        ("q1.0", "judged", True, (-1.0, -5.0)),
        ("q2.0", "judged", False, (-6.0, -5.0)),
        ("q3.0", "judged", True, (-4.9, -5.0)),
    ]
    assert (trained, len(llm.asked)) == ({"q1.0", "q3.0"}, 6)
    summary = read_summary(tmp_path / "improve") or {}
    assert (summary["trajectories_judged_bad"], summary["trajectories_not_judged"]) == (1, 0)


def test_trajectories_that_explain_their_question_worse_than_the_others_do_not_train(tmp_path) -> None:
    rules = replace(RULES, keep_trajectories="cycle_consistent")
    one = trajectory(1)
    other = replace(one, id="q1.1", answer="She was born in Gar [link_id=2].")
    replace_lines(tmp_path / "t.jsonl", [one, other])
    asked = iter([-9.0, -40.0, -20.0, -40.0])

    class Reader:
        async def score(self, prompt: Prompt, options: list[str]) -> OptionScores:
            assert options == ("Question 1?",)
            return OptionScores((next(asked),), (), 9, 3)

    model, stage = RewardModel(Reader(), "", "", 64, None, ""), tmp_path / "improve"
    asyncio.run(
        improve(
            SearchQA(), tmp_path / "t.jsonl", stage, rules=rules, reward_model=model, seed=0, in_flight=1, prices=FREE
        )
    )
    assert {example.trajectory_id for example in read_lines(stage / EXAMPLES, Example)} == {"q1.0"}
    summary = read_summary(stage) or {}
    assert [summary[name] for name in ("trajectories_judged_bad", "rejected_trajectories", "prompt_tokens")] == [
        1,
        1,
        36,
    ]


def test_a_resumed_stage_keeps_the_rankings_of_good_steps_of_rejected_trajectories(tmp_path) -> None:
    other = replace(trajectory(2), id="q1.1", question_id="q1", question="Question 1, other?")
    first = other.steps[0]
    same_query = replace(first, candidates=(*first.candidates, candidate(Search("Ada", "other thoughts"))))
    other = replace(other, steps=(same_query, *other.steps[1:]))
    replace_lines(tmp_path / "t.jsonl", [trajectory(1), other])
    rules = Rules("reward_model", keep_trajectories="judged_good", rejected_trajectories="good_steps")
    ranked = "EXPLANATION: x\nBEST: 1\nRANKING: 1, 2"

    def improved(replies) -> RecordedLLM:
        llm = RecordedLLM(replies)
        model = RewardModel(llm, "{inputs}\n{outputs}", "", 64, None, JUDGED_ANSWER)
        asyncio.run(
            improve(
                SearchQA(), tmp_path / "t.jsonl", tmp_path / "improve", rules=rules, reward_model=model, seed=0,
                in_flight=1, prices=FREE,
            )
        )  # fmt: skip
        return llm

    verdicts = {"Question 1, other?": [["GOOD: no"]], "Question 1?": [["GOOD: yes"]]}
    with pytest.raises(StageIncomplete):
        improved({**verdicts, "state 1": [OutsideFault("HTTP 503")], "state 2": [[ranked]], "results": [[ranked]]})
    asked = improved({"state 1": [[ranked]]}).asked
    assert [prompt.state.splitlines()[0] for prompt, _ in asked] == ["state 1"]


def test_verdicts_that_were_written_instead_of_scored_are_told() -> None:
    told = {
        "examples": 1, "steps_with_a_choice": 0, "fallback": 0, "candidates": 4, "candidates_cut_off": 0,
        "selector": "perplexity", "trajectories_judged_in_writing": 3,
    }  # fmt: skip
    assert list(notes_of(told)) == []  # improve.reward=generate: it was asked to write
    (note,) = notes_of(told | {"written": 0})
    assert note.startswith("3 trajectories have written verdicts without a score, although improve.reward=options")
