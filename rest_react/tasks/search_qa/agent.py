"""The Search Agent (paper section 2): answers one question and returns the trajectory.

    while searches remain:  decide ─ Search(query) → search tool → summarise → decide again
                                   └ Terminate     → on
    answer                  the draft
    relevance check         passes the current answer or revises it; with on_failed_check=research, searches again
    grounding check         the same
    → final answer

Thousands of these run at once; the engine batches their requests. A trajectory ends `finished` or `failed(fault)`, and
whatever it had done by then is kept.

    trajectory = await answer_question(agent, policy, Question("q1", "Who ...?"), trajectory_id="q1.0", seed=7)

Not here: one step (step), what PAST_ACTIONS holds after it (memory), many questions into one file (stages.rollouts),
and which sample becomes the training target (selection).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from rest_react.errors import ModelFault, OutsideFault, as_fault
from rest_react.protocols import Search as SearchClient
from rest_react.records import Fault, Hit, Question, Step, Trajectory, Usage
from rest_react.seeds import derive_seed
from rest_react.tasks.protocol import Policy, Watch
from rest_react.tasks.rollout import StepPrompts
from rest_react.tasks.search_qa.actions import (
    Action,
    Answer,
    CheckAnswer,
    PastAction,
    ResultItem,
    Search,
    StepKind,
    Terminate,
)
from rest_react.tasks.search_qa.judging import verifier
from rest_react.tasks.search_qa.memory import Memory, after
from rest_react.tasks.search_qa.render_state import render_state
from rest_react.tasks.search_qa.step import take_step
from rest_react.text_safety.escaping import escape_control_tokens
from rest_react.trajectories.parsed import CUT_OFF, ParsedStep

FindViolations: TypeAlias = Callable[[Action, str, Sequence[PastAction], Sequence[ResultItem], str], Sequence[str]]


@dataclass(frozen=True, slots=True)
class SearchAgent:
    """The agent's rules. With `search_first` it does not terminate before the first search. `violations` are the rules
    by which `select="verified"` chooses."""

    search: SearchClient
    prompts: StepPrompts = StepPrompts(exemplars="never")  # noqa: RUF009
    max_searches: int = 10
    hits_per_search: int = 3
    self_checks: bool = True
    on_failed_check: Literal["revise", "research"] = "revise"
    max_research_rounds: int = 1
    search_first: bool = False
    violations: FindViolations = verifier.violations


@dataclass(slots=True)
class _Rollout:
    """The steps, memory and usage of a trajectory so far."""

    policy: Policy
    question: str
    seed: int
    watch: Watch
    steps: list[Step] = field(default_factory=list)
    memory: Memory = field(default_factory=Memory)
    searches: int = 0
    next_link: int = 1
    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    draft: str = ""


async def answer_question(
    agent: SearchAgent,
    policy: Policy,
    question: Question,
    *,
    trajectory_id: str,
    seed: int,
    watch: Watch = lambda _: None,
) -> Trajectory:
    """Answers one question. Errors of the model and external errors are not raised: they are in the trajectory
    (`fault`).

    All sampling follows from `seed`; step i has the seed `derive_seed(seed, i)`. `watch` is called after each step.
    """
    rollout = _Rollout(policy, escape_control_tokens(question.text), seed, watch)
    fault: Fault | None = None
    try:
        await _search_until_done(agent, rollout)
        await _write_answer(agent, rollout)
        rollout.draft = rollout.memory.answer
        if agent.self_checks:
            await _check(agent, rollout, rounds=agent.max_research_rounds)
    except (ModelFault, OutsideFault) as error:
        fault = as_fault(error)
    return Trajectory(
        id=trajectory_id,
        question_id=question.id,
        question=question.text,
        outcome="failed" if fault else "finished",
        fault=fault,
        steps=tuple(rollout.steps),
        draft=rollout.draft,
        answer=rollout.memory.answer,
        usage=Usage(rollout.calls, rollout.prompt_tokens, rollout.completion_tokens, rollout.searches),
    )


async def _search_until_done(agent: SearchAgent, rollout: _Rollout) -> None:
    """Decides, searches and summarises until the model terminates or no searches remain (paper section 3.2)."""
    while True:
        remaining = agent.max_searches - rollout.searches
        state = render_state("decide", rollout.question, rollout.memory.past, remaining=remaining)
        if remaining <= 0:  # a forced Terminate, which memory.after adds to PAST_ACTIONS
            forced = ParsedStep(Step("decide", state, (), None, forced=True), ())
            _record(rollout, forced)
            _remember(rollout, forced)
            return
        decided = await _step(agent, rollout, "decide", state)
        _remember(rollout, decided)
        action = _action(decided)
        if isinstance(action, Terminate):
            return
        assert isinstance(action, Search)
        rollout.searches += 1
        hits = [_clean(hit) for hit in await agent.search.search(action.query, agent.hits_per_search)]
        await _summarise(agent, rollout, hits)


async def _summarise(agent: SearchAgent, rollout: _Rollout, hits: list[Hit]) -> None:
    """Summarises the hits. Selected hits stay in the memory under link ids that are unique in the trajectory."""
    first = rollout.next_link
    rollout.next_link += len(hits)
    items = [ResultItem(first + i, hit.title, hit.snippet) for i, hit in enumerate(hits)]
    state = render_state("summarise", rollout.question, rollout.memory.past, results=items)
    _remember(rollout, await _step(agent, rollout, "summarise", state, hits=hits, first_link=first))


async def _write_answer(agent: SearchAgent, rollout: _Rollout) -> None:
    state = render_state("answer", rollout.question, rollout.memory.past)
    answered = await _step(agent, rollout, "answer", state)
    assert isinstance(_action(answered), Answer)
    _remember(rollout, answered)


async def _check(agent: SearchAgent, rollout: _Rollout, rounds: int) -> None:
    """The two self-checks of the current answer; PAST_ACTIONS keeps the draft. After a failed check the answer is
    revised (the paper), or the agent searches again: at most `rounds` times, and only while searches remain."""
    checks: tuple[StepKind, ...] = ("relevance", "grounding")
    for kind in checks:
        state = render_state(kind, rollout.question, rollout.memory.past, answer=rollout.memory.answer)
        checked = await _step(agent, rollout, kind, state)
        action = _action(checked)
        if isinstance(action, CheckAnswer) and action.passed:
            continue
        if agent.on_failed_check == "research" and rounds > 0 and rollout.searches < agent.max_searches:
            await _search_until_done(agent, rollout)
            await _write_answer(agent, rollout)
            await _check(agent, rollout, rounds - 1)
            return
        _remember(rollout, checked)


async def _step(
    agent: SearchAgent,
    rollout: _Rollout,
    kind: StepKind,
    state: str,
    *,
    hits: Sequence[Hit] = (),
    first_link: int = 0,
) -> ParsedStep:
    """Takes a step. Raises ModelFault if no sample is usable."""
    seed = derive_seed(rollout.seed, len(rollout.steps))
    shown = [ResultItem(first_link + i, hit.title, hit.snippet) for i, hit in enumerate(hits)]
    memory = rollout.memory

    def sound(action: Action) -> bool:
        verified = rollout.policy.select == "verified"
        return not verified or not agent.violations(action, rollout.question, memory.past, shown, memory.answer)

    sampled = await take_step(
        rollout.policy, kind, state, agent.prompts, seed, hits=hits, first_link=first_link, sound=sound,
        search_first=rollout.question if agent.search_first and rollout.searches == 0 else "",
    )  # fmt: skip
    parsed = sampled.parsed
    rollout.calls += 1
    rollout.prompt_tokens += sampled.prompt_tokens
    rollout.completion_tokens += sum(candidate.tokens for candidate in parsed.step.candidates)
    _record(rollout, parsed)
    if parsed.chosen is None:
        reasons = sorted({candidate.problem for candidate in parsed.step.candidates})
        out = "; raise agent.max_tokens" if any(c.finish == CUT_OFF for c in parsed.step.candidates) else ""
        number = len(rollout.steps) - 1
        raise ModelFault(f"no usable sample at step {number} ({kind}): {'; '.join(reasons)[:300]}{out}")
    return parsed


def _action(parsed: ParsedStep) -> Action:
    """The action of the chosen sample, which must exist."""
    assert parsed.chosen is not None
    action: Action = parsed.chosen.action
    return action


def _record(rollout: _Rollout, parsed: ParsedStep) -> None:
    rollout.steps.append(parsed.step)
    rollout.watch(parsed)


def _remember(rollout: _Rollout, parsed: ParsedStep) -> None:
    rollout.memory = after(rollout.memory, parsed)


def _clean(hit: Hit) -> Hit:
    return replace(hit, title=escape_control_tokens(hit.title), snippet=escape_control_tokens(hit.snippet))
