"""Two fake language models: `ScriptedLLM`, which follows known plans and makes errors in known shares, and
`RecordedLLM`, which returns recorded texts.

`ScriptedLLM` parses the state (Python, read with `ast`) and writes the next action of the question's `Plan`. For the
plan "author of The Lantern of Dravol", then "birthplace of Imra Tesken", after the first search:

    ACTION_SELECTED = ActionWrapper(thoughts="I need the birthplace of Imra Tesken.", action=Search(...))  # [END]

Each sample is drawn independently: right, wrong (a plausible error), unparsable, or with an empty element. The output
depends only on the prompt and the seed. With `slip` it is the expert that writes demonstrations: at times
it searches badly or drafts a flawed answer, so that its next steps show the repair. Such outputs are marked by
`finish="slip"`, so that nobody is trained on them. A question without a plan is searched for as it stands and answered
with the first hit.

`RecordedLLM` returns exactly the texts that a test needs, and raises recorded errors:

    RecordedLLM({"# step: decision": [["ACTION_SELECTED = ..."], OutsideFault("HTTP 503")]})

Not here: plans (tasks.search_qa.world), and language models (llm).
"""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, ClassVar, Literal, TypeAlias

from rest_react.errors import ConfigError, ModelFault, OutsideFault
from rest_react.llm.model_settings import ModelContext, ModelSettings, Runs, Tuned
from rest_react.llm.option_scores import scores_of_listed
from rest_react.metrics.prices import Price
from rest_react.records import Completion, Hop, OptionScores, Plan, Prompt, Sampling
from rest_react.remote.budget import Metered
from rest_react.remote.usage import Tokens
from rest_react.seeds import derive_seed
from rest_react.setting_types import Count, Name, Share
from rest_react.tasks.search_qa.actions import (
    Action,
    Answer,
    CheckAnswer,
    LinkSelection,
    ResultItem,
    ReviseAnswer,
    Search,
    SelectLink,
    StepKind,
    Terminate,
    render_output,
)
from rest_react.tasks.search_qa.render_state import STEP_NAMES
from rest_react.text_safety import escape_control_tokens

_KINDS: Mapping[str, StepKind] = {name: kind for kind, name in STEP_NAMES.items()}
_CITATION = re.compile(r"\s*\[link_id=\d+\]")
# Mean log-probability of a token, and its spread: right outputs are a little likelier, but the ranges overlap.
_LOGPROBS = {"right": (-0.25, 0.10), "wrong": (-0.35, 0.15), "unparsable": (-0.60, 0.20), "empty": (-0.40, 0.15)}


@dataclass(frozen=True, slots=True)
class _SearchResult:
    links: tuple[ResultItem, ...]


_Readable: TypeAlias = type[Search | SelectLink | Terminate | Answer | ResultItem | _SearchResult]
_CALLS: Mapping[str, _Readable] = {
    "Search": Search,
    "SelectLink": SelectLink,
    "Terminate": Terminate,
    "Answer": Answer,
    "ResultItem": ResultItem,
    "SearchResult": _SearchResult,
}


@dataclass(frozen=True, slots=True)
class _State:
    """A parsed state. `selected` maps the title of each selected link to its id; `came_up_empty` says that nothing was
    selected from the last search."""

    kind: StepKind
    question: str
    past: tuple[Any, ...]
    results: tuple[ResultItem, ...]
    remaining: int | None
    answer: str
    selected: Mapping[str, int]
    queries: frozenset[str]
    came_up_empty: bool


@dataclass(frozen=True, slots=True)
class ScriptedModel(ModelSettings):
    """The scripted policy, without a language model: shares of right, wrong, unparsable and empty samples."""

    runs: ClassVar[Runs] = "script"
    tuned: ClassVar[Tuned] = "here"

    kind: Literal["scripted"]
    model: Name  # the model that fine-tuning tunes
    right: Share  # of the samples, relative to the other three
    wrong: Share  # samples with a plausible mistake
    unparsable: Share  # samples that cannot be parsed
    empty: Share  # samples with an empty element
    in_flight: Count  # trajectories at once
    price: Price  # US dollars per million tokens, input and output

    def open(self, context: ModelContext) -> Metered:
        shares = {name: getattr(self, name) for name in ("right", "wrong", "unparsable", "empty")}
        return Metered(context.scripted(**shares), context.meter)

    def problems(self, path: str) -> Iterator[str]:
        if self.right + self.wrong + self.unparsable + self.empty <= 0:
            yield f"{path}: right, wrong, unparsable and empty are all 0; give at least one a share"


class ScriptedLLM:
    """An `LLM` that follows plans, keyed by the question's text. The four shares are normalised."""

    def __init__(
        self,
        plans: Mapping[str, Plan],
        *,
        seed: int,
        right: float,
        wrong: float,
        unparsable: float,
        empty: float,
        slip: float = 0.0,
    ) -> None:
        shares = {"right": right, "wrong": wrong, "unparsable": unparsable, "empty": empty}
        problems = [f"policy.{name}: {share} is below 0; give a share" for name, share in shares.items() if share < 0]
        if not problems and sum(shares.values()) <= 0:
            problems = ["policy.right: all four shares are 0; give at least one above 0"]
        if not 0 <= slip <= 1:
            problems.append(f"policy.slip: {slip} is no probability; give 0 to 1")
        if problems:
            raise ConfigError(problems)
        self._plans = plans
        self._seed = seed
        self._shares = shares
        self._slip = slip

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        """n samples, each drawn from `derive_seed(sampling.seed, i)` alone."""
        state = _read(prompt.state)
        plan = self._plans.get(state.question) or _improvised(state)
        right = _right(state, plan)
        slipped = self._slipped(state, plan)
        seen = len(prompt.text.split())
        completions = []
        for i in range(n):
            rng = Random(derive_seed(sampling.seed, i))
            drawn = rng.choices(list(self._shares), list(self._shares.values()))[0]
            if drawn == "right":
                text = render_output(slipped or right)
            elif drawn == "wrong":
                text = render_output(_wrong(state, plan, right, rng))
            elif drawn == "empty":
                text = render_output(_emptied(right))
            else:
                text = _unparsable(render_output(right), rng)
            finish = "slip" if drawn == "right" and slipped else "stop"
            words = len(text.split())
            completions.append(Completion(text, words, _logprob(drawn, words, prompt.state, text), finish, seen))
        return completions

    async def score(self, prompt: Prompt, options: Sequence[str]) -> None:
        """None: a script has no log-probabilities of options."""

    async def aclose(self) -> None:
        """Nothing to release."""

    def _slipped(self, state: _State, plan: Plan) -> Action | None:
        """The flawed action this step gets instead of the right one, if any: a function of question and state."""
        rng = Random(derive_seed(self._seed, "slip", state.kind, state.question, len(state.past)))
        if rng.random() >= self._slip:
            return None
        if state.kind == "answer":
            cites = _cites(state.selected.values())
            bare = _CITATION.sub("", _answer(state, plan).answer)
            flawed = rng.choice((bare, f"The links found are about this question{cites}."))
            return Answer("I write down what I have.", flawed)
        hop = _next_hop(state, plan)
        # One bad search a trajectory: a second query outside the plan would be the second.
        if state.kind == "decide" and hop and state.queries <= {planned.query for planned in plan.hops}:
            return Search(_vague(hop), "I look for this in general.")
        return None


Reply: TypeAlias = Sequence[str | Completion] | Mapping[str, float] | ModelFault | OutsideFault


class RecordedLLM:
    """An `LLM` that returns recorded replies. The first key of `replies` that the prompt contains selects the replies;
    the nth call with that key gets the nth reply, and later calls the last one.

    A reply is an error to raise, a list of samples, which repeats if more are requested, or the log-probabilities that
    a server lists for options; then a list of samples means that it gives none. A plain text has one token per word,
    with equal log-probabilities. `asked` has every prompt and its sampling settings, or the options to score.
    """

    def __init__(self, replies: Mapping[str, Sequence[Reply]]) -> None:
        self._replies = replies
        self._calls: Counter[str] = Counter()
        self.asked: list[tuple[Prompt, Sampling | tuple[str, ...]]] = []

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        """n samples of the next reply."""
        self.asked.append((prompt, sampling))
        reply = self._next(prompt)
        if isinstance(reply, Mapping):
            raise LookupError("scores are recorded here, but samples are asked for")
        return [_recorded(reply[i % len(reply)], prompt.text) for i in range(n)]

    async def score(self, prompt: Prompt, options: Sequence[str]) -> OptionScores | None:
        """The next reply, if it has scores. A reply with samples is kept for `sample`."""
        self.asked.append((prompt, tuple(options)))
        reply = self._next(prompt, only_scores=True)
        used = Tokens(len(prompt.text.split()), 1)
        return scores_of_listed(options, reply, used) if isinstance(reply, Mapping) else None

    def _next(self, prompt: Prompt, *, only_scores: bool = False) -> Sequence[str | Completion] | Mapping[str, float]:
        text = prompt.text
        mark = next((mark for mark in self._replies if mark in text), None)
        if mark is None:
            raise LookupError(f"no reply is recorded for: ...{text[-200:]}")
        reply = self._replies[mark][: self._calls[mark] + 1][-1]
        if not only_scores or isinstance(reply, (Mapping, ModelFault, OutsideFault)):
            self._calls[mark] += 1
        if isinstance(reply, (ModelFault, OutsideFault)):
            raise reply
        return reply

    async def aclose(self) -> None:
        """Nothing to release."""


def _recorded(sample: str | Completion, prompt: str) -> Completion:
    if isinstance(sample, Completion):
        return sample
    words = len(sample.split())
    return Completion(sample, words, -float(words), "stop", len(prompt.split()))


def _read(text: str) -> _State:
    """Parses a state: the inverse of `render_state`."""
    fields: dict[str, Any] = {}
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            fields[statement.targets[0].id] = _value(statement.value)
    past = fields["PAST_ACTIONS"]
    held = [item for action in past if isinstance(action, SelectLink) for item in action.selected_links]
    return _State(
        kind=_KINDS[text.rstrip().rpartition("# step: ")[2]],
        question=fields["ORIGINAL_QUESTION"],
        past=past,
        results=fields.get("CURRENT_SEARCH_RESULTS", _SearchResult(())).links,
        remaining=fields.get("REMAINING_SEARCHES"),
        answer=fields.get("ANSWER", ""),
        selected={item.link_text: item.link_id for item in reversed(held)},
        queries=frozenset(action.query for action in past if isinstance(action, Search)),
        came_up_empty=bool(past) and isinstance(past[-1], SelectLink) and not past[-1].selected_links,
    )


def _value(node: ast.expr) -> Any:
    match node:
        case ast.List(elements):
            return tuple(map(_value, elements))
        case ast.Call(ast.Name(name), _, keywords):
            return _CALLS[name](**{str(keyword.arg): _value(keyword.value) for keyword in keywords})
        case ast.Constant(constant):
            return constant
    raise ValueError(f"a state holds names, calls, lists and constants, not {ast.unparse(node)[:80]}")


def _improvised(state: _State) -> Plan:
    """A plan for a question without one: search for its text, and answer with the first hit."""
    items = [item for action in state.past if isinstance(action, SelectLink) for item in action.selected_links]
    first = next(iter((*items, *state.results)), ResultItem(0, "", ""))
    finding = _line(first.snippet[:300]) or _line(first.link_text) or "This link says nothing."
    hop = Hop(_line(state.question) or "question", "I search for the question itself.", first.link_text, finding)
    return Plan(state.question, (hop,), "I found something, so I can answer.", f"{finding} {{0}}")


def _line(text: str) -> str:
    """Untrusted text as one line, safe in a comment."""
    return escape_control_tokens(" ".join(text.split()))


def _right(state: _State, plan: Plan) -> Action:
    """The correct action in this state."""
    match state.kind:
        case "decide":
            return _decide(state, plan)
        case "summarise":
            return _summarise(state, plan)
        case "answer":
            return _answer(state, plan)
        case "relevance":
            return _check_relevance(state, plan)
        case "grounding":
            return _check_grounding(state, plan)


def _next_hop(state: _State, plan: Plan) -> Hop | None:
    """The first hop whose search is neither done nor without result."""
    if state.remaining == 0:
        return None
    open_hops = (hop for hop in plan.hops if _link(state, hop) is None and hop.query not in state.queries)
    return next(open_hops, None)


def _link(state: _State, hop: Hop) -> int | None:
    return state.selected.get(escape_control_tokens(hop.title))


def _decide(state: _State, plan: Plan) -> Search | Terminate:
    hop = _next_hop(state, plan)
    if hop is None:
        complete = all(_link(state, hop) is not None for hop in plan.hops)
        return Terminate(plan.thoughts if complete else "More searches will not help, so I stop.")
    return Search(hop.query, "That found nothing, so I ask precisely." if state.came_up_empty else hop.thoughts)


def _summarise(state: _State, plan: Plan) -> LinkSelection:
    """Selects the gold links that are not selected yet, one per hop."""
    shown = {item.link_text: item.link_id for item in reversed(state.results)}
    wanted = {escape_control_tokens(hop.title): hop for hop in plan.hops if _link(state, hop) is None}
    chosen = {shown[title]: hop for title, hop in wanted.items() if title in shown}
    comments = tuple(
        f"Not selected [link_id={item.link_id}]: it is {_line(item.link_text)}."
        for item in state.results
        if plan.tells_rejected and item.link_id not in chosen
    )
    if not chosen:
        return LinkSelection("Nothing is selected.", "No link helps, so I need another query.", (), comments)
    summary = " ".join(f"{hop.finding.removesuffix('.')} [link_id={link}]." for link, hop in chosen.items())
    return LinkSelection(summary, "I keep this link.", tuple(chosen), comments)


def _answer(state: _State, plan: Plan) -> Answer:
    links = [_link(state, hop) for hop in plan.hops]
    if None in links:
        found = _cites(link for link in links if link is not None)
        return Answer("Some facts are missing, and I say so.", f"The links found{found} do not settle this question.")
    text = plan.answer
    for i, link in enumerate(links):
        text = text.replace(f"{{{i}}}", f"[link_id={link}]")
    return Answer(plan.thoughts, text)


def _cites(links: Iterable[int]) -> str:
    return "".join(f" [link_id={link}]" for link in links)


def _check_relevance(state: _State, plan: Plan) -> CheckAnswer | ReviseAnswer:
    """Checks whether the answer fits the question; the grounding check covers citations."""
    expected = _answer(state, plan).answer
    if _CITATION.sub("", state.answer) == _CITATION.sub("", expected):
        return CheckAnswer(True, ("The answer says what the question asks for.",))
    return ReviseAnswer(expected, ("The answer does not say what the question asks for.",))


def _check_grounding(state: _State, plan: Plan) -> CheckAnswer | ReviseAnswer:
    """Checks whether every claim cites a selected link."""
    expected = _answer(state, plan).answer
    if state.answer != expected:
        return ReviseAnswer(expected, ("The answer does not cite the links that support it.",))
    cited = [link for hop in plan.hops if (link := _link(state, hop)) is not None]
    supports = tuple(f"[link_id={link}] supports its claim." for link in cited)
    return CheckAnswer(True, supports or ("The answer claims nothing.",))


def _wrong(state: _State, plan: Plan, right: Action, rng: Random) -> Action:
    """A plausible error with the same kind of call; never the right action."""
    match right:
        case Search(query):
            vague = _vague(next((hop for hop in plan.hops if hop.query == query), plan.hops[0]))
            return rng.choice((Search(vague, "Perhaps this finds it."), Terminate("I think I know enough.")))
        case Terminate():
            return Search(f"more about {plan.hops[0].query}", "I had better make sure.")
        case LinkSelection(selected_link_ids=ids):
            others = [item for item in state.results if item.link_id not in ids]
            if others and (not ids or rng.random() < 0.5):
                item = rng.choice(others)
                summary = f"It is {_line(item.link_text) or 'there'} [link_id={item.link_id}]."
                return LinkSelection(summary, "This looks right.", (item.link_id,))
            return LinkSelection("None of this seems to help.", "I try something else.", ())
        case Answer():
            return Answer("I answer as I remember it.", _wrong_answer(state, plan))
        case CheckAnswer():
            revised = ReviseAnswer(_wrong_answer(state, plan), ("The answer looks wrong to me.",))
            return rng.choice((revised, CheckAnswer(False, ("I am not convinced by the answer.",))))
        case ReviseAnswer():
            return CheckAnswer(True, ("The answer looks fine to me.",))


def _wrong_answer(state: _State, plan: Plan) -> str:
    """A wrong answer: the opposite, or a name from an earlier hop."""
    cites = _cites(state.selected.values())
    for said, opposite in (("Yes,", "No, they differ"), ("No,", "Yes, they are the same")):
        if plan.answer.startswith(said):
            return f"{opposite}{cites}."
    unsaid = [hop.title for hop in plan.hops if hop.title and hop.title not in plan.answer]
    return f"It is {_line((unsaid or [plan.hops[0].title])[-1]) or 'unknown'}{cites}."


def _vague(hop: Hop) -> str:
    """The query of a hop without the name that it needs."""
    vague = " ".join(hop.query.replace(hop.title, "it").split()) if hop.title else hop.query
    return vague if vague != hop.query else "more about it"


def _emptied(right: Action) -> Action:
    match right:
        case CheckAnswer() | ReviseAnswer():
            return replace(right, comments=())
        case _:
            return replace(right, thoughts="")


def _unparsable(text: str, rng: Random) -> str:
    """Prose instead of a call, or a text that ends before its call."""
    prose = "Let me think about what is known so far and what should be done next."
    head = text.partition("ACTION_SELECTED = ")
    return rng.choice((prose, f"{head[0]}{head[1]}{head[2][: rng.randrange(1, 5)]}"))


def _logprob(drawn: str, words: int, state: str, text: str) -> float:
    """The log-probability of a text, plausible and always the same for the same text and state."""
    mean, spread = _LOGPROBS[drawn]
    return words * min(Random(derive_seed("logprob", state, text)).gauss(mean, spread), -0.01)
