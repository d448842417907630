"""The completion task: one call per item. Its answer is a label, a list in JSON, or any text.

    TEXT = "The parcel to Velmar came a week late."

    # step: completion
    delivery  # [END]

`grade=label`: the answer is one of `labels` (label.py says how an output is read); without labels, its first line.
`grade=formatting`: the whole output is the answer, with five metrics of its list (formatting.py).
`grade=tone`: the whole output is the answer; the grader rates its tone from 1 to 5 (judges.rating_grader).
Items of another task than the trained one (`instructed`) say themselves what to answer: every policy, tuned or not, is
sent the text alone, as a user would, and any grade but their own answer is ignored.
Not here: items and their labels (tasks.completion.items, or a file), and the scripted policy (scripted).
"""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rest_react.errors import ModelFault, OutsideFault
from rest_react.judges.answer_matching.rule_grader import rule_verdict
from rest_react.judges.grader import Grader
from rest_react.judges.rating_grader import rating_of
from rest_react.judges.results import fault_verdict, result_of
from rest_react.model_output.thinking import after_thinking
from rest_react.prompts import STOP
from rest_react.questions.item_files import INSTRUCTED
from rest_react.records import LabelledQuestion, Question, Result, Step, Trajectory, Verdict
from rest_react.tasks.completion.confusion import confusion_tables
from rest_react.tasks.completion.formatting import formatting_scores
from rest_react.tasks.completion.label import label_key, read_label
from rest_react.tasks.protocol import Policy, ResultTable, Task, Watch
from rest_react.tasks.rollout import Rollout, StepPrompts, parse_each
from rest_react.text_safety.escaping import escape_control_tokens, quote
from rest_react.trajectories.parsed import ParsedAction, ParsedStep
from rest_react.trajectories.step_view import Part, StepView

Grade: TypeAlias = Literal["label", "formatting", "tone"]
KIND, FOLLOW = "complete", "follow"
STEP_NAMES = {KIND: "completion"}
CLOSINGS = {KIND: "Now write the label: one line."}
ANSWER_CLOSINGS = {KIND: "Now write the answer and nothing else."}


_TEXT_ALONE = StepPrompts(exemplars="never")  # of an instructed item: no instructions of ours


def render_state(text: str) -> str:
    """The state of the only step."""
    return f"TEXT = {quote(escape_control_tokens(text))}\n\n# step: {STEP_NAMES[KIND]}\n"


def text_in(state: str) -> str:
    """The text of an item in its state: the inverse of `render_state`. The state of an instructed item is its text."""
    if not state.startswith("TEXT = "):
        return state
    try:
        return str(ast.literal_eval(state.removeprefix("TEXT = ").partition("\n")[0]))
    except (ValueError, SyntaxError):
        return state  # the text of an instructed item begins like a state


def parse_label(text: str, labels: tuple[str, ...]) -> ParsedAction:
    """The label in an output, in the spelling of `labels`; without labels, its first line. Never raises."""
    said = _said(text)
    if said is None:
        return ParsedAction(None, "the text ends inside its thoughts")
    line = next((line.strip() for line in said.splitlines() if line.strip()), "")
    if not labels:
        return ParsedAction(line, "", line, label_key(line), complete=True) if line else ParsedAction(None, "no text")
    label = read_label(said, labels)
    if label is None:
        return ParsedAction(None, f"none of the labels: {line[:80]}" if line else "no label")
    return ParsedAction(label, "", label, label_key(label), complete=True)


def parse_first_line(text: str, labels: tuple[str, ...]) -> ParsedAction | None:
    """The label in the first line of an output without an end; None if it names none, or may go on."""
    line, newline, _ = text.lstrip().partition("\n")
    found = parse_label(line, labels) if newline and labels else None
    return found if found is not None and found.action is not None else None


def parse_text(text: str) -> ParsedAction:
    """The whole output as the answer. Never raises."""
    said = _said(text)
    if said is None:
        return ParsedAction(None, "the text ends inside its thoughts")
    answer = said.strip()
    return ParsedAction(answer, "", answer, answer, complete=True) if answer else ParsedAction(None, "no text")


def _said(text: str) -> str | None:
    said = after_thinking(text)
    return None if said is None else said.split(STOP, 1)[0]


@dataclass(frozen=True, slots=True)
class Completion(Task):
    """The task. With `grade=label` an answer must be one of `labels`, if there are any; with `grade=formatting` these
    are the values that its list may have."""

    prompts: StepPrompts = StepPrompts()  # noqa: RUF009
    labels: tuple[str, ...] = ()
    grading: Grade = "label"

    async def rollout(
        self, question: Question, policy: Policy, *, trajectory_id: str, seed: int, watch: Watch = lambda _: None
    ) -> Trajectory:
        """One call."""
        instructed = question.id.startswith(INSTRUCTED)
        rollout = Rollout(policy, _TEXT_ALONE if instructed else self.prompts, self.parse, seed, watch)
        try:
            if instructed:
                label = await rollout.ask(FOLLOW, escape_control_tokens(question.text))
            else:
                label = await rollout.ask(KIND, render_state(question.text))
        except (ModelFault, OutsideFault) as error:
            return rollout.failed(trajectory_id, question, error)
        return rollout.finished(trajectory_id, question, answer=label.target)

    def parse(self, step: Step) -> ParsedStep:
        """Parses the answer of each candidate. Of one that was cut off at the token limit, the label counts that its
        first line names, if that line is whole: untuned models seldom write the end mark."""
        if step.kind == FOLLOW:
            return parse_each(step, parse_text, parse_text)
        if self.grading == "label":
            return parse_each(
                step, lambda text: parse_label(text, self.labels), lambda text: parse_first_line(text, self.labels)
            )
        return parse_each(step, parse_text)

    async def grade(self, labelled: LabelledQuestion, trajectory: Trajectory, grader: Grader, *, seed: int) -> Result:
        """Correct if the answer is the label of the item; with `grade=formatting`, if its whole list is; with
        `grade=tone`, if the grader, which only then is used, rates it 4 or 5. An instructed item is right if the answer
        names its label, of all those of its set; where these are no labels, by the rules for answers in words."""
        verdict = fault_verdict(trajectory)
        instructed = labelled.question.id.startswith(INSTRUCTED)
        if verdict is None and self.grading == "tone" and not instructed:
            verdict = await grader.grade(labelled, trajectory.answer, seed=seed)
        if verdict is None and instructed and not labelled.options:
            verdict = rule_verdict(labelled, trajectory.answer)
        if verdict is None and instructed:
            named = read_label(trajectory.answer, labelled.options)
            right = named is not None and label_key(named) == label_key(labelled.answers[0])
            verdict = Verdict("correct" if right else "incorrect", f"the answer is {labelled.answers[0]}")
        if verdict is None:
            right = self._is_right(trajectory.answer, labelled.answers)
            verdict = Verdict("correct" if right else "incorrect", f"the answer is {' or '.join(labelled.answers)}")
        return result_of(labelled, trajectory, verdict, before=verdict)

    def _is_right(self, answer: str, golds: Sequence[str]) -> bool:
        if self.grading == "formatting":
            return formatting_scores(answer, golds[0], self.labels)["all_right"] == 1.0
        return label_key(answer) in map(label_key, golds)

    def scores(self, result: Result) -> Mapping[str, float | None]:
        """With labels, whether the answer is outside the label set; with `grade=formatting` its five metrics; with
        `grade=tone` its rating. Instructed items have none."""
        if result.question_id.startswith(INSTRUCTED):
            return {}
        if self.grading == "tone":
            return {"rating": rating_of(result.verdict)}
        if self.grading == "formatting":
            return formatting_scores(result.answer, result.golds[0], self.labels)
        if not self.labels:
            return {}
        return {"outside_label_set": float(result.fault is not None)}  # the model's: others are not scored

    def render(self, steps: Sequence[ParsedStep]) -> list[StepView]:
        """What the model wrote, a list as code; the page and `ask` tell why a failed one cannot be used."""
        return [self._view(parsed) for parsed in steps]

    def _view(self, parsed: ParsedStep) -> StepView:
        candidates, index = parsed.step.candidates, parsed.step.chosen or 0
        text = parsed.chosen.target if parsed.chosen else candidates[index].text if candidates else ""
        as_code = self.grading == "formatting" and parsed.step.kind == KIND
        parts, lines = [Part("code" if as_code else "quote", text or "(nothing)")], [f"writes    {text}"]
        if parsed.chosen is None:
            problem = parsed.actions[index].problem if parsed.actions else "no sample"
            parts.append(Part("note", "This cannot be used as an answer."))
            lines.append(f"no sample can be used ({problem})")
        title = "Answer" if parsed.step.kind == KIND else "Answer to another task"
        return StepView(title, tuple(parts), tuple(lines))

    def tables(self, results: Iterable[Result]) -> Iterator[ResultTable]:
        """With labels, the confusion matrix and the figures by label."""
        own = (result for result in results if not result.question_id.startswith(INSTRUCTED))
        if self.grading == "label" and self.labels:
            yield from confusion_tables(own, self.labels)
