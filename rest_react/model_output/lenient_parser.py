"""The text of one call, as models write it: cut out, repaired, and read as a syntax tree that is never run.

    >>> ast.unparse(read_call('Search(query="the "Beagle"", ) I hope this helps', 0)[0])
    'Search(query=\\'the "Beagle"\\')'

A call is first cut at the bracket that closes it. If Python cannot read that, a repairing scan rewrites the common
slips (smart quotes, unescaped quotes, raw line breaks, a missing quote or bracket at the end). Objects in braces are
read as JSON, else as Python's dictionaries. Every function is linear in the text's length.
Not here: what a call means (parsing).
"""

import ast
import json
import re
import warnings

from rest_react.text_safety import quote

DEEPEST = 20
_SMART_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "\u2018": "'", "’": "'"})
_OPEN = {"(": ")", "[": "]", "{": "}"}
# After a closing quote comes the end, a bracket, or a comma with the next argument (or a remark) behind it.
_AFTER_STRING = re.compile(r"\s*(?:$|[)\]}]|,\s*(?:$|[A-Za-z_]+(?:\s*=|\()|\d+\s*[,)\]]|[\"'“„\u2018\[)\]#]))")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_PREFIX = re.compile(r"(?<![A-Za-z0-9_])(?:[rRuU]|[fF][rR]?|[rR][fF])$")


class Unreadable(ValueError):
    """Carries the reason up to `parsing.parse`; never leaves it."""


def span(text: str, start: int, *, lines: bool = True) -> tuple[int, list[tuple[int, int]]]:
    """Where the first bracket from `start` on is closed, and where the strings before that are. With `lines=False` a
    string in single quotes ends at its line. Raises Unreadable where nothing closes it."""
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
    """Where the string that opens at `start` is closed. Raises Unreadable where it is not."""
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


def repaired(text: str, start: int) -> tuple[str, int]:
    """The call rewritten, and where it ends: every string re-quoted at its plausible end, open brackets closed, remarks
    dropped."""
    out: list[str] = []
    closers: list[str] = []
    i = start
    while i < len(text):
        char = text[i]
        plain = char.translate(_SMART_QUOTES)
        if plain in "\"'":
            content, i = _string_at(text, i, plain)
            if out and "{" not in content and _PREFIX.search("".join(out[-3:])):
                while out and out[-1] in "rRuUfF":
                    out.pop()
            out.append(quote(content))
            continue
        if char == "#":
            line_end = text.find("\n", i)
            i = len(text) if line_end < 0 else line_end
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
    """The content of the string that opens at `start`, and where the text goes on. A quote closes it only where an
    argument can end; what has no such end runs to the end of the text."""
    triple = text[start] * 3
    if text.startswith(triple, start) and (end := text.find(triple, start + 3)) >= 0:
        return _ESCAPE.sub(_unescaped, text[start + 3 : end]), end + 3
    out: list[str] = []
    i = start + 1
    while i < len(text):
        char = text[i]
        if escape := _ESCAPE.match(text, i):
            out.append(_unescaped(escape))
            i = escape.end()
        elif char.translate(_SMART_QUOTES) == closer and _AFTER_STRING.match(text, i + 1):
            return "".join(out), i + 1
        else:
            out.append(char)
            i += 1
    # The string was cut off: brackets at its very end are more likely the call's than the sentence's.
    return "".join(out).rstrip().removesuffix("))").removesuffix(")"), i


def _unescaped(escape: re.Match[str]) -> str:
    code = escape[1] or escape[2]
    return chr(int(code, 16)) if code else _LETTERS.get(escape[3], escape[3])


def read_call(text: str, start: int) -> tuple[ast.Call, int]:
    """The call at `start`, read as it is or repaired, and where it ends. Raises Unreadable with the first reason."""
    try:
        end = span(text, start)[0]
        return _expression(text[start:end]), end
    except Unreadable as error:
        try:
            source, end = repaired(text, start)
            return _expression(source), min(end, len(text.rstrip()))
        except Unreadable:
            raise error from None


def _expression(source: str) -> ast.Call:
    # Inside brackets a line may break anywhere.
    tree = _tree(f"({source})")
    if not isinstance(tree, ast.Call):
        raise Unreadable("not a call")
    return tree


def read_object(text: str, start: int) -> tuple[ast.Dict, int]:
    """The object in braces at `start`, of JSON or Python, and where it ends. Raises Unreadable."""
    end = span(text, start)[0]
    source = text[start:end]
    try:
        tree: ast.expr = _as_tree(json.loads(source, strict=False))
    except (ValueError, RecursionError):
        tree = _tree(source)
    if not isinstance(tree, ast.Dict):
        raise Unreadable("not an object")
    return tree, end


def _as_tree(value: object) -> ast.expr:
    """JSON's values as Python would have written them."""
    match value:
        case dict():
            return ast.Dict([ast.Constant(key) for key in value], [_as_tree(one) for one in value.values()])
        case list():
            return ast.List([_as_tree(one) for one in value], ast.Load())
        case _:
            return ast.Constant(value)  # type: ignore[arg-type]


def _tree(source: str) -> ast.expr:
    try:
        with warnings.catch_warnings():
            # A stray backslash in a string is a warning to Python, printed by some versions and raised by others.
            warnings.simplefilter("ignore")
            return ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Unreadable(f"not a Python call: {getattr(error, 'msg', error)}") from error
