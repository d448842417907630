"""One reasoning step: sample, parse, choose (paper section 3.2).

    step, action = await take_step(llm, "decide", state, prompts, sampler, seed)

All samples are stored in the step, parsable or not; `action` is what the chosen one says, None if none can be used.
Not here: what the action leads to (search_agent), and which sample becomes the training target (improve).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rest_react.actions import Action, LinkSelection, decision_of
from rest_react.parsing import parse
from rest_react.prompting import STOP, StepPrompt, prompt_for
from rest_react.records import LLM, Candidate, Completion, Hit, Sampling, Step, StepKind

Select = Literal["perplexity", "majority", "first"]


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
) -> Sampled:
    """Samples `kind` at `state` and chooses. Raises what the door raises: ModelFault, OutsideFault."""
    sampling = Sampling(sampler.temperature, sampler.max_tokens, seed, stop=(STOP,))
    completions = await llm.sample(prompt_for(kind, state, prompts), n=sampler.samples, sampling=sampling)
    links = range(first_link, first_link + len(hits))
    read = [_read(kind, completion, links) for completion in completions]
    candidates = tuple(candidate for candidate, _ in read)
    actions = [action for _, action in read]
    chosen = choose(candidates, actions, sampler.select)
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
    return [_read_text(step.kind, candidate.text, links)[0] for candidate in step.candidates]


def _read_text(kind: StepKind, text: str, links: range) -> tuple[Action | None, str]:
    """The action a text stands for where these links were shown, or why it stands for none."""
    parsed = parse(kind, text)
    if isinstance(parsed.action, LinkSelection):
        unknown = [i for i in parsed.action.selected_link_ids if i not in links]
        if unknown:
            return None, f"selects link {unknown[0]}, which was not shown"
    return parsed.action, parsed.problem


def _read(kind: StepKind, completion: Completion, links: range) -> tuple[Candidate, Action | None]:
    text = completion.text.split(STOP, 1)[0].rstrip()
    action, problem = _read_text(kind, text, links)
    if action is None and completion.finish == "length":
        problem = f"cut off at {completion.tokens} tokens: {problem}"
    return Candidate(text, completion.tokens, completion.logprob, completion.finish, problem), action
