"""Lists and objects that a text column spells, read back without evaluating anything.

    read_list_literal('["politician", "writer"]')                 # JSON, as PopQA has it
    read_list_literal("['Jane Austen' 'J. Austen']")              # numpy, as pandas.to_csv writes an array
    read_list_literal("{'value': 'Ada', 'aliases': array(['A. Mell'], dtype=object)}")

A text that spells neither list nor object is returned as it is.
Not here: which texts of a row may spell a list (`row_values`).
"""

import ast
import json
import re
from collections import deque

# A list that was cut short as well: it begins with a bracket and a quotation mark.
_LOOKS_SPELT = re.compile(r"\[.*\]|\{.*\}|[\[{]\s*['\"].*|\(\s*['\"].*\)|\(list\b.*\)|(?:np\.)?array\(.*\)", re.DOTALL)
_QUOTED_MEMBER = re.compile(r"[\[({]\s*['\"]")
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")
    |(?P<number>[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?(?![\w.]))
    |(?P<name>[A-Za-z_][\w.]*)|(?P<sign>[\[\](){},:=]))""",
    re.VERBOSE,
)
_NAMES: dict[str, object] = {
    "None": None, "null": None, "nan": None, "NaN": None, "True": True, "true": True, "False": False, "false": False,
}  # fmt: skip
_CALLS = frozenset(("array", "str_", "int64", "int32", "float64", "float32", "bool_"))
_CLOSING = {"[": "]", "(": ")", "{": "}"}
_DEEPEST = 20

_Tokens = deque[tuple[str, str]]


def read_list_literal(text: str, *, member: bool = False) -> object:
    """The list or object that the text spells, or the text. Raises ValueError for one that looks like a list or object
    and cannot be read. A `member` of a list may be a text in brackets, unless a quoted text follows the bracket."""
    bare = text.strip()
    if not _LOOKS_SPELT.fullmatch(bare) or (member and not _QUOTED_MEMBER.match(bare)):
        return text
    try:
        return json.loads(bare)
    except (ValueError, RecursionError):
        tokens = _tokens(bare)
    value = _value(tokens, 0)
    if tokens:
        raise ValueError(f"{tokens[0][1]!r} follows its end")
    return value


def _tokens(text: str) -> _Tokens:
    tokens: _Tokens = deque()
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if not found:
            raise ValueError(f"it cannot be read from {text[place : place + 20]!r} on")
        tokens.append((str(found.lastgroup), found[str(found.lastgroup)]))
        place = found.end()
    return tokens


def _value(tokens: _Tokens, depth: int) -> object:
    if not tokens or depth > _DEEPEST:
        raise ValueError("it is not closed" if depth <= _DEEPEST else "it is nested too deep")
    kind, written = tokens.popleft()
    if kind == "text":
        return ast.literal_eval(written)
    if kind == "number":
        return int(written) if written.lstrip("+-").isdigit() else float(written)
    if kind == "sign" and written in _CLOSING:
        members, keyed = _members(tokens, _CLOSING[written], depth)
        if members and keyed:
            raise ValueError("some of its members have keys and some have none")
        return keyed or members
    if kind == "name" and written in _NAMES:
        return _NAMES[written]
    if kind == "name" and written.rpartition(".")[2] in _CALLS and tokens and tokens.popleft() == ("sign", "("):
        members, _ = _members(tokens, ")", depth)
        if len(members) == 1:
            return members[0]
    raise ValueError(f"{written!r} is no value; texts need quotes")


def _members(tokens: _Tokens, closing: str, depth: int) -> tuple[list[object], dict[str, object]]:
    """Up to the closing bracket. numpy writes no commas."""
    members: list[object] = []
    keyed: dict[str, object] = {}
    while tokens and tokens[0] != ("sign", closing):
        if tokens[0] == ("sign", ","):
            tokens.popleft()
            continue
        if len(tokens) > 2 and tokens[1] == ("sign", "="):  # dtype=object
            for _ in range(3):
                tokens.popleft()
            continue
        value = _value(tokens, depth + 1)
        if tokens and tokens[0] == ("sign", ":"):
            tokens.popleft()
            keyed[str(value)] = _value(tokens, depth + 1)
        else:
            members.append(value)
    if not tokens:
        raise ValueError("it is not closed")
    tokens.popleft()
    return members, keyed
