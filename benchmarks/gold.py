"""Which candidates of a grown step are right, told from the closed world's gold. For measuring selectors, and for the
upper bound of what selection could give; never for training a policy that is reported as self-improved.

    for judged in await judge_steps(trajectory, labelled, titles, search):
        judged.right          # a bool per candidate; None where it is unparsable or has an empty element
        judged.violations     # how many rules each violates

Right, by kind of step: a search that brings up a gold passage still missing among its hits, or Terminate exactly when
all are held; a selection of exactly the gold passages among the hits (one that is held already may be left out); a
draft graded correct; a check that passes a correct answer, or fails a wrong one, with a correct revision if it gives
one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rest_react.judges.grader import rule_verdict
from rest_react.parsed import ParsedTrajectory
from rest_react.protocols import Search as SearchDoor
from rest_react.records import LabelledQuestion, Step, Trajectory
from rest_react.tasks.search_qa.actions import (
    Action,
    Answer,
    CheckAnswer,
    LinkSelection,
    ReviseAnswer,
    Search,
    Terminate,
    empty_elements,
)
from rest_react.tasks.search_qa.step import parse_step
from rest_react.tasks.search_qa.verifier import violations_of
from rest_react.text_safety import escape_control_tokens

HITS = 3  # whatever a walk is shown; one right query in 170 found its passage in the third place alone


@dataclass(frozen=True, slots=True)
class JudgedStep:
    """A step with its verdicts, in the order of its candidates."""

    id: str
    question_id: str
    step: Step
    right: tuple[bool | None, ...]
    violations: tuple[int, ...]

    @property
    def mixed(self) -> bool:
        """At least two distinct usable candidates, some right and some wrong."""
        return {True, False} <= set(self.right)


async def judge_steps(
    trajectory: Trajectory, labelled: LabelledQuestion, gold: Sequence[str], search: SearchDoor
) -> list[JudgedStep]:
    """Every step that was not forced. `gold` holds the titles of the question's gold passages."""
    missing = {escape_control_tokens(title) for title in gold}
    answer = ""
    judged = []
    parsed = ParsedTrajectory(trajectory, tuple(map(parse_step, trajectory.steps)))
    for index, (parsed_step, found) in enumerate(zip(parsed.steps, violations_of(parsed).steps, strict=True)):
        step, actions = parsed_step.step, [one.action for one in parsed_step.actions]
        if step.forced:
            continue
        right = [
            None if a is None or empty_elements(a) else await _is_right(a, step, missing, answer, labelled, search)
            for a in actions
        ]
        counts = tuple(len(messages or ()) for messages in found)
        judged.append(JudgedStep(f"{trajectory.id}.{index}", trajectory.question_id, step, tuple(right), counts))
        match None if step.chosen is None else actions[step.chosen]:
            case LinkSelection(selected_link_ids=ids):
                missing = missing - {step.hits[i - step.first_link].title for i in ids}
            case Answer(answer=text) | ReviseAnswer(revised_answer=text):
                answer = text
    return judged


async def _is_right(
    action: Action, step: Step, missing: set[str], answer: str, labelled: LabelledQuestion, search: SearchDoor
) -> bool:
    match action:
        case Search(query):
            hits = await search.search(query, HITS)
            return any(escape_control_tokens(hit.title) in missing for hit in hits)
        case Terminate():
            return not missing
        case LinkSelection(selected_link_ids=ids):
            chosen = {step.hits[i - step.first_link].title for i in ids}
            return chosen & missing == {hit.title for hit in step.hits} & missing and chosen <= _gold(labelled, step)
        case Answer(answer=text) | ReviseAnswer(revised_answer=text):
            return _correct(labelled, text) and not (isinstance(action, ReviseAnswer) and _correct(labelled, answer))
        case CheckAnswer(passed=passed):
            return passed == _correct(labelled, answer)
    raise TypeError(f"no step ends in {type(action).__name__}")


def _gold(labelled: LabelledQuestion, step: Step) -> set[str]:
    return {hit.title for hit in step.hits if hit.source in labelled.passages}


def _correct(labelled: LabelledQuestion, answer: str) -> bool:
    return rule_verdict(labelled, answer).verdict == "correct"
