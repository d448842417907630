"""How a step is shown to people: a heading and parts of a few kinds, which a page shows alike for every task.

    StepView("Decide", (Part("thoughts", "Who wrote it?"), Part("line", "author of Dusk", label="searches for")))

Not here: which parts a step has (each task), and how a part looks (reporting/templates/conversation.js).
"""

from dataclasses import dataclass
from typing import Literal

from rest_react.parsed_trajectories import ParsedStep


@dataclass(frozen=True, slots=True)
class Source:
    """A document that a step was shown. `origin` is where it is from, `selected` whether the step keeps it."""

    number: int
    title: str
    text: str
    origin: str
    selected: bool


@dataclass(frozen=True, slots=True)
class Part:
    """One part. `text` is a thought, a note, a quoted text, the short word of a verdict, or what stands quoted behind
    `label`; `before` is the text that a `change` replaces; `lines` are comments; `good` colours a verdict."""

    kind: Literal["thoughts", "line", "note", "comments", "quote", "sources", "verdict", "change"]
    text: str = ""
    label: str = ""
    before: str = ""
    lines: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    good: bool = True


@dataclass(frozen=True, slots=True)
class StepView:
    """A step under its heading. `lines` say the same in a terminal."""

    title: str
    parts: tuple[Part, ...]
    lines: tuple[str, ...] = ()


def plain_view(title: str, parsed: ParsedStep) -> StepView:
    """A step that shows no more than the text of its action."""
    if parsed.chosen is None:
        problem = parsed.actions[0].problem if parsed.actions else "none"
        return StepView(title, (Part("note", "No sample could be used."),), (f"no sample can be used ({problem})",))
    return StepView(title, (Part("quote", parsed.chosen.target),), (f"writes    {parsed.chosen.target}",))
