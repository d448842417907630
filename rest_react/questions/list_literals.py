"""Parses lists and objects that were written into a text column, without evaluating them.

    >>> read_list_literal('["politician", "writer"]')                 # JSON, as in PopQA
    ['politician', 'writer']
    >>> read_list_literal("['Jane Austen' 'J. Austen']")              # numpy, as pandas.to_csv writes an array
    ['Jane Austen', 'J. Austen']
    >>> read_list_literal("{'value': 'Ada', 'aliases': array(['A. Mell'], dtype=object)}")
    {'value': 'Ada', 'aliases': ['A. Mell']}

Any other text is returned as it is.
Not here: which columns may contain a list (`row_values`).
"""

import ast
import json
import re
from collections import deque

# This matches truncated lists too: they begin with a bracket and a quotation mark.
_LOOKS_LIKE_LITERAL = re.compile(
    r"\[.*\]|\{.*\}|[\[{]\s*['\"].*|\(\s*['\"].*\)|\(list\b.*\)|(?:np\.)?array\(.*\)", re.DOTALL
)
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
    """The list or object in the text, or the text itself if it is neither.

    Raises ValueError if the text looks like a list or an object but cannot be parsed. With `member=True` (the text is a
    member of a list) a text in brackets stays a text, unless a quotation mark follows the bracket.
    """
    stripped = text.strip()
    if not _LOOKS_LIKE_LITERAL.fullmatch(stripped) or (member and not _QUOTED_MEMBER.match(stripped)):
        return text
    try:
        return json.loads(stripped)
    except (ValueError, RecursionError):
        tokens = _tokenize(stripped)
    value = _parse_value(tokens, 0)
    if tokens:
        raise ValueError(f"unexpected {tokens[0][1]!r} after its end")
    return value


def _tokenize(text: str) -> _Tokens:
    tokens: _Tokens = deque()
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if not match:
            raise ValueError(f"unexpected text {text[place : place + 20]!r}")
        tokens.append((str(match.lastgroup), match[str(match.lastgroup)]))
        place = match.end()
    return tokens


def _parse_value(tokens: _Tokens, depth: int) -> object:
    if not tokens or depth > _DEEPEST:
        raise ValueError("a closing bracket is missing" if depth <= _DEEPEST else f"more than {_DEEPEST} levels deep")
    kind, source = tokens.popleft()
    if kind == "text":
        return ast.literal_eval(source)
    if kind == "number":
        return int(source) if source.lstrip("+-").isdigit() else float(source)
    if kind == "sign" and source in _CLOSING:
        members, keyed = _parse_members(tokens, _CLOSING[source], depth)
        if members and keyed:
            raise ValueError("some members have keys and some do not")
        return keyed or members
    if kind == "name" and source in _NAMES:
        return _NAMES[source]
    if kind == "name" and source.rpartition(".")[2] in _CALLS and tokens and tokens.popleft() == ("sign", "("):
        members, _ = _parse_members(tokens, ")", depth)
        if len(members) == 1:
            return members[0]
    raise ValueError(f"{source!r} is not a value; a text needs quotes")


def _parse_members(tokens: _Tokens, closing: str, depth: int) -> tuple[list[object], dict[str, object]]:
    """The members up to the closing bracket, without and with keys. Commas are optional, since numpy writes none."""
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
        value = _parse_value(tokens, depth + 1)
        if tokens and tokens[0] == ("sign", ":"):
            tokens.popleft()
            keyed[str(value)] = _parse_value(tokens, depth + 1)
        else:
            members.append(value)
    if not tokens:
        raise ValueError("a closing bracket is missing")
    tokens.popleft()
    return members, keyed
