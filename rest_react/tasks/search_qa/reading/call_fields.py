"""Turns the syntax tree of a call into an action, accepting many spellings of names and fields.

    >>> to_action(read_call('Check_Answer(passed="yes")', 0)[0], ("It names the year.",))
    CheckAnswer(passed=True, comments=('It names the year.',))

Not here: the values of fields (field_values), objects in place of calls (json_calls), and finding the call in a text
(parsing).
"""

import ast
from collections.abc import Mapping

from rest_react.model_output.lenient_parser import Unreadable, read_call
from rest_react.tasks.search_qa.actions import (
    Action,
    Answer,
    CheckAnswer,
    LinkSelection,
    ReviseAnswer,
    Search,
    Terminate,
)
from rest_react.tasks.search_qa.reading.field_values import (
    items_of,
    link_ids_of,
    normalise_name,
    remarks_of,
    text_of,
    thoughts_of,
    truth_of,
)
from rest_react.tasks.search_qa.reading.json_calls import call_of_object

_FIELDS: dict[str, tuple[str, ...]] = {
    "actionwrapper": ("thoughts", "action"),
    "search": ("query", "thoughts"),
    "terminate": ("thoughts",),
    "linkselection": ("grounded_summarization", "thoughts", "selected_link_ids"),
    "selectlink": ("selected_link_ids", "grounded_summarization", "thoughts"),
    "answer": ("thoughts", "answer"),
    "checkanswer": ("passed", "revised_answer", "comments"),
    "reviseanswer": ("revised_answer", "comments"),
}
# Other spellings of a field, used where the field itself is missing; case and underscores do not matter.
_ALIASES: dict[str, tuple[str, ...]] = {
    "thoughts": ("thought", "reasoning", "rationale"),
    "query": ("searchquery", "q"),
    "grounded_summarization": ("groundedsummary", "summarization", "summary"),
    "selected_link_ids": ("selectedlinks", "selectedids", "linkids", "selectedlinkid", "links"),
    "answer": ("finalanswer",),
    "revised_answer": ("revisedanswer", "revision", "answer"),
    "comments": ("thoughts", "thought", "reasoning", "reason", "explanation", "comment"),
}


def to_action(call: ast.Call, comments: tuple[str, ...]) -> Action:
    """The action of a call. Raises Unreadable."""
    name, fields = _name_and_fields(call)
    match name:
        case "actionwrapper":
            return _unwrap(fields, comments)
        case "search":
            return Search(text_of(fields, "query"), thoughts_of(fields), comments)
        case "terminate":
            return Terminate(thoughts_of(fields), comments)
        case "linkselection" | "selectlink":
            summary = text_of(fields, "grounded_summarization")
            return LinkSelection(summary, thoughts_of(fields), link_ids_of(fields), comments)
        case "answer":
            return Answer(thoughts_of(fields), text_of(fields, "answer"), comments)
        case "checkanswer":
            passed = truth_of(fields)
            comments += remarks_of(fields)
            revised = "" if passed or "revised_answer" not in fields else text_of(fields, "revised_answer", "")
            return ReviseAnswer(revised, comments) if revised else CheckAnswer(passed, comments)
        case _:
            return ReviseAnswer(text_of(fields, "revised_answer"), comments + remarks_of(fields))


def _unwrap(fields: Mapping[str, ast.expr], comments: tuple[str, ...]) -> Action:
    inner = fields.get("action")
    if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
        text = inner.value.strip()
        inner = read_call(text, 0)[0] if "(" in text else ast.Name(text)
    if isinstance(inner, ast.Dict):
        inner = call_of_object("decide", inner)
    if isinstance(inner, ast.Name):
        inner = ast.Call(func=inner, args=[], keywords=[])
    if not isinstance(inner, ast.Call):
        raise Unreadable("ActionWrapper without an action")
    name, inner_fields = _name_and_fields(inner)
    merged = {**inner_fields, **{key: value for key, value in fields.items() if key != "action"}}
    if name == "search":
        return Search(text_of(merged, "query"), thoughts_of(merged), comments)
    if name == "terminate":
        return Terminate(thoughts_of(merged), comments)
    raise Unreadable("the action is neither Search nor Terminate")


def _name_and_fields(call: ast.Call) -> tuple[str, dict[str, ast.expr]]:
    if isinstance(call.func, ast.Attribute):
        spelled = call.func.attr
    elif isinstance(call.func, ast.Name):
        spelled = call.func.id
    else:
        raise Unreadable("not a call of a known name")
    name = normalise_name(spelled)
    if name not in _FIELDS:
        raise Unreadable(f"unknown call {spelled[:40]}")
    given = {normalise_name(keyword.arg): keyword.value for keyword in call.keywords if keyword.arg}
    for keyword in call.keywords:
        if keyword.arg is None and isinstance(keyword.value, ast.Dict):
            given |= items_of(keyword.value)
    fields = dict(zip(_FIELDS[name], call.args, strict=False))
    if name == "answer" and len(call.args) == 1 and not call.keywords:
        fields = {"answer": call.args[0]}  # thoughts alone answer nothing
    # A wrapper may carry its action's fields.
    wanted = (*_FIELDS[name], "query") if name == "actionwrapper" else _FIELDS[name]
    for field in wanted:
        spellings = (normalise_name(field), *_ALIASES.get(field, ()))
        value = next((given[spelling] for spelling in spellings if spelling in given), None)
        if value is not None:
            fields[field] = value
    return name, fields
