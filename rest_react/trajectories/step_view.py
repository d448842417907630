"""The view of a step: a title and parts of a few kinds, which the page shows in the same way for every task.

    StepView("Decide", (Part("thoughts", "Who wrote it?"), Part("line", "author of Dusk", label="searches for")))

Not here: the parts of a step (its task), and how a part is displayed (reporting/templates/conversation.js).
"""

from dataclasses import dataclass
from typing import Literal

from rest_react.trajectories.parsed import ParsedStep


@dataclass(frozen=True, slots=True)
class Source:
    """A document in the state of a step. `origin` is its address or id; `selected` says whether the step keeps it."""

    number: int
    title: str
    text: str
    origin: str
    selected: bool


@dataclass(frozen=True, slots=True)
class Part:
    """One part. `text` is a thought, code, a note, a quoted text, a verdict, or the quoted text after `label`; `before`
    is the text that a `change` replaces; `lines` are comments; `good` sets the colour of a verdict."""

    kind: Literal["thoughts", "line", "note", "comments", "quote", "code", "sources", "verdict", "change"]
    text: str = ""
    label: str = ""
    before: str = ""
    lines: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    good: bool = True


@dataclass(frozen=True, slots=True)
class StepView:
    """A step: title and parts for the page, `lines` for the terminal."""

    title: str
    parts: tuple[Part, ...]
    lines: tuple[str, ...] = ()


def plain_view(title: str, parsed: ParsedStep) -> StepView:
    """A step that shows only the text of its action."""
    if parsed.chosen is None:
        problem = parsed.actions[0].problem if parsed.actions else "none"
        return StepView(title, (Part("note", "No sample could be used."),), (f"no sample can be used ({problem})",))
    return StepView(title, (Part("quote", parsed.chosen.target),), (f"writes    {parsed.chosen.target}",))
