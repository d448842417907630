"""A rollout step by step (sample, parse, choose, store), for tasks that parse each candidate by its text alone.

    rollout = Rollout(policy, prompts, task.parse, seed, watch)
    try:
        draft = await rollout.ask("solve", state)                            # the chosen sample, parsed
    except (ModelFault, OutsideFault) as error:
        return rollout.failed(trajectory_id, question, error)
    return rollout.finished(trajectory_id, question, answer=draft.target)

A step may ask another model than the policy (`by`, `role`), and observe something about its samples before they are
parsed: what their code comes to. Both are kept in the step's `hits`, the second with the tokens of the prompt.
Not here: the steps of the search agent (tasks.search_qa.step), whose candidates are parsed with the links of the state.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from rest_react.errors import ModelFault, OutsideFault, as_fault
from rest_react.prompts import STOP, StepPrompt, closing
from rest_react.records import Candidate, Completion, Hit, Prompt, Question, Sampling, Step, Trajectory, Usage
from rest_react.seeds import derive_seed
from rest_react.selection.selectors import choose
from rest_react.tasks.agent_settings import Exemplars, shows_exemplars
from rest_react.tasks.protocol import Policy, Watch
from rest_react.tasks.sample_end import ended
from rest_react.trajectories.parsed import CUT_OFF, ParsedAction, ParsedStep

PROMPT_TOKENS = "prompt tokens"  # the title of the hit that says which role was asked, and with how long a prompt
Observe: TypeAlias = Callable[[Sequence[str]], Awaitable[tuple[Hit, ...]]]


@dataclass(frozen=True, slots=True)
class StepPrompts:
    """The prompts of a task by step kind, and the last instruction to a chat model. `exemplars` says which policies get
    them; other policies get the state only."""

    by_kind: Mapping[str, StepPrompt] = field(default_factory=dict)
    closings: Mapping[str, str] = field(default_factory=dict)
    exemplars: Exemplars = "untuned"

    def prompt(self, kind: str, state: str, *, tuned: bool) -> Prompt:
        """The prompt of a step."""
        if not shows_exemplars(self.exemplars, tuned=tuned):
            return Prompt("", state)
        return self.by_kind[kind].prompt(state, closing(self.closings[kind]))


@dataclass(slots=True)
class Rollout:
    """The steps and usage of a trajectory so far. `parse` is that of the task."""

    policy: Policy
    prompts: StepPrompts
    parse: Callable[[Step], ParsedStep]
    seed: int
    watch: Watch
    steps: list[Step] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)

    async def ask(
        self, kind: str, state: str, *, by: Policy | None = None, role: str = "", observe: Observe | None = None
    ) -> ParsedAction:
        """Takes one step and returns the chosen sample. Raises ModelFault if no sample is usable, and errors of the
        client. `by` is the model to ask instead of the policy, in a `role` whose tokens are counted apart; `observe`
        returns the hits of the step from the texts of its samples."""
        policy, index = by or self.policy, len(self.steps)
        prompt = self.prompts.prompt(kind, state, tuned=policy.tuned)
        sampling = Sampling(policy.temperature, policy.max_tokens, derive_seed(self.seed, index), stop=(STOP,))
        samples = await policy.llm.sample(prompt, n=policy.samples, sampling=sampling)
        prompt_tokens = samples[0].prompt_tokens if samples else 0
        written = tuple(_candidate(sample, policy.max_tokens) for sample in samples)
        hits = () if observe is None else await observe([candidate.text for candidate in written])
        hits += (Hit(role, PROMPT_TOKENS, str(prompt_tokens)),) if role else ()
        actions = self.parse(Step(kind, state, written, None, hits=hits)).actions
        candidates = tuple(
            replace(candidate, problem=action.problem) for candidate, action in zip(written, actions, strict=True)
        )
        chosen = choose(candidates, actions, policy.select)
        parsed = ParsedStep(Step(kind, state, candidates, chosen, hits=hits), actions)
        self.steps.append(parsed.step)
        self.usage = Usage(
            index + 1,
            self.usage.prompt_tokens + prompt_tokens,
            self.usage.completion_tokens + sum(sample.tokens for sample in samples),
        )
        self.watch(parsed)
        if parsed.chosen is None:
            reasons = "; ".join(sorted({action.problem for action in actions}))
            raise ModelFault(f"no usable sample at step {index} ({kind}): {reasons[:300]}")
        return parsed.chosen

    def finished(self, id_: str, question: Question, *, answer: str, draft: str | None = None) -> Trajectory:
        """The trajectory with its answer; `draft` is an earlier answer, if there was one."""
        before = answer if draft is None else draft
        return Trajectory(
            id_, question.id, question.text, "finished", None, tuple(self.steps), before, answer, self.usage
        )

    def failed(self, id_: str, question: Question, error: ModelFault | OutsideFault, *, draft: str = "") -> Trajectory:
        """The trajectory that failed with this error."""
        return Trajectory(
            id_, question.id, question.text, "failed", as_fault(error), tuple(self.steps), draft, "", self.usage
        )


def tokens_of_roles(steps: Iterable[Step]) -> dict[str, tuple[int, int]]:
    """The tokens, in and out, of each role that was asked instead of the policy."""
    prompts: Counter[str] = Counter()
    outputs: Counter[str] = Counter()
    for step in steps:
        for hit in step.hits:
            if hit.title == PROMPT_TOKENS:
                prompts[hit.source] += int(hit.snippet)
                outputs[hit.source] += sum(candidate.tokens for candidate in step.candidates)
    return {role: (prompts[role], outputs[role]) for role in prompts}


def with_policy(roles: Mapping[str, tuple[int, int]], usage: Usage) -> dict[str, tuple[int, int]]:
    """The tokens, in and out, of each role and of the policy, which took those of `usage` that no other role took."""
    prompts, outputs = (sum(used[i] for used in roles.values()) for i in (0, 1))
    return {**roles, "policy": (usage.prompt_tokens - prompts, usage.completion_tokens - outputs)}


def parse_each(
    step: Step, read: Callable[[str], ParsedAction], read_cut_off: Callable[[str], ParsedAction | None] = lambda _: None
) -> ParsedStep:
    """Parses each candidate of a step by its text. A candidate that was cut off at the token limit has no action,
    unless `read_cut_off` finds one."""

    def parsed(candidate: Candidate) -> ParsedAction:
        if candidate.finish == CUT_OFF:
            found = read_cut_off(candidate.text)
            return found or ParsedAction(None, candidate.problem or f"cut off at {candidate.tokens} tokens")
        return read(candidate.text)

    return ParsedStep(step, tuple(map(parsed, step.candidates)))


def _candidate(sample: Completion, max_tokens: int) -> Candidate:
    """The candidate to store. Space at the end is dropped, but for one newline of a text that was cut off: it shows
    that the last line is whole."""
    text, finish = ended(sample, max_tokens)
    kept = text.rstrip()
    if finish == CUT_OFF and kept and "\n" in text[len(kept) :]:
        kept += "\n"
    return Candidate(kept, sample.tokens, sample.logprob, finish)
