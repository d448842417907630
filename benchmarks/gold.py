"""Judges each candidate of a step by the closed world's gold labels, to measure selectors and their upper bound.

    for judged in await judge_steps(trajectory, labelled, titles, search, hits=2):
        judged.right          # a bool per candidate; None if it cannot be parsed or has an empty element
        judged.violations     # the number of rule violations per candidate

Right means, by kind of step: a search whose hits contain a missing gold passage, or Terminate exactly when none is
missing; a selection of exactly the gold passages among the hits (passages selected earlier are optional); a draft
graded correct; a check that passes a correct answer or fails a wrong one, and whose revision, if any, is correct.
Not here: training. A policy trained on these labels is never reported as self-improved.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rest_react.judges.grader import rule_verdict
from rest_react.protocols import Search as SearchClient
from rest_react.records import LabelledQuestion, Lookup, Step, Trajectory
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
from rest_react.tasks.search_qa.judging.verifier import violations_of
from rest_react.tasks.search_qa.scripted.chain_plans import NoPlan, Titles
from rest_react.tasks.search_qa.step import parse_step
from rest_react.text_safety.escaping import escape_control_tokens
from rest_react.trajectories.parsed import ParsedTrajectory


@dataclass(frozen=True, slots=True)
class JudgedStep:
    """A step with one verdict per candidate, in their order."""

    id: str
    question_id: str
    step: Step
    right: tuple[bool | None, ...]
    violations: tuple[int, ...]

    @property
    def mixed(self) -> bool:
        """Whether some usable candidates are right and some are wrong."""
        return {True, False} <= set(self.right)


def gold_passages(
    labelled: LabelledQuestion, titles: Titles, ids: Mapping[str, str]
) -> tuple[LabelledQuestion, list[str]]:
    """The question with the `ids` of its gold passages, and their titles. There are none if one of them is not in the
    corpus or has the title of another: its steps cannot be judged."""
    lookups = labelled.chain or [Lookup("", "", "", passage=id_) for id_ in labelled.passages]
    try:
        names = list(dict.fromkeys(map(titles.of, lookups)))
    except NoPlan:
        names = []
    return replace(labelled, passages=tuple(ids[name] for name in names if name in ids)), names


async def judge_steps(
    trajectory: Trajectory, labelled: LabelledQuestion, gold: Sequence[str], search: SearchClient, hits: int
) -> list[JudgedStep]:
    """Judges every step that was not forced. `gold` are the titles of the question's gold passages, `hits` the results
    that the agent is shown for a query (`agent.hits_per_search`)."""
    missing = {escape_control_tokens(title) for title in gold}
    answer = ""
    judged = []
    parsed = ParsedTrajectory(trajectory, tuple(map(parse_step, trajectory.steps)))
    for index, (parsed_step, violations) in enumerate(zip(parsed.steps, violations_of(parsed).steps, strict=True)):
        step, actions = parsed_step.step, [choice.action for choice in parsed_step.actions]
        if step.forced:
            continue
        right = [
            None
            if a is None or empty_elements(a)
            else await _is_right(a, step, missing, answer, labelled, search, hits)
            for a in actions
        ]
        counts = tuple(len(messages or ()) for messages in violations)
        judged.append(JudgedStep(f"{trajectory.id}.{index}", trajectory.question_id, step, tuple(right), counts))
        match None if step.chosen is None else actions[step.chosen]:
            case LinkSelection(selected_link_ids=ids):
                missing = missing - {step.hits[i - step.first_link].title for i in ids}
            case Answer(answer=text) | ReviseAnswer(revised_answer=text):
                answer = text
    return judged


async def _is_right(
    action: Action,
    step: Step,
    missing: set[str],
    answer: str,
    labelled: LabelledQuestion,
    search: SearchClient,
    hits: int,
) -> bool:
    match action:
        case Search(query):
            found = await search.search(query, hits)
            return any(escape_control_tokens(hit.title) in missing for hit in found)
        case Terminate():
            return not missing
        case LinkSelection(selected_link_ids=ids):
            selected = {step.hits[i - step.first_link].title for i in ids}
            found_all = selected & missing == {hit.title for hit in step.hits} & missing
            return found_all and selected <= _gold_titles(labelled, step)
        case Answer(answer=text) | ReviseAnswer(revised_answer=text):
            needless = isinstance(action, ReviseAnswer) and _is_correct(labelled, answer)
            return _is_correct(labelled, text) and not needless
        case CheckAnswer(passed=passed):
            return passed == _is_correct(labelled, answer)
    raise TypeError(f"a step cannot have the action {type(action).__name__}")


def _gold_titles(labelled: LabelledQuestion, step: Step) -> set[str]:
    return {hit.title for hit in step.hits if hit.source in labelled.passages}


def _is_correct(labelled: LabelledQuestion, answer: str) -> bool:
    return rule_verdict(labelled, answer).verdict == "correct"
