"""Verdicts by gold, on trajectories of the built-in world whose right actions are known."""

import asyncio

from benchmarks.gold import JudgedStep, judge_steps
from rest_react.protocols import LLM
from rest_react.records import LabelledQuestion, Trajectory
from rest_react.search.bm25 import Bm25Search
from rest_react.tasks.protocol import Policy
from rest_react.tasks.search_qa.agent import SearchAgent, answer_question
from rest_react.tasks.search_qa.scripted import RecordedLLM, ScriptedLLM
from rest_react.tasks.search_qa.world import build_world

WORLD = build_world(3, passages=600, demonstrations=0, train=0, evaluation=20)
SEARCH = Bm25Search(WORLD.passages)


def titles(labelled: LabelledQuestion) -> list[str]:
    return [hop.title for hop in WORLD.plans[labelled.question.text].hops]


def expert_trajectory(llm: LLM, labelled: LabelledQuestion, samples: int) -> Trajectory:
    policy = Policy(llm, samples, 1.0, 128, "first", tuned=True)
    return asyncio.run(answer_question(SearchAgent(SEARCH), policy, labelled.question, trajectory_id="q.0", seed=7))


def judged(llm: LLM, labelled: LabelledQuestion, samples: int, hits: int = 3) -> list[JudgedStep]:
    trajectory = expert_trajectory(llm, labelled, samples)
    return asyncio.run(judge_steps(trajectory, labelled, titles(labelled), SEARCH, hits))


def scripted(**shares: float) -> ScriptedLLM:
    return ScriptedLLM(WORLD.plans, seed=0, **({"right": 0.0, "wrong": 0.0, "unparsable": 0.0, "empty": 0.0} | shares))


def test_every_action_of_the_expert_is_right() -> None:
    for labelled in WORLD.evaluation:
        steps = judged(scripted(right=1.0), labelled, samples=1)
        assert [step.right for step in steps] == [(True,)] * len(steps)
        assert not any(step.mixed for step in steps)


def test_a_query_is_judged_by_as_many_results_as_the_agent_is_shown() -> None:
    steps = judged(scripted(right=1.0), WORLD.evaluation[0], samples=1, hits=0)
    queries = [one.right for one in steps if one.step.kind == "decide"][:-1]
    assert queries == [(False,)] * len(queries)
    assert queries


def test_an_unusable_candidate_is_neither_right_nor_wrong() -> None:
    steps = judged(scripted(empty=1.0), WORLD.evaluation[0], samples=2)
    assert steps[0].right == (None, None)
    assert not steps[0].mixed


def test_mistakes_in_each_kind_of_step_are_wrong() -> None:
    labelled = WORLD.evaluation[0]
    plan = WORLD.plans[labelled.question.text]
    first, second = plan.hops
    replies = {
        "# step: decision": [
            [search(first.query), search("more about nothing"), terminate()],
            [terminate(), search(second.query), search(first.query)],
        ],
        "# step: summary": [[selection("[1]"), selection("[1, 2]"), selection("[]")]],
        "# step: answer": [[answer("It is Nowhere [link_id=1]."), answer(f"It is {labelled.answers[0]} [link_id=1].")]],
        "# step: relevance check": [[passed(True), passed(False), revised(labelled.answers[0]), revised("Nowhere")]],
        "# step: grounding check": [[passed(True)]],
    }
    steps = judged(RecordedLLM(replies), labelled, samples=4)
    assert {step.step.kind: step.right for step in steps[:1]} == {"decide": (True, False, False, True)}
    assert [(step.step.kind, step.right) for step in steps[1:]] == [
        ("summarise", (True, False, False, True)),
        ("decide", (False, True, False, False)),
        ("answer", (False, True, False, True)),
        ("relevance", (False, True, True, False)),
        ("grounding", (False, False, False, False)),
    ]
    assert [step.mixed for step in steps] == [True] * 5 + [False]


def search(query: str) -> str:
    return f'ACTION_SELECTED = ActionWrapper(thoughts="t", action=Search(query="{query}"))'


def terminate() -> str:
    return 'ACTION_SELECTED = ActionWrapper(thoughts="t", action=Terminate())'


def selection(ids: str) -> str:
    return f'ACTION_SELECTED = LinkSelection(grounded_summarization="s", thoughts="t", selected_link_ids={ids})'


def answer(text: str) -> str:
    return f'ACTION_SELECTED = Answer(thoughts="t", answer="{text}")'


def passed(verdict: bool) -> str:
    return f"# c\nACTION_SELECTED = Check_Answer(passed={verdict})"


def revised(text: str) -> str:
    return f'# c\nACTION_SELECTED = Revise_Answer(revised_answer="{text}")'
