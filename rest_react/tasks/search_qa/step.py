"""One step of the agent: sample, parse, choose (paper section 3.2).

    sampled = await take_step(policy, "decide", state, prompts, seed)
    sampled.parsed.step        # as stored, with all samples, also those that do not parse
    sampled.parsed.chosen      # the chosen action; None if no sample is usable

Not here: parsing of a text (tasks.search_qa.reading.parsing), and the next step (tasks.search_qa.agent).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rest_react.prompts import STOP
from rest_react.records import Candidate, Completion, Hit, Sampling, Step
from rest_react.selection.selectors import choose
from rest_react.tasks.protocol import Policy
from rest_react.tasks.rollout import StepPrompts
from rest_react.tasks.sample_end import END_MARK, ended
from rest_react.tasks.search_qa.actions import (
    STEP_KINDS,
    Action,
    LinkSelection,
    StepKind,
    canonical_text,
    decision_of,
    empty_elements,
)
from rest_react.tasks.search_qa.reading.parsing import Parsed, parse
from rest_react.tasks.search_qa.search_first import REFUSED, refuse_terminate
from rest_react.trajectories.parsed import CUT_OFF, ParsedAction, ParsedStep


@dataclass(frozen=True, slots=True)
class Sampled:
    """A parsed step, and the number of tokens of its prompt."""

    parsed: ParsedStep
    prompt_tokens: int


async def take_step(
    policy: Policy,
    kind: StepKind,
    state: str,
    prompts: StepPrompts,
    seed: int,
    *,
    hits: Sequence[Hit] = (),
    first_link: int = 0,
    sound: Callable[[Action], bool] = lambda _: True,
    search_first: str = "",
) -> Sampled:
    """Samples a step of this kind at `state` and chooses a sample; if some samples are `sound`, one of these. With
    the question as `search_first`, not one that terminates. Raises the errors of the client: ModelFault,
    OutsideFault."""
    sampling = Sampling(policy.temperature, policy.max_tokens, seed, stop=(STOP,))
    prompt = prompts.prompt(kind, state, tuned=policy.tuned)
    completions = await policy.llm.sample(prompt, n=policy.samples, sampling=sampling)
    links = range(first_link, first_link + len(hits))
    read = [_read(kind, completion, links, policy.max_tokens) for completion in completions]
    candidates = tuple(candidate for candidate, _ in read)
    actions = tuple(action for _, action in read)
    if search_first:
        candidates, actions = refuse_terminate(candidates, actions, search_first)
    usable = [i for i, parsed in enumerate(actions) if parsed.action is not None]
    among = [i for i in usable if len(usable) > 1 and sound(actions[i].action)]
    chosen = choose(candidates, actions, policy.select, among or None)
    step = Step(kind, state, candidates, chosen, hits=tuple(hits), first_link=first_link)
    return Sampled(ParsedStep(step, actions), completions[0].prompt_tokens if completions else 0)


def parse_step(step: Step) -> ParsedStep:
    """Parses the candidates of a stored step. Never raises."""
    if step.kind not in STEP_KINDS:
        return ParsedStep(step, (ParsedAction(None, f"search_qa has no step {step.kind}"),) * len(step.candidates))
    links = range(step.first_link, step.first_link + len(step.hits))
    return ParsedStep(
        step,
        tuple(
            ParsedAction(None, candidate.problem)
            if candidate.finish == CUT_OFF or candidate.problem == REFUSED
            else _parsed_action(_read_text(step.kind, candidate.text, links))
            for candidate in step.candidates
        ),
    )


def _parsed_action(parsed: Parsed) -> ParsedAction:
    action = parsed.action
    if action is None:
        return ParsedAction(None, parsed.problem)
    return ParsedAction(action, "", canonical_text(action), decision_of(action), not empty_elements(action))


def _read_text(kind: StepKind, text: str, links: range) -> Parsed:
    """Parses a text. `links` are the link ids in its state; a selection of other ids is a problem."""
    parsed = parse(kind, text)
    if isinstance(parsed.action, LinkSelection):
        unknown = [i for i in parsed.action.selected_link_ids if i not in links]
        if unknown:
            return Parsed(None, f"selects link {unknown[0]}, which was not shown")
    return parsed


def _read(kind: StepKind, completion: Completion, links: range, max_tokens: int) -> tuple[Candidate, ParsedAction]:
    """The candidate to store, and its action. A sample that was cut off at the token limit has no action, even if a
    repair could find one: training on it would teach the model to stop in the middle."""
    text, finish = _ended(completion, max_tokens)
    parsed = _read_text(kind, text, links)
    tokens, logprob = _over_action(completion, text, parsed.spans)
    if finish == CUT_OFF:
        cut = f"cut off at {completion.tokens} tokens"
        parsed = Parsed(None, f"{cut}: {parsed.problem}" if parsed.problem else cut)
    problem = parsed.problem
    return Candidate(text, completion.tokens, completion.logprob, finish, problem, tokens, logprob), _parsed_action(
        parsed
    )


def _ended(completion: Completion, max_tokens: int) -> tuple[str, str]:
    """The text, and how the sample ended. Some servers report `stop` where the limit was reached: the number of tokens
    shows it, if the text has no end mark and does not end with a bracket."""
    text, finish = ended(completion, max_tokens)
    text = text.rstrip()
    if finish == "stop" and not END_MARK.search(completion.text) and completion.tokens >= max_tokens:
        finish = "stop" if text.endswith((")", "]", "}", "`")) else CUT_OFF
    return text, finish


def _over_action(completion: Completion, text: str, spans: Sequence[tuple[int, int]]) -> tuple[int, float | None]:
    """The number of tokens in these parts of the text, and the sum of their log-probabilities; 0 and None if
    unknown."""
    places = [[len(text[:at].encode("utf-8", "replace")) for at in span] for span in spans]
    starts = (0, *completion.token_ends)
    inside = [
        logprob
        for start, end, logprob in zip(starts, completion.token_ends, completion.token_logprobs, strict=False)
        if end > start and any(start < last and first < end for first, last in places)
    ]
    return len(inside), sum(inside) if inside else None
