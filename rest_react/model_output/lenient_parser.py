"""Parses calls and objects in model output, with the usual syntax errors repaired, into trees that are never evaluated.

    >>> ast.unparse(read_call('Search(query="the "Beagle"", ) I hope this helps', 0)[0])
    'Search(query=\\'the "Beagle"\\')'

A call ends at its closing bracket. If Python cannot parse it, `repair_call` rewrites frequent errors: smart quotes,
unescaped quotes, raw line breaks, a missing quote or bracket at the end, names in a list. Objects in braces are parsed
as JSON, then as Python dictionaries. Every function is linear in the text's length and raises only Unreadable.
Not here: what a call means (tasks.search_qa.reading.parsing).
"""

import ast
import json
import re
import warnings

from rest_react.text_safety.escaping import quote

DEEPEST = 20
_SMART_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "\u2018": "'", "’": "'"})
_OPEN = {"(": ")", "[": "]", "{": "}"}
# A closing quote is followed by the end, a bracket, or a comma with the next argument (or a remark) after it.
_AFTER_STRING = re.compile(r"\s*(?:$|[)\]}]|,\s*(?:$|[A-Za-z_]+(?:\s*=|\()|\d+\s*[,)\]]|[\"'“„\u2018\[)\]#]))")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_ID_NAME = re.compile(r"[\[,]\s*((?:link_?)?id\s*)$", re.IGNORECASE)  # of an item in a list of ids
_PREFIX = re.compile(r"(?<![A-Za-z0-9_])(?:[rRuU]|[fF][rR]?|[rR][fF])$")


class Unreadable(ValueError):
    """The text cannot be parsed; the message says why. The callers in `tasks` and `judges` catch it."""


def bracket_span(text: str, start: int, *, lines: bool = True) -> tuple[int, list[tuple[int, int]]]:
    """(end, strings): the offset after the bracket that closes the first one from `start` on, and the (start, end) of
    each string before it.

    With `lines=False` a string in single quotes must end on its line. Raises Unreadable if no bracket closes it.
    """
    strings: list[tuple[int, int]] = []
    depth, i = 0, start
    while i < len(text):
        char = text[i]
        if char in "\"'":
            end = string_end(text, i, lines=lines)
            strings.append((i, end))
            i = end
            continue
        if char in _OPEN:
            depth += 1
            if depth > DEEPEST:
                raise Unreadable(f"brackets more than {DEEPEST} deep")
        elif char in ")]}":
            depth -= 1
            if depth <= 0:
                return i + 1, strings
        elif char == "#":
            line_end = text.find("\n", i)
            i = len(text) if line_end < 0 else line_end
            continue
        i += 1
    raise Unreadable("the call never ends")


def string_end(text: str, start: int, *, lines: bool) -> int:
    """The offset after the closing quote of the string at `start`. Raises Unreadable if there is none."""
    mark = text[start] * 3 if text.startswith(text[start] * 3, start) else text[start]
    i = start + len(mark)
    while i < len(text):
        if text[i] == "\\":
            i += 2
        elif text.startswith(mark, i):
            return i + len(mark)
        elif text[i] == "\n" and len(mark) == 1 and not lines:
            break
        else:
            i += 1
    raise Unreadable("the call never ends")


def repair_call(text: str, start: int) -> tuple[str, int]:
    """(source, end): the repaired call at `start`, and the offset where it ends in `text`.

    Each string ends at its first plausible closing quote and is quoted again, open brackets are closed, comments and
    the names of ids in a list (`[link_id=1]`) are dropped. Raises Unreadable if brackets are nested too deep.
    """
    out: list[str] = []
    closers: list[str] = []
    i = start
    while i < len(text):
        char = text[i]
        straight_quote = char.translate(_SMART_QUOTES)
        if straight_quote in "\"'":
            content, i = _string_at(text, i, straight_quote)
            if out and "{" not in content and _PREFIX.search("".join(out[-3:])):
                while out and out[-1] in "rRuUfF":
                    out.pop()
            out.append(quote(content))
            continue
        if char == "#":
            line_end = text.find("\n", i)
            i = len(text) if line_end < 0 else line_end
            continue
        if char == "=" and closers and closers[-1] == "]" and (named := _ID_NAME.search("".join(out[-20:]))):
            del out[len(out) - len(named[1]) :]
            i += 1
            continue
        if char in _OPEN:
            closers.append(_OPEN[char])
            if len(closers) > DEEPEST:
                raise Unreadable(f"brackets more than {DEEPEST} deep")
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
    return "".join(out).rstrip().rstrip(",") + "".join(reversed(closers)), i


def _string_at(text: str, start: int, closer: str) -> tuple[str, int]:
    """(content, end): the content of the string at `start`, and the offset after it.

    A quote closes the string only where an argument can end; without such a quote the string is the rest of the text.
    """
    triple = text[start] * 3
    if text.startswith(triple, start) and (end := text.find(triple, start + 3)) >= 0:
        return _ESCAPE.sub(_unescape, text[start + 3 : end]), end + 3
    out: list[str] = []
    i = start + 1
    while i < len(text):
        char = text[i]
        if escape := _ESCAPE.match(text, i):
            out.append(_unescape(escape))
            i = escape.end()
        elif char.translate(_SMART_QUOTES) == closer and _AFTER_STRING.match(text, i + 1):
            return "".join(out), i + 1
        else:
            out.append(char)
            i += 1
    # The string has no end: brackets at the end of the text more likely belong to the call than to the string.
    return "".join(out).rstrip().removesuffix("))").removesuffix(")"), i


def _unescape(escape: re.Match[str]) -> str:
    code = escape[1] or escape[2]
    return chr(int(code, 16)) if code else _LETTERS.get(escape[3], escape[3])


def read_call(text: str, start: int) -> tuple[ast.Call, int]:
    """(call, end): the call at `start`, repaired if necessary, and the offset where it ends.

    Raises Unreadable, with the reason why the unrepaired text cannot be parsed.
    """
    try:
        end = bracket_span(text, start)[0]
        return _parse_call(text[start:end]), end
    except Unreadable as error:
        try:
            source, end = repair_call(text, start)
            return _parse_call(source), min(end, len(text.rstrip()))
        except Unreadable:
            raise error from None


def _parse_call(source: str) -> ast.Call:
    # Brackets around the source allow line breaks anywhere.
    tree = _parse_expression(f"({source})")
    if not isinstance(tree, ast.Call):
        raise Unreadable("not a call")
    return tree


def read_object(text: str, start: int) -> tuple[ast.Dict, int]:
    """(object, end): the JSON object or Python dictionary at `start`, and the offset of its end. Raises Unreadable."""
    end = bracket_span(text, start)[0]
    source = text[start:end]
    try:
        tree: ast.expr = _json_to_tree(json.loads(source, strict=False))
    except (ValueError, RecursionError):
        tree = _parse_expression(source)
    if not isinstance(tree, ast.Dict):
        raise Unreadable("not an object")
    return tree, end


def _json_to_tree(value: object) -> ast.expr:
    """A JSON value as the syntax tree of the same Python value."""
    match value:
        case dict():
            return ast.Dict([ast.Constant(key) for key in value], [_json_to_tree(item) for item in value.values()])
        case list():
            return ast.List([_json_to_tree(item) for item in value], ast.Load())
        case _:
            return ast.Constant(value)  # type: ignore[arg-type]


def _parse_expression(source: str) -> ast.expr:
    try:
        with warnings.catch_warnings():
            # An invalid escape in a string gives a warning, which some versions of Python print and others raise.
            warnings.simplefilter("ignore")
            return ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Unreadable(f"not a Python call: {getattr(error, 'msg', error)}") from error
