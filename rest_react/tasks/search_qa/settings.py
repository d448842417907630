"""The settings of the task search_qa.

    SearchQASettings("search_qa").calls(searches=2.5, self_checks=True)      # 9.0 calls of the model

Not here: the limits of the agent, which are the settings group `agent` (tasks.agent_settings).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal, cast

from rest_react.protocols import LLM, Search
from rest_react.questions.question_settings import BuiltInItems
from rest_react.records import LabelledQuestion, Passage
from rest_react.tasks.agent_settings import AgentSettings
from rest_react.tasks.search_qa.actions import StepKind
from rest_react.tasks.search_qa.agent import SearchAgent
from rest_react.tasks.search_qa.prompt_files import CLOSINGS, PACKAGED_PROMPTS, with_numbers
from rest_react.tasks.search_qa.reading.parsing import parse
from rest_react.tasks.search_qa.render_state import STEP_NAMES
from rest_react.tasks.search_qa.scripted.chain_plans import TOO_MANY_SEARCHES, Titles, plans_of, why_not_found
from rest_react.tasks.search_qa.task import SearchQA
from rest_react.tasks.search_qa.world import World, build_world
from rest_react.tasks.task_settings import TaskContext, TaskSettings, Verifies
from rest_react.text_safety.escaping import escape_control_tokens


@dataclass(frozen=True, slots=True)
class SearchQASettings(TaskSettings):
    """Search question answering."""

    packaged_prompts: ClassVar[Path] = PACKAGED_PROMPTS
    step_names: ClassVar[Mapping[str, str]] = dict(STEP_NAMES.items())
    closings: ClassVar[Mapping[str, str]] = dict(CLOSINGS.items())
    judge_prompts: ClassVar[tuple[str, ...]] = (
        "ranking.txt", "best_option.txt", "judged_good.txt", "judged_answer.txt", "read_answer.txt",
        "autoeval.txt",
    )  # fmt: skip
    searches: ClassVar[bool] = True
    verifies: ClassVar[Verifies] = "built-in world"
    has_items: ClassVar[bool] = True
    demonstrates_rows: ClassVar[bool] = True

    kind: Literal["search_qa"]

    def open(self, context: TaskContext) -> SearchQA:
        agent = _agent(context)
        return SearchQA(
            agent,
            only_grounded=context.only_grounded,
            max_searches=context.max_searches,
            min_passages=context.min_passages,
        )

    def exemplar_problem(self, kind: str, completion: str) -> str:
        return parse(cast(StepKind, kind), completion).problem

    def calls(self, searches: float, *, self_checks: bool) -> float:
        return 2 * searches + (4 if self_checks else 2)

    def built_in(self, seed: int, *, passages: int, demonstrations: int, train: int, evaluation: int) -> World:
        return build_world(seed, passages=passages, demonstrations=demonstrations, train=train, evaluation=evaluation)

    def demonstrable(self, rows: Sequence[LabelledQuestion], passages: Sequence[Passage] | None) -> World:
        plans, _ = plans_of(rows, Titles(passages))
        return World(tuple(passages or ()), tuple(rows), (), (), plans)

    async def left_out(self, items: BuiltInItems, search: Search | None, agent: AgentSettings) -> Mapping[str, str]:
        assert isinstance(items, World)
        if search is None:  # the built-in world, whose plans fit its search
            too_long = [text for text, plan in items.plans.items() if len(plan.hops) > agent.max_searches]
            ids = {escape_control_tokens(row.question.text): row.question.id for row in items.demonstrations}
            return {ids[text]: TOO_MANY_SEARCHES for text in too_long if text in ids}
        plans, left_out = plans_of(items.demonstrations, Titles(items.passages or None))
        for row in items.demonstrations:
            plan = plans.get(escape_control_tokens(row.question.text))
            if plan and row.question.id not in left_out and (reason := await why_not_found(plan, search, agent)):
                left_out[row.question.id] = reason
        return left_out

    def scripted(self, items: BuiltInItems, *, seed: int, slip: float, **shares: float) -> LLM:
        from rest_react.tasks.search_qa.scripted import ScriptedLLM

        assert isinstance(items, World)
        return ScriptedLLM(items.plans, seed=seed, slip=slip, **shares)


def _agent(context: TaskContext) -> SearchAgent | None:
    """The agent; None without a search engine."""
    a = context.agent
    if a is None or context.search is None:
        return None
    filled = with_numbers(context.prompts.by_kind, hits_per_search=a.hits_per_search, max_searches=a.max_searches)
    return SearchAgent(
        context.search,
        replace(context.prompts, by_kind=filled),
        a.max_searches,
        a.hits_per_search,
        a.self_checks,
        a.on_failed_check,
        a.max_research_rounds,
        a.search_first,
    )
