"""Text in, structure out: reads what a model wrote for one step, forgivingly, and never runs it.

    >>> parse("decide", "ACTION_SELECTED = ActionWrapper(thoughts='x', action=Search(query='y'))  # [END]")
    Parsed(action=Search(query='y', thoughts='x'), problem='')
    >>> parse("decide", "I would search for y.").problem
    'no call of ActionWrapper, Search or Terminate'

The call is cut out of the text, read with `ast` as an expression, and turned into an action field by field. If that
fails, a repairing scan rewrites the common slips (smart quotes, unescaped quotes, raw line breaks, a missing quote
or bracket at the end) and it is tried once more. What only looks like a call ("I would Search (again) ...") is
passed over, and so is what a reasoning model thinks aloud first. No input raises; the work is linear in the text's
length.
Not here: whether the action makes sense in its trajectory (agent).
"""

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice, product

from rest_react.actions import (
    Action,
    Answer,
    CheckAnswer,
    LinkSelection,
    ReviseAnswer,
    Search,
    Terminate,
    quote,
)
from rest_react.records import StepKind

_LONGEST = 20_000
_DEEPEST = 20
_MOST_CALLS = 5
_END = re.compile(r"#\s*\[END\]")
_CALLS: dict[StepKind, tuple[str, ...]] = {
    "decide": ("ActionWrapper", "Search", "Terminate"),
    "summarise": ("LinkSelection",),
    "answer": ("Answer",),
    "relevance": ("Check_Answer", "Revise_Answer"),
    "grounding": ("Check_Answer", "Revise_Answer"),
}
# Case and underscores do not matter.
_STARTS: dict[StepKind, re.Pattern[str]] = {
    kind: re.compile(
        rf"(?<![A-Za-z0-9_])(?:{'|'.join(re.sub('_|(?<=[a-z])(?=[A-Z])', '_?', name) for name in names)})\s*\(",
        re.IGNORECASE,
    )
    for kind, names in _CALLS.items()
}
_FIELDS: dict[str, tuple[str, ...]] = {
    "actionwrapper": ("thoughts", "action"),
    "search": ("query", "thoughts"),
    "terminate": ("thoughts",),
    "linkselection": ("grounded_summarization", "thoughts", "selected_link_ids"),
    "answer": ("thoughts", "answer"),
    "checkanswer": ("passed",),
    "reviseanswer": ("revised_answer",),
}
_SMART_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "\u2018": "'", "’": "'"})
_OPEN = {"(": ")", "[": "]", "{": "}"}
# After a closing quote comes the end, a bracket, or a comma with the next argument (or a remark) behind it.
_AFTER_STRING = re.compile(r"\s*(?:$|[)\]}]|,\s*(?:$|[A-Za-z_]+(?:\s*=|\()|\d+\s*[,)\]]|[\"'“„\u2018\[)\]#]))")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


@dataclass(frozen=True, slots=True)
class Parsed:
    """An action, or None and why there is none. `spans` is where the action stands in the text, as (start, end): its
    comment lines and its call; none where that is not known."""

    action: Action | None
    problem: str = ""
    spans: tuple[tuple[int, int], ...] = field(default=(), compare=False)


class _Unreadable(ValueError):
    """Carries the reason up to `parse`; never leaves this module."""


def parse(kind: StepKind, text: str) -> Parsed:
    """Reads the first usable call of `kind` in `text`. Never raises."""
    if len(text) > _LONGEST:
        return Parsed(None, f"longer than {_LONGEST} characters")
    whole = text.encode("utf-8", "replace").decode("utf-8")
    text = whole.rpartition("</think>")[2]
    skipped = len(whole) - len(text)
    text = _END.split(text, maxsplit=1)[0]
    problem = ""
    for start, spelling in product(islice(_calls(kind, text), _MOST_CALLS), (_exact, _repaired)):
        try:
            source, length = spelling(text[start:])
            comments, spans = _comments(text[:start])
            action = _to_action(_expression(source), comments)
            return Parsed(action, spans=tuple((skipped + i, skipped + j) for i, j in (*spans, (start, start + length))))
        except _Unreadable as error:
            problem = problem or str(error)
    names = _CALLS[kind]
    listed = names[0] if len(names) == 1 else ", ".join(names[:-1]) + " or " + names[-1]
    return Parsed(None, problem or f"no call of {listed}")


def _calls(kind: StepKind, text: str) -> Iterator[int]:
    """Where calls of this kind start, outside comment lines."""
    for match in _STARTS[kind].finditer(text):
        line_start = text.rfind("\n", 0, match.start()) + 1
        if not text[line_start : match.start()].lstrip().startswith("#"):
            yield match.start()


def _comments(text: str) -> tuple[tuple[str, ...], list[tuple[int, int]]]:
    """The comment lines before a call, without their marks, and where they stand."""
    comments, spans = [], []
    start = 0
    for line in text.splitlines(keepends=True):
        comment = line.strip()
        if comment.startswith("#") and comment.removeprefix("#").strip():
            comments.append(comment.removeprefix("#").strip())
            first = start + line.index(comment)
            spans.append((first, first + len(comment)))
        start += len(line)
    return tuple(comments), spans


def _exact(text: str) -> tuple[str, int]:
    """The text up to the bracket that closes its first one, strings respected; and its length."""
    depth, string, skip = 0, "", False
    for i, char in enumerate(text):
        if skip:
            skip = False
        elif string:
            skip = char == "\\"
            string = "" if char == string else string
        elif char in "\"'":
            string = char
        elif char in _OPEN:
            depth += 1
            if depth > _DEEPEST:
                raise _Unreadable(f"brackets more than {_DEEPEST} deep")
        elif char in ")]}":
            depth -= 1
            if depth == 0:
                return text[: i + 1], i + 1
    raise _Unreadable("the call never ends")


def _repaired(text: str) -> tuple[str, int]:
    """The call rewritten: every string re-quoted at its plausible end, open brackets closed, remarks dropped; and how
    much of the text it took."""
    out: list[str] = []
    closers: list[str] = []
    i = 0
    while i < len(text):
        char = text[i]
        plain = char.translate(_SMART_QUOTES)
        if plain in "\"'":
            content, i = _string_at(text, i + 1, plain)
            out.append(quote(content))
            continue
        if char == "#":
            line_end = text.find("\n", i)
            i = len(text) if line_end < 0 else line_end
            continue
        if char in _OPEN:
            closers.append(_OPEN[char])
            if len(closers) > _DEEPEST:
                raise _Unreadable(f"brackets more than {_DEEPEST} deep")
        elif char in ")]}":
            while closers and closers[-1] != char:
                out.append(closers.pop())
            if not closers:
                break
            closers.pop()
        out.append(char)
        i += 1
        if char in ")]}" and not closers:
            return "".join(out), i
    return "".join(out).rstrip().rstrip(",") + "".join(reversed(closers)), len(text.rstrip())


def _string_at(text: str, start: int, closer: str) -> tuple[str, int]:
    """The content of a string that begins at `start`, and where the text goes on. A quote closes it only where an
    argument can end; what has no such end runs to the end of the text."""
    out: list[str] = []
    i = start
    while i < len(text):
        char = text[i]
        if escape := _ESCAPE.match(text, i):
            code = escape[1] or escape[2]
            out.append(chr(int(code, 16)) if code else _LETTERS.get(escape[3], escape[3]))
            i = escape.end()
        elif char.translate(_SMART_QUOTES) == closer and _AFTER_STRING.match(text, i + 1):
            return "".join(out), i + 1
        else:
            out.append(char)
            i += 1
    # The string was cut off: brackets at its very end are more likely the call's than the sentence's.
    return "".join(out).rstrip().removesuffix("))").removesuffix(")"), i


def _expression(source: str) -> ast.Call:
    try:
        with warnings.catch_warnings():
            # A stray backslash in a string is a warning to Python, printed by some versions and raised by others.
            warnings.simplefilter("ignore")
            # Inside brackets a line may break anywhere.
            tree = ast.parse(f"({source})", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _Unreadable(f"not a Python call: {getattr(error, 'msg', error)}") from error
    if not isinstance(tree, ast.Call):
        raise _Unreadable("not a call")
    return tree


def _to_action(call: ast.Call, comments: tuple[str, ...]) -> Action:
    name, fields = _name_and_fields(call)
    match name:
        case "actionwrapper":
            return _unwrap(fields, comments)
        case "search":
            return Search(_text(fields, "query"), _text(fields, "thoughts", ""), comments)
        case "terminate":
            return Terminate(_text(fields, "thoughts", ""), comments)
        case "linkselection":
            summary, thoughts = _text(fields, "grounded_summarization"), _text(fields, "thoughts", "")
            return LinkSelection(summary, thoughts, _link_ids(fields), comments)
        case "answer":
            return Answer(_text(fields, "thoughts", ""), _text(fields, "answer"), comments)
        case "checkanswer":
            return CheckAnswer(_truth(fields), comments)
        case _:
            return ReviseAnswer(_text(fields, "revised_answer"), comments)


def _unwrap(fields: dict[str, ast.expr], comments: tuple[str, ...]) -> Action:
    inner = fields.get("action")
    if isinstance(inner, ast.Name):
        inner = ast.Call(func=inner, args=[], keywords=[])
    if not isinstance(inner, ast.Call):
        raise _Unreadable("ActionWrapper without an action")
    name, inner_fields = _name_and_fields(inner)
    merged = {**inner_fields, **{key: value for key, value in fields.items() if key == "thoughts"}}
    if name == "search":
        return Search(_text(merged, "query"), _text(merged, "thoughts", ""), comments)
    if name == "terminate":
        return Terminate(_text(merged, "thoughts", ""), comments)
    raise _Unreadable("the action is neither Search nor Terminate")


def _name_and_fields(call: ast.Call) -> tuple[str, dict[str, ast.expr]]:
    if not isinstance(call.func, ast.Name):
        raise _Unreadable("not a call of a known name")
    name = _plain(call.func.id)
    if name not in _FIELDS:
        raise _Unreadable(f"unknown call {call.func.id[:40]}")
    known = {_plain(field): field for field in _FIELDS[name]}
    fields = dict(zip(_FIELDS[name], call.args, strict=False))
    for keyword in call.keywords:
        field = known.get(_plain(keyword.arg or ""))
        if field is not None:
            fields[field] = keyword.value
    return name, fields


def _plain(name: str) -> str:
    return name.lower().replace("_", "")


def _text(fields: dict[str, ast.expr], field: str, default: str | None = None) -> str:
    value = _constant(fields.get(field))
    if value is None and default is not None:
        return default
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise _Unreadable(f"no text in {field}")
    return str(value).encode("utf-8", "replace").decode("utf-8").strip()


def _truth(fields: dict[str, ast.expr]) -> bool:
    node = fields.get("passed")
    value = node.id if isinstance(node, ast.Name) else _constant(node)
    match str(value).strip().lower():
        case "true" | "1" | "yes":
            return True
        case "false" | "0" | "no":
            return False
    raise _Unreadable("passed is neither True nor False")


def _link_ids(fields: dict[str, ast.expr]) -> tuple[int, ...]:
    node = fields.get("selected_link_ids")
    if node is None:
        raise _Unreadable("no selected_link_ids")
    nodes = node.elts if isinstance(node, (ast.List, ast.Tuple, ast.Set)) else [node]
    ids: list[int] = []
    for element in nodes:
        number = re.fullmatch(r"\D{0,20}(\d{1,9})\D{0,5}", str(_constant(element)))
        if number is None:
            raise _Unreadable("selected_link_ids holds something that is no link id")
        if int(number[1]) not in ids:
            ids.append(int(number[1]))
    return tuple(ids)


def _constant(node: ast.expr | None) -> object:
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, int) and value.bit_length() > 64:
        # Python refuses to spell out an int of thousands of digits; no field holds one anyway.
        raise _Unreadable("a number out of range")
    return value
