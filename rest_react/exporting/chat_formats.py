"""Trajectories as chats: OpenAI's messages with tool calls, and sessions for the trace viewer of the Hub.

    messages_row(recorded, task, gold=False)["messages"][1]
    # {"role": "assistant", "content": "", "reasoning_content": "First ...", "tool_calls": [{"id": "search_0", ...}]}

OpenAI has no field for reasoning; `reasoning_content` is the one that vLLM, DeepSeek and chat templates use. A session
is a file of its own (Session Trace Simple Format). Gold answers are in a row, or in messages, only with `gold=True`; so
are the grader's reasons, which may quote them.
Not here: what the messages of a task are (its `conversation`), and which trajectories are exported (export).
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from rest_react.reporting.trajectories import RecordedTrajectory
from rest_react.tasks.protocol import Task
from rest_react.trajectories.chat_messages import Message, Tool
from rest_react.trajectories.parsed import ParsedTrajectory

HARNESS = "rest_react"
_NAME_LENGTH = 200


def messages_row(recorded: RecordedTrajectory, task: Task, *, gold: bool) -> dict[str, Any]:
    """A row with the messages and tools of a trajectory, in the format of OpenAI's chat completions."""
    conversation = task.conversation(_parsed(recorded, task), gold=gold)
    return {
        **_facts(recorded, gold=gold),
        "messages": [_openai_message(message) for message in conversation.messages],
        "tools": [_openai_tool(tool) for tool in conversation.tools],
    }


def session_lines(recorded: RecordedTrajectory, task: Task, *, gold: bool) -> Iterator[dict[str, Any]]:
    """The lines of a session: its header, then a line for each message."""
    name = " ".join(recorded.trajectory.question.split())[:_NAME_LENGTH]
    yield {"type": "session", "harness": HARNESS, "name": name, **_facts(recorded, gold=gold)}
    for message in task.conversation(_parsed(recorded, task), gold=gold).messages:
        shown: dict[str, Any] = {"role": message.role, "content": message.content}
        if message.reasoning:
            shown["reasoningContent"] = message.reasoning
        if message.calls:
            calls = _calls(message)
            shown["toolCalls"] = [{"id": call["id"], "function": call["function"]} for call in calls]
        if message.answers:
            shown["toolCallId"] = message.answers
        yield {"type": "message", "message": shown}


def _parsed(recorded: RecordedTrajectory, task: Task) -> ParsedTrajectory:
    trajectory = recorded.trajectory
    return ParsedTrajectory(trajectory, tuple(map(task.parse, trajectory.steps)))


def _facts(recorded: RecordedTrajectory, *, gold: bool) -> dict[str, Any]:
    result = recorded.result
    facts: dict[str, Any] = {
        "id": f"{recorded.stage}/{recorded.trajectory.id}",
        "stage": recorded.stage,
        "question_id": recorded.trajectory.question_id,
        "outcome": recorded.trajectory.outcome,
        "verdict": result.verdict.verdict if result else None,
    }
    if gold:
        facts |= {
            "gold": list(result.golds) if result else [],
            "verdict_reason": result.verdict.reason if result else "",
        }
    return facts


def _openai_message(message: Message) -> dict[str, Any]:
    shown: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.reasoning:
        shown["reasoning_content"] = message.reasoning
    if message.calls:
        shown["tool_calls"] = _calls(message)
    if message.answers:
        shown["tool_call_id"] = message.answers
    return shown


def _calls(message: Message) -> list[dict[str, Any]]:
    return [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": msgspec.json.encode(dict(call.arguments)).decode()},
        }
        for call in message.calls
    ]


def _openai_tool(tool: Tool) -> dict[str, Any]:
    properties = {name: {"type": "string", "description": told} for name, told in tool.parameters.items()}
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    function = {"name": tool.name, "description": tool.description, "parameters": parameters}
    return {"type": "function", "function": function}
