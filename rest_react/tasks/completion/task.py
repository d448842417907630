"""The completion task: one call per item, parsed as a label and graded by exact match.

    TEXT = "The parcel to Velmar came a week late."

    # step: completion
    delivery  # [END]

Case, quotes and a final full stop are ignored: `"Delivery."` is the label delivery. If `task.labels` is set, any other
line is not an answer; if it is empty, the first line is the answer.
Not here: items and their labels (tasks.completion.items, or a question file), and the scripted policy (scripted).
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
    """The state of the only step."""
    return f"TEXT = {quote(escape_control_tokens(text))}\n\n# step: {STEP_NAMES[KIND]}\n"


def label_key(text: str) -> str:
    """The normalised form of a label, for comparison."""
    return " ".join(text.strip(_AROUND).casefold().split())


def parse_label(text: str, labels: tuple[str, ...]) -> ParsedAction:
    """The label in an output: its first line, in the spelling of `labels`. Never raises."""
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
    """The task. If `labels` is not empty, an answer must be one of them."""

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
        """Parses the label of each candidate. A candidate cut off at the token limit has none."""
        return parse_each(step, lambda text: parse_label(text, self.labels))

    async def grade(self, labelled: LabelledQuestion, trajectory: Trajectory, grader: Grader, *, seed: int) -> Result:
        """Correct if the answer is one of the labels of the item. The grader is not used."""
        verdict = fault_verdict(trajectory)
        if verdict is None:
            right = label_key(trajectory.answer) in map(label_key, labelled.answers)
            verdict = Verdict("correct" if right else "incorrect", f"the label is {' or '.join(labelled.answers)}")
        return result_of(labelled, trajectory, verdict, before=verdict)
