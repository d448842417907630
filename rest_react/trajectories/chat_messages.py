"""A trajectory as the messages of a chat with tools, for exports.

    Message("assistant", reasoning="Who wrote it?", calls=(ToolCall("w1.0-0", "search", {"query": "author of Dusk"}),))
    Message("tool", '[{"link_id": 1, ...}]', answers="w1.0-0")

A task says what its messages are; each format says how they are written.
Not here: the prompts of a run (`records.chat_turns`), and file formats (exporting.chat_formats).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rest_react.text_safety.escaping import escape_control_tokens
from rest_react.trajectories.parsed import ParsedStep


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool; `parameters` are its texts, name to description."""

    name: str
    description: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool; `id` is unique in the conversation."""

    id: str
    name: str
    arguments: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `reasoning` and `calls` are the assistant's; `answers` is the id of the call that a tool answers."""

    role: Literal["user", "assistant", "tool"]
    content: str = ""
    reasoning: str = ""
    calls: tuple[ToolCall, ...] = ()
    answers: str = ""


@dataclass(frozen=True, slots=True)
class Conversation:
    """The messages of a trajectory, and the tools that it may call."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = field(default=())


def one_turn_per_step(steps: Sequence[ParsedStep]) -> Conversation:
    """Each step as the user's turn (its state) and the assistant's (its action); a step without one is left out."""
    messages: list[Message] = []
    for parsed in steps:
        if parsed.chosen is None:
            continue
        target = escape_control_tokens(parsed.chosen.target)
        messages += Message("user", parsed.step.state), Message("assistant", target)
    return Conversation(tuple(messages))
