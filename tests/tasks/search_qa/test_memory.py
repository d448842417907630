"""What the agent remembers: rebuilt from a stored trajectory, it renders every state as the model saw it."""

import asyncio
import re

import pytest

from rest_react.records import Hit, Step, Trajectory
from rest_react.search.bm25 import Bm25Search
from rest_react.tasks.protocol import Policy
from rest_react.tasks.search_qa.actions import Answer, LinkSelection, ReviseAnswer, SelectLink, Terminate, render_output
from rest_react.tasks.search_qa.agent import SearchAgent, answer_question
from rest_react.tasks.search_qa.memory import BUDGET_SPENT, NOTHING_SELECTED, memories, shown_results
from rest_react.tasks.search_qa.render_state import render_state
from rest_react.tasks.search_qa.scripted import ScriptedLLM
from rest_react.tasks.search_qa.step import parse_step
from rest_react.tasks.search_qa.views.conversation import render
from rest_react.tasks.search_qa.world import build_world
from rest_react.trajectories.step_view import Part
from tests.stages.improve.test_improve import candidate

WORLD = build_world(7, passages=300, demonstrations=0, train=6, evaluation=0)
SEARCH = Bm25Search(WORLD.passages)


def rolled_out(number: int, on_failed_check: str, max_searches: int) -> Trajectory:
    llm = ScriptedLLM(WORLD.plans, seed=1, right=0.6, wrong=0.4, unparsable=0.0, empty=0.0)
    agent = SearchAgent(SEARCH, max_searches=max_searches, on_failed_check=on_failed_check)  # type: ignore[arg-type]
    policy = Policy(llm, 2, 0.5, 128, "perplexity", tuned=True)
    question = WORLD.train[number].question
    return asyncio.run(answer_question(agent, policy, question, trajectory_id="q.0", seed=number))


@pytest.mark.parametrize("on_failed_check", ["revise", "research"])
@pytest.mark.parametrize("number", range(6))
def test_the_memory_of_a_stored_trajectory_renders_the_stored_states(number: int, on_failed_check: str) -> None:
    trajectory = rolled_out(number, on_failed_check, max_searches=2 + number % 3)
    steps = [parse_step(step) for step in trajectory.steps]
    *before, end = memories(steps)
    for step, memory in zip(trajectory.steps, before, strict=True):
        remaining = re.search(r"^REMAINING_SEARCHES = (\d+)$", step.state, re.MULTILINE)
        assert step.state == render_state(
            step.kind,  # type: ignore[arg-type]
            trajectory.question,
            memory.past,
            remaining=int(remaining[1]) if remaining else None,
            results=shown_results(step),
            answer=memory.answer if step.kind in ("relevance", "grounding") else None,
        )
    assert end.answer == trajectory.answer


def step(kind: str, action, **fields) -> Step:
    return Step(kind, "s", (candidate(render_output(action).removesuffix("  # [END]")),), 0, **fields)


def test_a_summary_adds_the_selected_links_and_a_revision_before_a_new_search_adds_nothing() -> None:
    hits = (Hit("p1", "One", "first"), Hit("p2", "Two", "second"))
    steps = [
        step("summarise", LinkSelection("Two.", "t", (5,)), hits=hits, first_link=4),
        step("summarise", LinkSelection("None.", "t", ()), hits=hits, first_link=6),
        Step("decide", "s", (), None, forced=True),
        step("answer", Answer("t", "Draft.")),
        step("relevance", ReviseAnswer("Better.", ("x",))),
        step("decide", Terminate("t")),
        step("grounding", ReviseAnswer("Best.", ("x",))),
    ]
    *_, after_research, end = memories([parse_step(one) for one in steps])
    two = shown_results(steps[0])[1]
    assert end.past == (
        SelectLink((two,), "Two.", "t"),
        SelectLink((), NOTHING_SELECTED, "t"),
        Terminate(BUDGET_SPENT),
        Answer("t", "Draft."),
        Terminate("t"),
    )
    assert (after_research.answer, end.answer) == ("Draft.", "Best.")


def test_an_empty_revision_keeps_the_answer() -> None:
    steps = [step("answer", Answer("t", "Draft.")), step("relevance", ReviseAnswer("", ("x",)))]
    parsed = [parse_step(one) for one in steps]
    assert parsed[1].chosen is not None and parsed[1].chosen.action == ReviseAnswer("", ("x",))
    assert memories(parsed)[-1].answer == "Draft."
    shown = render(parsed)[1]
    assert shown.parts[-1] == Part("note", "The revision is empty, so the answer is kept.")
    assert shown.lines[-1] == "relevance check not passed"
