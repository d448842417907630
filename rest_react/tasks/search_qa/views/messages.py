"""A trajectory of the search agent as a chat with one tool, `search`.

    as_conversation(trajectory, steps).messages
    # user: the question · assistant: reasoning, search(query) · tool: results · assistant: reasoning, the final answer

What the agent thinks, selects and checks between two calls is the reasoning of one assistant message. The self-checks
are reasoning, too: the last message is the answer after them, and a draft that they changed is quoted before it.
Not here: how a message is written to a file (exporting.chat_formats).
"""

import json
from collections.abc import Iterator, Sequence

from rest_react.records import Step, Trajectory
from rest_react.tasks.search_qa.actions import Answer, CheckAnswer, LinkSelection, ReviseAnswer, Search, Terminate
from rest_react.tasks.search_qa.memory import BUDGET_SPENT, NOTHING_SELECTED, memories
from rest_react.text_safety.escaping import escape_control_tokens
from rest_react.trajectories.chat_messages import Conversation, Message, Tool, ToolCall
from rest_react.trajectories.parsed import ParsedStep

SEARCH = Tool("search", "Searches for documents and returns the best results.", {"query": "what to search for"})


def as_conversation(trajectory: Trajectory, steps: Sequence[ParsedStep]) -> Conversation:
    """The messages of a trajectory. A failed one ends with its last usable step."""
    messages = [Message("user", escape_control_tokens(trajectory.question))]
    reasoning: list[str] = []
    before = memories(steps)
    for i, parsed in enumerate(steps):
        if parsed.step.kind == "summarise":
            messages.append(Message("tool", _results(parsed.step), answers=_call_id(i - 1)))
        reasoning += map(escape_control_tokens, _reasoning(parsed, before[i].answer))
        action = parsed.chosen.action if parsed.chosen else None
        if isinstance(action, Search):
            call = ToolCall(_call_id(i), SEARCH.name, {"query": escape_control_tokens(action.query)})
            messages.append(Message("assistant", reasoning="\n\n".join(reasoning), calls=(call,)))
            reasoning = []
    if trajectory.outcome == "finished" or reasoning:
        answer = escape_control_tokens(before[-1].answer)
        messages.append(Message("assistant", answer, reasoning="\n\n".join(reasoning)))
    return Conversation(tuple(messages), (SEARCH,))


def _call_id(step: int) -> str:
    return f"search_{step}"


def _results(step: Step) -> str:
    """The results as JSON. The agent has escaped control tokens in title and snippet when it searched; no state shows
    the source."""
    results = [
        {"link_id": number, "title": hit.title, "snippet": hit.snippet, "source": escape_control_tokens(hit.source)}
        for number, hit in enumerate(step.hits, start=step.first_link)
    ]
    return json.dumps(results, ensure_ascii=False)


def _reasoning(parsed: ParsedStep, current: str) -> Iterator[str]:
    """What a step adds to the reasoning. `current` is the answer that a self-check is about."""
    kind = parsed.step.kind
    if parsed.step.forced:
        yield BUDGET_SPENT
        return
    match parsed.chosen.action if parsed.chosen else None:
        case Search(_, thoughts) | Terminate(thoughts) | Answer(thoughts):
            said: tuple[str, ...] = (thoughts,)
        case LinkSelection(summary, thoughts, ids, comments):
            kept = f"{summary} (link_id {', '.join(map(str, ids))})" if ids else NOTHING_SELECTED
            said = ("\n".join(comments), kept, thoughts)
        case CheckAnswer(True, comments):
            said = ("\n".join(comments), f"The {kind} check passed.")
        case CheckAnswer(_, comments) | ReviseAnswer(_, comments):
            said = (f"Draft: {current}", "\n".join(comments), f"The {kind} check failed.")
        case _:
            said = ()
    yield from filter(str.strip, said)
