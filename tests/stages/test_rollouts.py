"""Many trajectories in one file: their ids and seeds, and what is done again. Resuming itself: test_executor."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from rest_react.errors import ModelFault, OutsideFault, RunFolderError, StageIncomplete, UsageError
from rest_react.judges.grader import RuleGrader
from rest_react.records import Fault, Hit, Question, Step, Trajectory, Usage
from rest_react.search.bm25 import Bm25Search
from rest_react.seeds import derive_seed
from rest_react.stages.evaluate import evaluate
from rest_react.stages.grow import grow
from rest_react.stages.rollouts import TRAJECTORIES, answer_all, in_order, page_counts
from rest_react.storage.jsonl import read_lines, replace_lines
from rest_react.storage.summaries import read_summary
from rest_react.tasks.protocol import Policy
from rest_react.tasks.search_qa.agent import SearchAgent
from rest_react.tasks.search_qa.scripted import ScriptedLLM
from rest_react.tasks.search_qa.task import SearchQA
from rest_react.tasks.search_qa.world import build_world
from rest_react.tasks.tool_maker.library import Library, MadeTool, ToolVerdict
from rest_react.tasks.tool_maker.making import Toolbox
from rest_react.tasks.tool_maker.sandbox import Sandbox
from rest_react.tasks.tool_maker.task import ToolMaker
from tests.clients import FREE, Killed, Spied

WORLD = build_world(7, passages=300, demonstrations=0, train=5, evaluation=0)
QUESTIONS = [labelled.question for labelled in WORLD.train]
SEARCH = Bm25Search(WORLD.passages)
SCRIPTED = ScriptedLLM(WORLD.plans, seed=1, right=0.6, wrong=0.2, unparsable=0.1, empty=0.1)
ORDER = list(in_order([question.id for question in QUESTIONS], 2))
OUTAGE, REFUSED = OutsideFault("llm: HTTP 503"), ModelFault("llm: refused")


TASK = SearchQA(SearchAgent(SEARCH, max_searches=4))


def policy(llm) -> Policy:
    return Policy(llm, 4, 0.5, 128, "perplexity", tuned=True)


def roll(path: Path, llm=SCRIPTED, *, in_flight=8, seed=3, asked=QUESTIONS) -> bytes:
    asyncio.run(answer_all(TASK, policy(llm), asked, path, repeats=2, seed=seed, in_flight=in_flight, title="grow"))
    return path.read_bytes()


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return roll(tmp_path_factory.mktemp("whole") / TRAJECTORIES, in_flight=1)


def shut_for(*numbers: int, fault=OUTAGE) -> dict[str, ModelFault | OutsideFault]:
    return {QUESTIONS[number].text: fault for number in numbers}


def test_each_question_has_the_given_number_of_rollouts_with_different_seeds(tmp_path) -> None:
    async def rollout(number: int, repeat: int) -> Trajectory:
        id_ = f"{QUESTIONS[number].id}.{repeat}"
        return await TASK.rollout(QUESTIONS[number], policy(SCRIPTED), trajectory_id=id_, seed=derive_seed(3, id_))

    roll(tmp_path / TRAJECTORIES)
    stored = list(read_lines(tmp_path / TRAJECTORIES, Trajectory))
    assert stored == [asyncio.run(rollout(number, repeat)) for number in range(5) for repeat in range(2)]
    assert [trajectory.id for trajectory in stored] == ORDER
    assert any(first.steps != second.steps for first, second in zip(stored[::2], stored[1::2], strict=True))


def test_the_order_of_arrival_does_not_change_the_file(tmp_path, expected) -> None:
    spied = Spied(SCRIPTED, pauses=1)
    assert roll(tmp_path / TRAJECTORIES, spied) == expected
    assert spied.most_at_once == 8


def test_another_seed_makes_other_trajectories(tmp_path, expected) -> None:
    assert roll(tmp_path / TRAJECTORIES, seed=4) != expected


def test_only_trajectories_lost_to_an_outage_are_retried(tmp_path, expected) -> None:
    path = tmp_path / TRAJECTORIES
    with pytest.raises(StageIncomplete, match=r"4 of 10 trajectories failed .* \(last error: llm: HTTP 503\)"):
        roll(path, Spied(SCRIPTED, shut=shut_for(1, 3)))
    left = list(read_lines(path, Trajectory))
    assert [trajectory.id for trajectory in left] == ORDER
    assert {t.question_id for t in left if t.fault == Fault("outside", "llm: HTTP 503")} == {
        QUESTIONS[1].id,
        QUESTIONS[3].id,
    }
    again = Spied(SCRIPTED)
    assert roll(path, again) == expected
    asked = {text for prompt in again.prompts for text in (q.text for q in QUESTIONS) if text in prompt.state}
    assert asked == {QUESTIONS[1].text, QUESTIONS[3].text}


def test_an_error_of_the_model_is_a_result_and_is_not_retried(tmp_path) -> None:
    path = tmp_path / TRAJECTORIES
    first = roll(path, Spied(SCRIPTED, shut=shut_for(2, fault=REFUSED)))
    again = Spied(SCRIPTED)
    assert roll(path, again) == first
    assert again.prompts == []
    assert [t.id for t in read_lines(path, Trajectory) if t.fault == Fault("model", "llm: refused")] == ORDER[4:6]


def test_if_the_model_refuses_every_first_call_a_setting_is_wrong(tmp_path, expected) -> None:
    path = tmp_path / TRAJECTORIES
    with pytest.raises(UsageError) as stopped:
        roll(path, Spied(SCRIPTED, shut=shut_for(0, 1, 2, 3, 4, fault=REFUSED)))
    problem, way_out = str(stopped.value).splitlines()
    assert problem == "grow: policy refused all 10 requests (last refusal: llm: refused)"
    assert "Change policy.model, policy.base_url" in way_out
    assert roll(path) == expected


def test_questions_whose_tool_was_rejected_are_failed_by_the_model_and_no_refusals_of_the_policy(tmp_path) -> None:
    library = Library(tmp_path / "tools")
    library.write("word_sorting", MadeTool(ToolVerdict(False, "the call fails", "maker")))
    task = ToolMaker(toolbox=Toolbox(library, None, dict, Sandbox("limits_only")))
    questions = [Question(f"word_sorting-eval-00{n}", "Sort: b a") for n in range(3)]
    path = tmp_path / TRAJECTORIES
    how = {"repeats": 1, "seed": 0, "in_flight": 2, "title": "evaluate"}
    asyncio.run(answer_all(task, policy(SCRIPTED), questions, path, **how))
    faults = [trajectory.fault for trajectory in read_lines(path, Trajectory)]
    assert (
        faults == [Fault("model", "not asked, because the tool for word_sorting was not accepted: the call fails")] * 3
    )


@pytest.mark.parametrize("calls", [1, 40])
def test_a_kill_loses_only_trajectories_in_flight(tmp_path, expected, calls) -> None:
    path = tmp_path / TRAJECTORIES
    with pytest.raises(Killed):
        roll(path, Spied(SCRIPTED, pauses=1, killed_after=calls))
    kept = path.read_bytes()
    finished = [trajectory.id for trajectory in read_lines(path, Trajectory)]
    path.write_bytes(kept + expected.splitlines(keepends=True)[-1][:-30])
    again = Spied(SCRIPTED, pauses=2)
    assert roll(path, again) == expected
    done_over = asyncio.run(_calls_of(set(ORDER) - set(finished)))
    assert len(again.prompts) == done_over


async def _calls_of(ids: set[str]) -> int:
    spied = Spied(SCRIPTED)
    by_id = {question.id: question for question in QUESTIONS}
    for id_ in ids:
        question = by_id[id_.rpartition(".")[0]]
        await TASK.rollout(question, policy(spied), trajectory_id=id_, seed=derive_seed(3, id_))
    return len(spied.prompts)


def test_ids_are_ordered_by_question_and_then_by_repeat() -> None:
    assert list(in_order(["q1", "q2"], 2)) == ["q1.0", "q1.1", "q2.0", "q2.1"]


def test_a_question_whose_text_has_changed_is_asked_again(tmp_path, expected) -> None:
    path = tmp_path / TRAJECTORIES
    roll(path, asked=[replace(QUESTIONS[0], text=f"{QUESTIONS[0].text} Now?"), *QUESTIONS[1:]])
    assert path.read_bytes() != expected
    spied = Spied(SCRIPTED)
    assert roll(path, spied) == expected
    assert {trajectory.question for trajectory in read_lines(path, Trajectory)} == {q.text for q in QUESTIONS}
    assert spied.prompts
    assert all(QUESTIONS[0].text in prompt.state for prompt in spied.prompts)


class WithPages:
    """A search whose first result shows its page; that of the second could not be read, and the third is a snippet."""

    async def search(self, query: str, k: int) -> list[Hit]:
        hits = await SEARCH.search(query, k)
        return [*(replace(hit, page=page) for hit, page in zip(hits, ("read", "unread"), strict=False)), *hits[2:]]


@pytest.mark.parametrize("stage", ["grow", "evaluate"])
def test_a_stage_counts_the_results_whose_page_could_not_be_read_and_tells_of_many(tmp_path, stage, capsys) -> None:
    task = SearchQA(SearchAgent(WithPages(), max_searches=4))
    how = {"repeats": 1, "seed": 3, "in_flight": 4, "prices": FREE, "title": f"iteration 1: {stage}"}
    if stage == "grow":
        asyncio.run(grow(task, policy(SCRIPTED), QUESTIONS, tmp_path, **how))
    else:
        asyncio.run(evaluate(task, policy(SCRIPTED), WORLD.train, RuleGrader(), tmp_path, **how))
    stored = read_lines(tmp_path / TRAJECTORIES, Trajectory)
    pages = [hit.page for one in stored for step in one.steps for hit in step.hits]
    counted = {f"pages_{name}": pages.count(name) for name in ("read", "unread")}
    assert counted["pages_unread"] > 0
    summary = read_summary(tmp_path) or {}
    assert {name: value for name, value in summary.items() if name.startswith("pages_")} == counted
    unread, of = counted["pages_unread"], sum(counted.values())
    said = " ".join(capsys.readouterr().err.split())
    assert f"note: iteration 1: {stage}: the pages of {unread} of {of} results could not be read" in said


@pytest.mark.parametrize(("unread", "told"), [(0, False), (1, False), (2, True)])
def test_up_to_a_tenth_of_unread_pages_is_counted_and_not_told(tmp_path, unread, told, capsys) -> None:
    hits = (Hit("s", "t", "page", "read"),) * (10 - unread) + (Hit("s", "t", "snippet", "unread"),) * unread
    step = Step("summarise", "s", (), None, hits=(*hits, Hit("s", "t", "snippet")))
    path = tmp_path / TRAJECTORIES
    replace_lines(path, [Trajectory("a.0", "a", "?", "finished", None, (step,), "", "", Usage())])
    assert page_counts(path, "grow") == {"pages_read": 10 - unread, "pages_unread": unread}
    assert ("could not be read" in capsys.readouterr().err) is told


def test_results_without_a_page_are_stored_as_before_and_not_counted(tmp_path, expected) -> None:
    assert b'"page"' not in expected
    (tmp_path / TRAJECTORIES).write_bytes(expected)
    assert page_counts(tmp_path / TRAJECTORIES, "grow") == {}


def test_answers_to_other_questions_are_told_before_anything_is_asked(tmp_path) -> None:
    path = tmp_path / TRAJECTORIES
    before = roll(path)
    spied = Spied(SCRIPTED)
    with pytest.raises(RunFolderError, match=r"has 2 records that do not belong to this stage, e\.g\. "):
        roll(path, spied, asked=[*QUESTIONS[1:], replace(QUESTIONS[0], id="new")])
    assert (path.read_bytes(), spied.prompts) == (before, [])
