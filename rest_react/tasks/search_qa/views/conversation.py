"""Renders the steps of the search agent for the page and for the terminal.

    render(steps)[0].lines      # ("thinks    Who wrote it?", "searches  author of Dusk")

Not here: the records of a view (trajectories.step_view), and the state for the model (tasks.search_qa.render_state).
"""

from collections.abc import Iterator, Mapping, Sequence

from rest_react.metrics.text_match import cited_links
from rest_react.records import Step, Trajectory
from rest_react.tasks.search_qa.actions import (
    Action,
    Answer,
    CheckAnswer,
    LinkSelection,
    ReviseAnswer,
    Search,
    Terminate,
)
from rest_react.tasks.search_qa.memory import NOTHING_SELECTED, memories
from rest_react.trajectories.parsed import ParsedStep
from rest_react.trajectories.step_view import Part, Source, StepView

_TITLES: Mapping[str, str] = {
    "decide": "Decide",
    "summarise": "Read the results",
    "answer": "Answer",
    "relevance": "Relevance check: does it answer the question?",
    "grounding": "Grounding check: do the links support it?",
}


def render(steps: Sequence[ParsedStep]) -> list[StepView]:
    """The view of each step. `steps` may be the first steps of a trajectory."""
    before = memories(steps)
    views = []
    for i, parsed in enumerate(steps):
        action = parsed.chosen.action if parsed.chosen else None
        searches_again = i + 1 < len(steps) and steps[i + 1].step.kind == "decide"
        parts = tuple(_parts(parsed.step, action, before[i].answer, searches_again=searches_again))
        views.append(
            StepView(_TITLES.get(parsed.step.kind, parsed.step.kind), parts, tuple(describe(parsed.step, action)))
        )
    return views


def _parts(step: Step, action: Action | None, current: str, *, searches_again: bool) -> Iterator[Part]:
    """The parts of a step on the page. `current` is the answer that a check is about."""
    selected = action.selected_link_ids if isinstance(action, LinkSelection) else ()
    if action is None:
        stopped = "No searches remain, so the agent must answer."
        yield Part("note", stopped if step.forced else "No sample could be used.")
    if step.kind == "summarise":
        yield Part("sources", "The search returned no results.", sources=tuple(_sources(step, selected)))
    match action:
        case Search(query, thoughts):
            yield Part("thoughts", thoughts)
            yield Part("line", query, label="searches for")
        case Terminate(thoughts):
            yield Part("thoughts", thoughts)
            yield Part("note", "Stops searching.")
        case LinkSelection(summary, thoughts, ids, comments):
            yield Part("comments", lines=comments)
            yield Part("thoughts", thoughts)
            yield Part("quote", summary) if ids else Part("note", NOTHING_SELECTED)
        case Answer(thoughts, answer):
            yield Part("thoughts", thoughts)
            yield Part("quote", answer)
        case CheckAnswer(passed, comments):
            yield (
                Part("verdict", "passed", label="the answer is kept")
                if passed
                else Part("verdict", "failed", good=False)
            )
            yield Part("comments", lines=comments)
        case ReviseAnswer(revised, comments):
            yield Part("verdict", "revised", good=False)
            yield Part("comments", lines=comments)
            if searches_again:
                yield Part("note", "The agent searched again instead of revising.")
            elif not revised.strip():
                yield Part("note", "The revision is empty, so the answer is kept.")
            elif revised == current:
                yield Part("note", "The revision has the same text.")
            else:
                yield Part("change", revised, before=current)


def _sources(step: Step, selected: Sequence[int]) -> Iterator[Source]:
    for number, hit in enumerate(step.hits, start=step.first_link):
        yield Source(number, hit.title, hit.snippet, hit.source, number in selected)


def describe(step: Step, action: Action | None) -> Iterator[str]:
    """The lines of a step on the terminal."""
    if step.forced:
        yield "no searches remain"
        return
    match action:
        case None:
            yield f"{step.kind}: no sample is usable ({step.candidates[0].problem if step.candidates else 'none'})"
        case Search(query, thoughts):
            yield f"thinks    {thoughts}"
            yield f"searches  {query}"
        case LinkSelection(summary, thoughts, ids, comments):
            for i, hit in enumerate(step.hits, start=step.first_link):
                yield f"  {'*' if i in ids else ' '} [{i}] {hit.title}: {hit.snippet[:100]}"
            yield from (f"  # {comment}" for comment in comments)
            yield f"notes     {summary if ids else 'nothing is selected'}"
            yield f"thinks    {thoughts}"
        case Terminate(thoughts):
            yield f"thinks    {thoughts}"
            yield "stops searching"
        case Answer(thoughts, answer):
            yield f"thinks    {thoughts}"
            yield f"drafts    {answer}"
        case CheckAnswer(passed, comments):
            yield from (f"  # {comment}" for comment in comments)
            yield f"{step.kind} check {'passed' if passed else 'not passed'}"
        case ReviseAnswer(revised, comments):
            yield from (f"  # {comment}" for comment in comments)
            told = f"revises: {revised}" if revised.strip() else "not passed"
            yield f"{step.kind} check {told}"


def sources(trajectory: Trajectory) -> Iterator[str]:
    """The cited hits, one line each."""
    links = cited_links(trajectory.answer)
    for step in trajectory.steps:
        for i, hit in enumerate(step.hits, start=step.first_link):
            if i in links:
                yield f"[link_id={i}] {hit.title} ({hit.source})"
