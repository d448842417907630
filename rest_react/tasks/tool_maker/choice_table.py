"""The table of the dispatcher: how often it chooses the right tool, and how often the answer is right too.

    choice_tables({"user_with_tool": evaluated})[0].rows[0]     # ("a known tool fits", "83.3% [58.0, 95.7]", "18", ...)

Not here: what answers and tools cost (tables), and reading a choice (replies.choice).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rest_react.metrics.intervals import Share, clustered_interval
from rest_react.metrics.number_formats import percent, span
from rest_react.tasks.protocol import Evaluated, ResultTable
from rest_react.tasks.tool_maker.items import how_asked
from rest_react.tasks.tool_maker.replies.choice import names_in, read_choice
from rest_react.tasks.tool_maker.states import NONE

WITH_TOOL = ("user_with_tool", "maker_with_tool")  # the ways to answer that a column of this table shows
UNKNOWN = "-"
_HEADINGS = ("Case", "Right", "n", "And user correct", "And maker correct")
_NOTE = (
    "Right: the tool of the question's family where it was known, else none. And user (maker) correct: share of "
    "questions with a right choice and a correct answer. The other tables have upper bounds of it: after a wrong none, "
    "a built-in question gets the tool of its family all the same."
)


@dataclass(frozen=True, slots=True)
class _Choice:
    """One choice of the dispatcher: for which way to answer, whether the right tool was known, whether the choice was
    right, and the score of the answer."""

    way: str
    known: bool
    question: str
    right: float
    score: float | None


def choice_tables(last: Mapping[str, Evaluated]) -> list[ResultTable]:
    """The table, by an evaluation of each way to answer with a tool; none where no tool was chosen."""
    chosen = list(_choices(last))
    return [ResultTable("Choice of the tool", _HEADINGS, tuple(_rows(chosen)), _NOTE)] if chosen else []


def _choices(last: Mapping[str, Evaluated]) -> Iterator[_Choice]:
    """The choices of the dispatcher. One that could not be read is wrong, and so is none where the tool was known."""
    for way, evaluation in last.items():
        for trajectory in evaluation.trajectories:
            family = how_asked(trajectory.question_id).family
            result = evaluation.results.get(trajectory.id)
            for step in trajectory.steps:
                if step.kind == "dispatch" and family:
                    known = family in names_in(step.state)
                    said = read_choice(step.candidates[step.chosen].text, step.state) if step.chosen is not None else ""
                    right = said == (family if known else NONE)
                    score = None if result is None else result.score
                    question = trajectory.question_id.rpartition(":")[2]  # one cluster, however it is asked
                    yield _Choice(way, known, question, float(right), score)


def _rows(chosen: Sequence[_Choice]) -> Iterator[tuple[str, ...]]:
    for case, name in ((True, "a known tool fits"), (False, "a new tool is needed")):
        own = [choice for choice in chosen if choice.known == case]
        if own:
            share = _share_of([(choice.question, choice.right) for choice in own])
            honest = (
                [(c.question, None if c.score is None else c.score * c.right) for c in own if c.way == way]
                for way in WITH_TOOL
            )
            yield name, with_interval(share), str(share.n), *(with_interval(_share_of(pairs)) for pairs in honest)


def _share_of(pairs: Sequence[tuple[str, float | None]]) -> Share:
    scores: dict[str, list[float | None]] = {}
    for question, score in pairs:
        scores.setdefault(question, []).append(score)
    return clustered_interval(scores)


def with_interval(share: Share) -> str:
    """A share as percent with its interval."""
    return UNKNOWN if share.mean is None else f"{percent(share.mean)} {span(share)}"
