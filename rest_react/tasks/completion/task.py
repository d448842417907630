"""The completion task: one call for each item, read as a label, and graded by an exact match.

    TEXT = "The parcel to Velmar came a week late."

    # step: completion
    delivery  # [END]

Case, quotes and a final stop do not matter: `"Delivery."` is the label delivery. Where `task.labels` names labels, any
other line is no answer; where it names none, the first line is the answer as it stands.
Not here: items and their labels (items, or a file of questions), and the scripted policy (scripted).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rest_react import prompts as files
from rest_react.errors import ModelFault, OutsideFault, as_fault
from rest_react.judges.grader import Grader
from rest_react.judges.results import fault_verdict, result_of
from rest_react.model_output.thinking import after_thinking
from rest_react.parsed_trajectories import CUT_OFF, ParsedAction, ParsedStep, ParsedTrajectory, Violations
from rest_react.prompts import STOP, StepPrompt
from rest_react.records import (
    Candidate,
    Fault,
    LabelledQuestion,
    Prompt,
    Question,
    Result,
    Sampling,
    Step,
    Trajectory,
    Usage,
    Verdict,
)
from rest_react.records import (
    Completion as Sample,
)
from rest_react.seeds import derive_seed
from rest_react.selection.selectors import choose
from rest_react.step_view import Part, StepView
from rest_react.tasks.protocol import Policy, Watch
from rest_react.text_safety import escape_control_tokens, quote

KIND = "complete"
STEP_NAMES = {KIND: "completion"}
PACKAGED_PROMPTS = Path(__file__).parent / "prompts"
CLOSINGS = {KIND: "Now write the label: one line."}
_AROUND = " \t.,:;!*`'\"“”\u2018’"


def render_state(text: str) -> str:
    """The state of the one step."""
    return f"TEXT = {quote(escape_control_tokens(text))}\n\n# step: {STEP_NAMES[KIND]}\n"


def label_key(text: str) -> str:
    """What two spellings of a label share."""
    return " ".join(text.strip(_AROUND).casefold().split())


def parse_label(text: str, labels: tuple[str, ...]) -> ParsedAction:
    """The label that an output names: its first line, as `labels` spell it. Never raises."""
    said = after_thinking(text)
    if said is None:
        return ParsedAction(None, "the text ends inside its thoughts")
    line = next((line.strip() for line in said.split(STOP, 1)[0].splitlines() if line.strip()), "")
    if not labels:
        return ParsedAction(line, "", line, label_key(line), complete=True) if line else ParsedAction(None, "no text")
    label = next((label for label in labels if label_key(label) == label_key(line)), None)
    if label is None:
        return ParsedAction(None, f"none of the labels: {line[:80]}" if line else "no label")
    return ParsedAction(label, "", label, label_key(label), complete=True)


def load_prompts(folder: Path = PACKAGED_PROMPTS) -> dict[str, StepPrompt]:
    """Reads complete.txt. Raises ConfigError where it is missing or odd."""
    return files.load_prompts(folder, STEP_NAMES, lambda _, text: parse_label(text, ()).problem)


@dataclass(frozen=True, slots=True)
class Completion:
    """The task. `prompts` are shown to the policies that `exemplars` names."""

    prompts: Mapping[str, StepPrompt] = field(default_factory=dict)
    exemplars: Literal["untuned", "always", "never"] = "untuned"
    labels: tuple[str, ...] = ()
    name: str = "completion"
    step_kinds: tuple[str, ...] = (KIND,)

    async def rollout(
        self, question: Question, policy: Policy, *, trajectory_id: str, seed: int, watch: Watch = lambda _: None
    ) -> Trajectory:
        """One call."""
        state = render_state(question.text)
        sampling = Sampling(policy.temperature, policy.max_tokens, derive_seed(seed, 0), stop=(STOP,))
        try:
            samples = await policy.llm.sample(self._prompt(state, policy.tuned), n=policy.samples, sampling=sampling)
        except (ModelFault, OutsideFault) as error:
            return _trajectory(trajectory_id, question, fault=as_fault(error))
        parsed = self.parse(Step(KIND, state, tuple(map(_candidate, samples)), None))
        candidates = tuple(
            Candidate(c.text, c.tokens, c.logprob, c.finish, action.problem)
            for c, action in zip(parsed.step.candidates, parsed.actions, strict=True)
        )
        chosen = choose(candidates, parsed.actions, "perplexity" if policy.select == "verified" else policy.select)
        parsed = ParsedStep(Step(KIND, state, candidates, chosen), parsed.actions)
        watch(parsed)
        usage = Usage(1, samples[0].prompt_tokens if samples else 0, sum(sample.tokens for sample in samples))
        if parsed.chosen is None:
            reasons = "; ".join(sorted({action.problem for action in parsed.actions}))
            fault = Fault("model", f"no usable sample at step 0 ({KIND}): {reasons[:300]}")
            return _trajectory(trajectory_id, question, parsed.step, fault=fault, usage=usage)
        return _trajectory(trajectory_id, question, parsed.step, answer=parsed.chosen.target, usage=usage)

    def parse(self, step: Step) -> ParsedStep:
        """The label that each candidate names. One that its token limit cut off names none."""
        return ParsedStep(step, tuple(map(self._parsed, step.candidates)))

    async def grade(self, labelled: LabelledQuestion, trajectory: Trajectory, grader: Grader, *, seed: int) -> Result:
        """Correct where the answer is one of the item's labels, whichever grader is set."""
        verdict = fault_verdict(trajectory)
        if verdict is None:
            right = label_key(trajectory.answer) in map(label_key, labelled.answers)
            verdict = Verdict("correct" if right else "incorrect", f"the label is {' or '.join(labelled.answers)}")
        return result_of(labelled, trajectory, verdict, before=verdict)

    def may_train(self, trajectory: ParsedTrajectory) -> bool:
        """This task has no filter of its own."""
        return True

    def render(self, steps: Sequence[ParsedStep]) -> list[StepView]:
        """The label as people read it."""
        return [_view(parsed) for parsed in steps]

    def citations(self, trajectory: Trajectory) -> Iterator[str]:
        """A label cites nothing."""
        return iter(())

    def violations(self, trajectory: ParsedTrajectory) -> Violations:
        """This task has no verifier: no candidate violates anything."""
        return Violations(tuple(((),) * len(step.actions) for step in trajectory.steps))

    def _parsed(self, candidate: Candidate) -> ParsedAction:
        if candidate.finish == CUT_OFF:
            return ParsedAction(None, candidate.problem or f"cut off at {candidate.tokens} tokens")
        return parse_label(candidate.text, self.labels)

    def _prompt(self, state: str, tuned: bool) -> Prompt:
        shown = self.exemplars == "always" or (self.exemplars == "untuned" and not tuned)
        return self.prompts[KIND].prompt(state, files.closing(CLOSINGS[KIND])) if shown else Prompt("", state)


def _view(parsed: ParsedStep) -> StepView:
    if parsed.chosen is None:
        problem = parsed.actions[0].problem if parsed.actions else "none"
        return StepView(
            "Complete", (Part("note", "No sample could be used."),), (f"no sample can be used ({problem})",)
        )
    return StepView("Complete", (Part("quote", parsed.chosen.target),), (f"writes    {parsed.chosen.target}",))


def _candidate(sample: Sample) -> Candidate:
    ended = STOP in sample.text
    finish = "stop" if ended and sample.finish == CUT_OFF else sample.finish
    return Candidate(sample.text.split(STOP, 1)[0].rstrip(), sample.tokens, sample.logprob, finish)


def _trajectory(
    id_: str,
    question: Question,
    *steps: Step,
    answer: str = "",
    fault: Fault | None = None,
    usage: Usage = Usage(),  # noqa: B008
) -> Trajectory:
    outcome: Literal["finished", "failed"] = "failed" if fault else "finished"
    return Trajectory(id_, question.id, question.text, outcome, fault, steps, answer, answer, usage)
