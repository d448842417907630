"""The memory of the agent between steps: PAST_ACTIONS and the current answer.

    memory = after(Memory(), parsed)       # after a decision, memory.past ends with the search
    [*before, end] = memories(trajectory)  # before every step, and after the last

Used by the agent, the verifier and the pages.
Not here: how a state shows it (tasks.search_qa.render_state).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rest_react.records import Step
from rest_react.tasks.search_qa.actions import (
    Answer,
    LinkSelection,
    PastAction,
    ResultItem,
    ReviseAnswer,
    Search,
    SelectLink,
    Terminate,
)
from rest_react.trajectories.parsed import ParsedStep

NOTHING_SELECTED = "Nothing is selected."
BUDGET_SPENT = "No searches remain, so I answer with what I have."


@dataclass(frozen=True, slots=True)
class Memory:
    """`past` is PAST_ACTIONS, including the draft; `answer` is the current answer, "" before the draft."""

    past: tuple[PastAction, ...] = ()
    answer: str = ""


def after(memory: Memory, parsed: ParsedStep, *, searches_again: bool = False) -> Memory:
    """The memory after a step. Of the search results it keeps the selected ones. A revision replaces the answer, unless
    it is empty or the agent searches again instead."""
    if parsed.step.forced:
        return replace(memory, past=(*memory.past, Terminate(BUDGET_SPENT)))
    match parsed.chosen.action if parsed.chosen else None:
        case Search() | Terminate() as action:
            return replace(memory, past=(*memory.past, action))
        case LinkSelection(summary, thoughts, ids):
            selected = tuple(item for item in shown_results(parsed.step) if item.link_id in ids)
            entry = SelectLink(selected, summary if selected else NOTHING_SELECTED, thoughts)
            return replace(memory, past=(*memory.past, entry))
        case Answer() as draft:
            return Memory((*memory.past, draft), draft.answer)
        case ReviseAnswer(revised) if revised.strip() and not searches_again:
            return replace(memory, answer=revised)
    return memory


def memories(steps: Sequence[ParsedStep]) -> list[Memory]:
    """The memory before each step of a trajectory, and the one after the last."""
    found = [Memory()]
    for i, parsed in enumerate(steps):
        searches_again = i + 1 < len(steps) and steps[i + 1].step.kind == "decide"
        found.append(after(found[-1], parsed, searches_again=searches_again))
    return found


def shown_results(step: Step) -> tuple[ResultItem, ...]:
    """The search results of a summarise step with their link ids."""
    return tuple(ResultItem(step.first_link + i, hit.title, hit.snippet) for i, hit in enumerate(step.hits))
