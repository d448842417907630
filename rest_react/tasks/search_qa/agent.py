"""The Search Agent (paper section 2): one question, one straight line of awaits, one trajectory.

    while searches remain:  decide ─ Search(query) → search tool → summarise → decide again
                                   └ Terminate     → on
    answer                  the draft
    relevance check         passes the current answer or revises it
    grounding check         the same
    → final answer

Thousands of these run at once; batching is the engine's business. A trajectory ends `finished` or `failed(fault)`,
and whatever it had done by then is kept.

One step (sample, parse, choose), and one question:

    sampled = await take_step(llm, "decide", state, prompts, sampler, seed)
    trajectory = await answer_question(agent, Question("q1", "Who ...?"), trajectory_id="q1.0", seed=7)

A step stores all its samples, parsable or not.
Not here: many questions into one file (stages.rollouts), and which sample becomes the training target (improve).
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from rest_react.errors import ModelFault, OutsideFault, as_fault
from rest_react.protocols import LLM
from rest_react.protocols import Search as SearchDoor
from rest_react.records import Candidate, Completion, Fault, Hit, Question, Sampling, Step, StepKind, Trajectory, Usage
from rest_react.seeds import derive_seed
from rest_react.tasks.search_qa.actions import (
    Action,
    Answer,
    CheckAnswer,
    LinkSelection,
    PastAction,
    ResultItem,
    ReviseAnswer,
    Search,
    SelectLink,
    Terminate,
    decision_of,
)
from rest_react.tasks.search_qa.parsing import Parsed, parse
from rest_react.tasks.search_qa.states import STOP, StepPrompt, prompt_for, render_state
from rest_react.text_safety import escape_control_tokens

NOTHING_SELECTED = "Nothing is selected."
CUT_OFF = "length"  # a candidate's `finish` where its token limit ended it
BUDGET_SPENT = "No searches remain, so I answer with what I have."
Watch: TypeAlias = Callable[[Step, Action | None], None]
Select = Literal["perplexity", "majority", "first"]
Violations: TypeAlias = Callable[[Action, str, Sequence[PastAction], Sequence[ResultItem], str], Sequence[str]]


# ── one step: sample, parse, choose (paper section 3.2) ───────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Sampler:
    """How every step is sampled and which sample moves on. `max_tokens` bounds one sample."""

    samples: int
    temperature: float
    max_tokens: int
    select: Select


@dataclass(frozen=True, slots=True)
class Sampled:
    """A step, the action it chose, and the tokens of its prompt."""

    step: Step
    action: Action | None
    prompt_tokens: int


async def take_step(
    llm: LLM,
    kind: StepKind,
    state: str,
    prompts: Mapping[StepKind, StepPrompt] | None,
    sampler: Sampler,
    seed: int,
    *,
    hits: Sequence[Hit] = (),
    first_link: int = 0,
    sound: Callable[[Action], bool] = lambda _: True,
) -> Sampled:
    """Samples `kind` at `state` and chooses, among the `sound` ones where there are any. Raises what the door raises:
    ModelFault, OutsideFault."""
    sampling = Sampling(sampler.temperature, sampler.max_tokens, seed, stop=(STOP,))
    completions = await llm.sample(prompt_for(kind, state, prompts), n=sampler.samples, sampling=sampling)
    links = range(first_link, first_link + len(hits))
    read = [_read(kind, completion, links, sampler.max_tokens) for completion in completions]
    candidates = tuple(candidate for candidate, _ in read)
    actions = [action for _, action in read]
    usable = {i: action for i, action in enumerate(actions) if action is not None}
    among = [i for i, action in usable.items() if len(usable) > 1 and sound(action)]
    chosen = choose(candidates, actions, sampler.select, among or None)
    step = Step(kind, state, candidates, chosen, hits=tuple(hits), first_link=first_link)
    action = None if chosen is None else actions[chosen]
    return Sampled(step, action, completions[0].prompt_tokens if completions else 0)


def choose(
    candidates: Sequence[Candidate],
    actions: Sequence[Action | None],
    select: Select,
    among: Sequence[int] | None = None,
) -> int | None:
    """The index of the sample that moves on: a parsable one, from `among` where given, the first of equals.

    `perplexity` needs log-probabilities of all of them and is `majority` where a provider gives none. Every parsable
    sample has a vote, whether it can win or not.
    """
    decisions = {i: decision_of(action) for i, action in enumerate(actions) if action is not None}
    usable = [i for i in decisions if among is None or i in among]
    if not usable or select == "first":
        return usable[0] if usable else None
    perplexities = {i: p for i in usable if (p := candidates[i].perplexity) is not None}
    if select == "perplexity" and len(perplexities) == len(usable):
        return min(usable, key=perplexities.__getitem__)
    votes = Counter(decisions.values())
    return max(usable, key=lambda i: votes[decisions[i]])


def actions_of(step: Step) -> list[Action | None]:
    """What each candidate of a stored step stands for."""
    links = range(step.first_link, step.first_link + len(step.hits))
    return [
        None if candidate.finish == CUT_OFF else _read_text(step.kind, candidate.text, links).action
        for candidate in step.candidates
    ]


def _read_text(kind: StepKind, text: str, links: range) -> Parsed:
    """The action a text stands for where these links were shown, or why it stands for none."""
    parsed = parse(kind, text)
    if isinstance(parsed.action, LinkSelection):
        unknown = [i for i in parsed.action.selected_link_ids if i not in links]
        if unknown:
            return Parsed(None, f"selects link {unknown[0]}, which was not shown")
    return parsed


def _read(kind: StepKind, completion: Completion, links: range, max_tokens: int) -> tuple[Candidate, Action | None]:
    """The candidate to store, and its action. A sample that its token limit cut off has none, even where a repair
    would find one: training on it would teach to stop in the middle."""
    text = completion.text.split(STOP, 1)[0].rstrip()
    parsed, finish = _read_text(kind, text, links), _finish(completion, max_tokens)
    tokens, logprob = _over_action(completion, text, parsed.spans)
    if finish == CUT_OFF:
        cut = f"cut off at {completion.tokens} tokens"
        parsed = Parsed(None, f"{cut}: {parsed.problem}" if parsed.problem else cut)
    return Candidate(
        text, completion.tokens, completion.logprob, finish, parsed.problem, tokens, logprob
    ), parsed.action  # fmt: skip


def _finish(completion: Completion, max_tokens: int) -> str:
    """How the sample ended. A text with its end mark is whole, whatever came after it. Some servers do not say that the
    limit was reached, or say `stop`: then it shows in the count, and for `stop` in a text that ends in no bracket."""
    if STOP in completion.text:
        return "stop" if completion.finish == CUT_OFF else completion.finish
    whole = completion.finish == "stop" and completion.text.rstrip().endswith((")", "]", "}", "`"))
    if completion.finish in ("", "stop") and completion.tokens >= max_tokens and not whole:
        return CUT_OFF
    return completion.finish


def _over_action(completion: Completion, text: str, spans: Sequence[tuple[int, int]]) -> tuple[int, float | None]:
    """How many tokens stand in these parts of the text, and their log-probability; 0 and None where it is not known."""
    places = [[len(text[:at].encode("utf-8", "replace")) for at in span] for span in spans]
    starts = (0, *completion.token_ends)
    inside = [
        logprob
        for start, end, logprob in zip(starts, completion.token_ends, completion.token_logprobs, strict=False)
        if end > start and any(start < last and first < end for first, last in places)
    ]
    return len(inside), sum(inside) if inside else None


# ── one question ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class SearchAgent:
    """The agent's parts and rules. `prompts` is None for a tuned policy, which sees the bare state. With `violations`
    (tasks.search_qa.verifier), the chosen sample is one that violates no rule, if there is any."""

    llm: LLM
    search: SearchDoor
    sampler: Sampler
    prompts: Mapping[StepKind, StepPrompt] | None
    max_searches: int = 10
    hits_per_search: int = 3
    self_checks: bool = True
    on_failed_check: Literal["revise", "research"] = "revise"
    max_research_rounds: int = 1
    violations: Violations | None = None


@dataclass(slots=True)
class _Walk:
    """What one trajectory has gathered so far."""

    question: str
    seed: int
    watch: Watch
    steps: list[Step] = field(default_factory=list)
    past: list[PastAction] = field(default_factory=list)
    searches: int = 0
    next_link: int = 1
    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    draft: str = ""
    answer: str = ""


async def answer_question(
    agent: SearchAgent, question: Question, *, trajectory_id: str, seed: int, watch: Watch = lambda *_: None
) -> Trajectory:
    """Walks one question to its end; never raises for a fault of the model or of the outside.

    `seed` fixes every draw; step i samples from `derive_seed(seed, i)`. `watch` sees each step as it happens.
    """
    walk = _Walk(escape_control_tokens(question.text), seed, watch)
    fault: Fault | None = None
    try:
        await _research(agent, walk)
        await _write_answer(agent, walk)
        walk.draft = walk.answer
        if agent.self_checks:
            await _check(agent, walk, rounds=agent.max_research_rounds)
    except (ModelFault, OutsideFault) as error:
        fault = as_fault(error)
    return Trajectory(
        id=trajectory_id,
        question_id=question.id,
        question=question.text,
        outcome="failed" if fault else "finished",
        fault=fault,
        steps=tuple(walk.steps),
        draft=walk.draft,
        answer=walk.answer,
        usage=Usage(walk.calls, walk.prompt_tokens, walk.completion_tokens, walk.searches),
    )


async def _research(agent: SearchAgent, walk: _Walk) -> None:
    """decide, search, summarise until the model terminates or the budget makes it (paper section 3.2)."""
    while True:
        remaining = agent.max_searches - walk.searches
        state = render_state("decide", walk.question, walk.past, remaining=remaining)
        if remaining <= 0:
            _record(walk, Step("decide", state, (), None, forced=True), None)
            walk.past.append(Terminate(BUDGET_SPENT))
            return
        action = await _step(agent, walk, "decide", state)
        if isinstance(action, Terminate):
            walk.past.append(action)
            return
        assert isinstance(action, Search)
        walk.past.append(action)
        walk.searches += 1
        hits = [_clean(hit) for hit in await agent.search.search(action.query, agent.hits_per_search)]
        await _summarise(agent, walk, hits)


async def _summarise(agent: SearchAgent, walk: _Walk, hits: list[Hit]) -> None:
    """Keeps what helps of the hits under link ids that run on over the trajectory; the rest is forgotten."""
    first = walk.next_link
    walk.next_link += len(hits)
    items = [ResultItem(first + i, hit.title, hit.snippet) for i, hit in enumerate(hits)]
    state = render_state("summarise", walk.question, walk.past, results=items)
    action = await _step(agent, walk, "summarise", state, hits=hits, first_link=first)
    assert isinstance(action, LinkSelection)
    selected = tuple(item for item in items if item.link_id in action.selected_link_ids)
    summary = action.grounded_summarization if selected else NOTHING_SELECTED
    walk.past.append(SelectLink(selected, summary, action.thoughts))


async def _write_answer(agent: SearchAgent, walk: _Walk) -> None:
    action = await _step(agent, walk, "answer", render_state("answer", walk.question, walk.past))
    assert isinstance(action, Answer)
    walk.past.append(action)
    walk.answer = action.answer


async def _check(agent: SearchAgent, walk: _Walk, rounds: int) -> None:
    """The two self-checks on the current text, while PAST_ACTIONS keeps the draft. A check that fails revises (the
    paper), or sends the agent back to search, at most `rounds` times and only while searches remain."""
    checks: tuple[StepKind, ...] = ("relevance", "grounding")
    for kind in checks:
        action = await _step(agent, walk, kind, render_state(kind, walk.question, walk.past, answer=walk.answer))
        if isinstance(action, CheckAnswer) and action.passed:
            continue
        if agent.on_failed_check == "research" and rounds > 0 and walk.searches < agent.max_searches:
            await _research(agent, walk)
            await _write_answer(agent, walk)
            await _check(agent, walk, rounds - 1)
            return
        if isinstance(action, ReviseAnswer):
            walk.answer = action.revised_answer


async def _step(
    agent: SearchAgent, walk: _Walk, kind: StepKind, state: str, *, hits: list[Hit] | None = None, first_link: int = 0
) -> Action:
    seed = derive_seed(walk.seed, len(walk.steps))
    hits = hits or []
    shown = [ResultItem(first_link + i, hit.title, hit.snippet) for i, hit in enumerate(hits)]

    def sound(action: Action) -> bool:
        return agent.violations is None or not agent.violations(action, walk.question, walk.past, shown, walk.answer)

    sampled = await take_step(
        agent.llm, kind, state, agent.prompts, agent.sampler, seed, hits=hits, first_link=first_link, sound=sound
    )
    walk.calls += 1
    walk.prompt_tokens += sampled.prompt_tokens
    walk.completion_tokens += sum(candidate.tokens for candidate in sampled.step.candidates)
    _record(walk, sampled.step, sampled.action)
    if sampled.action is None:
        reasons = sorted({candidate.problem for candidate in sampled.step.candidates})
        out = "; raise agent.max_tokens" if any(c.finish == CUT_OFF for c in sampled.step.candidates) else ""
        raise ModelFault(f"no usable sample at step {len(walk.steps) - 1} ({kind}): {'; '.join(reasons)[:300]}{out}")
    return sampled.action


def _record(walk: _Walk, step: Step, action: Action | None) -> None:
    walk.steps.append(step)
    walk.watch(step, action)


def _clean(hit: Hit) -> Hit:
    return Hit(hit.source, escape_control_tokens(hit.title), escape_control_tokens(hit.snippet))
