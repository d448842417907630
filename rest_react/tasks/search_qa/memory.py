"""What the agent remembers between steps: PAST_ACTIONS and the current answer.

    memory = after(Memory(), parsed)       # of a decision: the search is the last entry of memory.past
    [*before, end] = memories(trajectory)  # of every step of a finished trajectory, and after the last

The agent, the verifier and the pages all take it from here.
Not here: how a state shows it (render_state).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rest_react.parsed_trajectories import ParsedStep
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

NOTHING_SELECTED = "Nothing is selected."
BUDGET_SPENT = "No searches remain, so I answer with what I have."


@dataclass(frozen=True, slots=True)
class Memory:
    """`past` is PAST_ACTIONS, which keeps the draft; `answer` is the current text, "" before the first."""

    past: tuple[PastAction, ...] = ()
    answer: str = ""


def after(memory: Memory, parsed: ParsedStep, *, searches_again: bool = False) -> Memory:
    """The memory after a step. Of the results that a summary was shown, it keeps those selected. A revision replaces
    the answer, unless the agent searches again instead."""
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
        case ReviseAnswer(revised) if not searches_again:
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
    """The results that a summary was shown, under their link ids."""
    return tuple(ResultItem(step.first_link + i, hit.title, hit.snippet) for i, hit in enumerate(step.hits))
