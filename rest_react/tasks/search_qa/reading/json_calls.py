"""Turns a JSON object into a call, for models that were tuned to call tools.

    >>> node, _ = read_object('{"name": "Search", "arguments": {"query": "Dusk"}}', 0)
    >>> ast.unparse(call_of_object("decide", node))
    "Search(query='Dusk')"

Not here: the fields of the call (call_fields), and finding the object in a text (parsing).
"""

import ast
from collections.abc import Mapping

from rest_react.model_output.lenient_parser import Unreadable, read_call, read_object
from rest_react.tasks.search_qa.actions import StepKind
from rest_react.tasks.search_qa.reading.field_values import items_of, normalise_name
from rest_react.tasks.search_qa.reading.repeated_state import OWN_CALLS

_NAMES: dict[StepKind, frozenset[str]] = {
    kind: frozenset(map(normalise_name, names)) for kind, names in OWN_CALLS.items()
}
# The keys that objects name a call and its arguments by.
_NAMED_BY = (
    "actionselected",
    "name",
    "action",
    "tool",
    "toolname",
    "function",
    "functioncall",
    "recipientname",
    "call",
    "type",
)
_ARGUMENTS = ("arguments", "parameters", "args", "kwargs", "params", "input", "toolinput", "actioninput")
_LISTED = ("toolcalls", "actions")
_DEEPEST = 6


def call_of_object(kind: StepKind, node: ast.Dict, named: str = "", depth: int = 0) -> ast.Call:
    """The call in an object: `{"name": "Search", "arguments": {...}}`, `{"Search": {...}}`,
    `{"action": "Search", "query": ...}`, or the fields only; `named` is the name before the object. Raises
    Unreadable."""
    if depth > _DEEPEST:
        raise Unreadable("objects nested too deep")
    items = items_of(node)
    outer = {key: value for key, value in items.items() if key not in (*_NAMED_BY, *_ARGUMENTS, *_LISTED)}
    for key in _LISTED:
        if isinstance(entry := items.get(key), ast.List) and entry.elts and isinstance(entry.elts[0], ast.Dict):
            return _with(call_of_object(kind, entry.elts[0], "", depth + 1), outer)
    for key in _NAMED_BY:
        value = items.get(key)
        if isinstance(value, ast.Dict):
            return _with(call_of_object(kind, value, "", depth + 1), outer)
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            name = value.value.strip().rpartition(".")[2]
            if normalise_name(name) in _NAMES[kind]:
                return _call(name, _arguments(items), outer)
            if any(normalise_name(value.value) in names for names in _NAMES.values()):
                raise Unreadable(f"an object that names {value.value[:40]}, which is no call of this step")
            if "(" in value.value and key != "type":
                return _with(read_call(value.value.strip(), 0)[0], outer)
    for key, value in items.items():
        if key in _NAMES[kind] and not (kind == "answer" and not isinstance(value, ast.Dict)):
            rest = {name: other for name, other in outer.items() if name != key}
            return _call(key, value, rest)
    if normalise_name(named) in _NAMES[kind]:
        return _call(named, node, {})
    signature = {
        "decide": ("query", "search"),
        "summarise": ("groundedsummarization", "linkselection"),
        "answer": ("answer", "answer"),
        "relevance": ("passed", "checkanswer"),
        "grounding": ("passed", "checkanswer"),
    }[kind]
    if signature[0] in items:
        return _call(signature[1], node, {})
    if "revisedanswer" in items and kind in ("relevance", "grounding"):
        return _call("reviseanswer", node, {})
    raise Unreadable("an object that names no call of this step")


def _arguments(items: Mapping[str, ast.expr]) -> ast.expr | None:
    """What an object gives under `arguments` or another key for them; JSON inside a string, as OpenAI sends it, is
    read."""
    value = next((items[key] for key in _ARGUMENTS if key in items), None)
    if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value.lstrip().startswith("{"):
        return read_object(value.value.strip(), 0)[0]
    return value


def _call(name: str, arguments: ast.expr | None, more: Mapping[str, ast.expr]) -> ast.Call:
    """A call of `name`; a single value is its first field."""
    given = items_of(arguments) if isinstance(arguments, ast.Dict) else {}
    args: list[ast.expr] = []
    if isinstance(arguments, ast.Constant) and arguments.value not in (None, ""):
        empty = arguments.value is True and normalise_name(name) == "terminate"  # {"Terminate": true}
        args = [] if empty else [arguments]
    return ast.Call(ast.Name(name), args, [ast.keyword(key, value) for key, value in {**more, **given}.items()])


def _with(call: ast.Call, more: Mapping[str, ast.expr]) -> ast.Call:
    """The call with fields of its wrapper that it does not have itself."""
    own = {normalise_name(keyword.arg) for keyword in call.keywords if keyword.arg}
    extra = [ast.keyword(key, value) for key, value in more.items() if key not in own]
    return ast.Call(call.func, call.args, [*call.keywords, *extra])
