"""The completion task: one call for each item, read as a label, and graded by an exact match.

    TEXT = "The parcel to Velmar came a week late."

    # step: completion
    delivery  # [END]

Case, quotes and a final stop do not matter: `"Delivery."` is the label delivery. Where `task.labels` names labels, any
other line is no answer; where it names none, the first line is the answer as it stands.
Not here: items and their labels (items, or a file of questions), and the scripted policy (scripted).
"""

from dataclasses import dataclass

from rest_react.errors import ModelFault, OutsideFault
from rest_react.judges.grader import Grader
from rest_react.judges.results import fault_verdict, result_of
from rest_react.model_output.thinking import after_thinking
from rest_react.parsed_trajectories import ParsedAction, ParsedStep
from rest_react.prompts import STOP
from rest_react.records import LabelledQuestion, Question, Result, Step, Trajectory, Verdict
from rest_react.tasks.protocol import Policy, Task, Watch
from rest_react.tasks.rollout import Rollout, StepPrompts, parse_each
from rest_react.text_safety import escape_control_tokens, quote

KIND = "complete"
STEP_NAMES = {KIND: "completion"}
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


@dataclass(frozen=True, slots=True)
class Completion(Task):
    """The task. Where `labels` are given, an answer is one of them."""

    prompts: StepPrompts = StepPrompts()  # noqa: RUF009
    labels: tuple[str, ...] = ()
    name: str = "completion"
    step_kinds: tuple[str, ...] = (KIND,)

    async def rollout(
        self, question: Question, policy: Policy, *, trajectory_id: str, seed: int, watch: Watch = lambda _: None
    ) -> Trajectory:
        """One call."""
        rollout = Rollout(policy, self.prompts, self.parse, seed, watch)
        try:
            label = await rollout.ask(KIND, render_state(question.text))
        except (ModelFault, OutsideFault) as error:
            return rollout.failed(trajectory_id, question, error)
        return rollout.finished(trajectory_id, question, answer=label.target)

    def parse(self, step: Step) -> ParsedStep:
        """The label that each candidate names. One that its token limit cut off names none."""
        return parse_each(step, lambda text: parse_label(text, self.labels))

    async def grade(self, labelled: LabelledQuestion, trajectory: Trajectory, grader: Grader, *, seed: int) -> Result:
        """Correct where the answer is one of the item's labels, whichever grader is set."""
        verdict = fault_verdict(trajectory)
        if verdict is None:
            right = label_key(trajectory.answer) in map(label_key, labelled.answers)
            verdict = Verdict("correct" if right else "incorrect", f"the label is {' or '.join(labelled.answers)}")
        return result_of(labelled, trajectory, verdict, before=verdict)
