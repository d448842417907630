"""Turns the syntax tree of a call into an action, accepting many spellings of names, fields and values.

    >>> to_action(read_call('Check_Answer(passed="yes")', 0)[0], ("It names the year.",))
    CheckAnswer(passed=True, comments=('It names the year.',))

Strings may be joined (`"a" "b"`, `"a" + "b"`) or f-strings. In thoughts a placeholder is kept as text; any other field
with a placeholder is unreadable, because its value is unknown. Nothing is evaluated.
`call_of_object` turns a JSON object into a call, for models that were tuned to call tools.
Not here: finding the call in a text (tasks.search_qa.reading.parsing).
"""

import ast
import re
from collections.abc import Mapping

from rest_react.model_output.lenient_parser import Unreadable, read_call, read_object
from rest_react.tasks.search_qa.actions import (
    Action,
    Answer,
    CheckAnswer,
    LinkSelection,
    ReviseAnswer,
    Search,
    StepKind,
    Terminate,
)

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
_NAMES: dict[StepKind, frozenset[str]] = {
    "decide": frozenset({"actionwrapper", "search", "terminate"}),
    "summarise": frozenset({"linkselection", "selectlink"}),
    "answer": frozenset({"answer"}),
    "relevance": frozenset({"checkanswer", "reviseanswer"}),
    "grounding": frozenset({"checkanswer", "reviseanswer"}),
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


def to_action(call: ast.Call, comments: tuple[str, ...]) -> Action:
    """The action of a call. Raises Unreadable."""
    name, fields = _name_and_fields(call)
    match name:
        case "actionwrapper":
            return _unwrap(fields, comments)
        case "search":
            return Search(_text(fields, "query"), _thoughts(fields), comments)
        case "terminate":
            return Terminate(_thoughts(fields), comments)
        case "linkselection" | "selectlink":
            summary = _text(fields, "grounded_summarization")
            return LinkSelection(summary, _thoughts(fields), _link_ids(fields), comments)
        case "answer":
            return Answer(_thoughts(fields), _text(fields, "answer"), comments)
        case "checkanswer":
            passed = _truth(fields)
            comments += _remarks(fields)
            revised = "" if passed or "revised_answer" not in fields else _text(fields, "revised_answer", "")
            return ReviseAnswer(revised, comments) if revised else CheckAnswer(passed, comments)
        case _:
            return ReviseAnswer(_text(fields, "revised_answer"), comments + _remarks(fields))


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
        return Search(_text(merged, "query"), _thoughts(merged), comments)
    if name == "terminate":
        return Terminate(_thoughts(merged), comments)
    raise Unreadable("the action is neither Search nor Terminate")


def _name_and_fields(call: ast.Call) -> tuple[str, dict[str, ast.expr]]:
    if isinstance(call.func, ast.Attribute):
        spelled = call.func.attr
    elif isinstance(call.func, ast.Name):
        spelled = call.func.id
    else:
        raise Unreadable("not a call of a known name")
    name = _normalise_name(spelled)
    if name not in _FIELDS:
        raise Unreadable(f"unknown call {spelled[:40]}")
    given = {_normalise_name(keyword.arg): keyword.value for keyword in call.keywords if keyword.arg}
    for keyword in call.keywords:
        if keyword.arg is None and isinstance(keyword.value, ast.Dict):
            given |= _items(keyword.value)
    fields = dict(zip(_FIELDS[name], call.args, strict=False))
    # A wrapper may carry its action's fields.
    wanted = (*_FIELDS[name], "query") if name == "actionwrapper" else _FIELDS[name]
    for field in wanted:
        spellings = (_normalise_name(field), *_ALIASES.get(field, ()))
        value = next((given[spelling] for spelling in spellings if spelling in given), None)
        if value is not None:
            fields[field] = value
    return name, fields


def _normalise_name(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


def _items(node: ast.Dict) -> dict[str, ast.expr]:
    """The entries of an object by their normalised names."""
    return {
        _normalise_name(key.value): value
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }


def call_of_object(kind: StepKind, node: ast.Dict, named: str = "", depth: int = 0) -> ast.Call:
    """The call in an object: `{"name": "Search", "arguments": {...}}`, `{"Search": {...}}`,
    `{"action": "Search", "query": ...}`, or the fields only; `named` is the name before the object. Raises
    Unreadable."""
    if depth > _DEEPEST:
        raise Unreadable("objects nested too deep")
    items = _items(node)
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
            if _normalise_name(name) in _NAMES[kind]:
                return _call(name, _arguments(items), outer)
            if any(_normalise_name(value.value) in names for names in _NAMES.values()):
                raise Unreadable(f"an object that names {value.value[:40]}, which is no call of this step")
            if "(" in value.value and key != "type":
                return _with(read_call(value.value.strip(), 0)[0], outer)
    for key, value in items.items():
        if key in _NAMES[kind] and not (kind == "answer" and not isinstance(value, ast.Dict)):
            rest = {name: other for name, other in outer.items() if name != key}
            return _call(key, value, rest)
    if _normalise_name(named) in _NAMES[kind]:
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
    given = _items(arguments) if isinstance(arguments, ast.Dict) else {}
    lone = isinstance(arguments, ast.Constant) and arguments.value not in (None, "", True)
    args = [arguments] if lone and arguments is not None else []
    return ast.Call(ast.Name(name), args, [ast.keyword(key, value) for key, value in {**more, **given}.items()])


def _with(call: ast.Call, more: Mapping[str, ast.expr]) -> ast.Call:
    """The call with fields of its wrapper that it does not have itself."""
    own = {_normalise_name(keyword.arg) for keyword in call.keywords if keyword.arg}
    extra = [ast.keyword(key, value) for key, value in more.items() if key not in own]
    return ast.Call(call.func, call.args, [*call.keywords, *extra])


def _thoughts(fields: Mapping[str, ast.expr]) -> str:
    node = fields.get("thoughts")
    text = _joined(node, placeholders=True) if node is not None else None
    return _clean(text) if text is not None else _text(fields, "thoughts", "")


def _text(fields: Mapping[str, ast.expr], field: str, default: str | None = None) -> str:
    node = fields.get(field)
    joined = _joined(node) if node is not None else None
    value = _constant(node) if joined is None else joined
    if value is None and default is not None:
        return default
    if joined is None and isinstance(node, (ast.JoinedStr, ast.BinOp)):
        raise Unreadable(f"{field} is put together of values that are not known")
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise Unreadable(f"no text in {field}")
    return _clean(str(value))


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8").strip()


def _joined(node: ast.expr, *, placeholders: bool = False) -> str | None:
    """The text of strings joined by `+`, or of an f-string; None if there is anything else."""
    texts: list[str] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        right = _joined(node.right, placeholders=placeholders)
        if right is None:
            return None
        texts.append(right)
        node = node.left
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        texts.append(node.value)
    elif isinstance(node, ast.JoinedStr):
        pieces = [_piece(piece, placeholders=placeholders) for piece in node.values]
        if None in pieces:
            return None
        texts.append("".join(piece or "" for piece in pieces))
    else:
        return None
    return "".join(reversed(texts))


def _piece(node: ast.expr, *, placeholders: bool) -> str | None:
    """A part of an f-string: text, a constant in braces, or the placeholder as text."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    value = node.value if isinstance(node, ast.FormattedValue) else node
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value
    if isinstance(value, ast.Constant) and isinstance(value.value, int) and value.value.bit_length() <= 64:
        return str(value.value)
    if not placeholders:
        return None
    return f"{{{ast.unparse(value)}}}"


def _truth(fields: Mapping[str, ast.expr]) -> bool:
    node = fields.get("passed")
    value = node.id if isinstance(node, ast.Name) else _constant(node)
    match str(value).strip().strip("\"'.!").lower():
        case "true" | "1" | "yes" | "passed" | "pass":
            return True
        case "false" | "0" | "no" | "failed" | "fail":
            return False
    raise Unreadable("passed is neither True nor False")


def _remarks(fields: Mapping[str, ast.expr]) -> tuple[str, ...]:
    """Comments given as an argument: one text, or a list of them."""
    node = fields.get("comments")
    nodes = node.elts if isinstance(node, (ast.List, ast.Tuple)) else [node] if node is not None else []
    texts = [_joined(one, placeholders=True) for one in nodes]
    return tuple(line for text in texts if text for line in [" ".join(_clean(text).split())] if line)


def _link_ids(fields: Mapping[str, ast.expr]) -> tuple[int, ...]:
    node = fields.get("selected_link_ids")
    if node is None:
        raise Unreadable("no selected_link_ids")
    ids: list[int] = []
    for element in _elements(node):
        for number in _numbers(element):
            if number not in ids:
                ids.append(number)
    return tuple(ids)


def _elements(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return list(node.elts)
    if isinstance(node, ast.Constant) and node.value is None:
        return []
    return [node]


def _numbers(node: ast.expr) -> list[int]:
    """The link ids in one element: a number, a text with numbers, or a ResultItem."""
    if isinstance(node, ast.Call):
        given = {_normalise_name(keyword.arg): keyword.value for keyword in node.keywords if keyword.arg}
        node = given.get("linkid", node.args[0] if node.args else node)
    elif isinstance(node, ast.Dict):
        items = _items(node)
        node = items.get("linkid", items.get("id", node))
    value = str(_constant(node)).strip()
    if alone := re.fullmatch(r"\D{0,20}(\d{1,9})\D{0,5}", value):
        return [int(alone[1])]
    if re.fullmatch(r"[\d\s,;\[\]]*", re.sub(r"link_id\s*=", "", value)):
        return [int(number) for number in re.findall(r"\d+", value) if len(number) < 10]
    raise Unreadable("selected_link_ids holds something that is no link id")


def _constant(node: ast.expr | None) -> object:
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, int) and value.bit_length() > 64:
        # Python refuses to spell out an int of thousands of digits; no field holds one anyway.
        raise Unreadable("a number out of range")
    return value
