r"""Helps to parse every kind of reply of a judge: markup around a verdict, labelled lines, JSON objects.

    >>> strip_wrappers("<answer>\\boxed{3}</answer>").strip()
    '3'
    >>> list(parse_objects('{"best": 1} and then {"best": 3}'))
    [{'best': 3}, {'best': 1}]

Every function is linear in the reply's length and never raises.
Not here: text before `</think>` (model_output.thinking); what a reply means (ranking_reply, good_reply, verdict_reply).
"""

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

from rest_react.model_output.lenient_parser import Unreadable, bracket_span

_HAS_COLON = re.compile(r"[^\w\n]*(?:\w+ )?\w+[^\w\n]*[:=]")
_MOST_OBJECTS = 5
_BEGINS_OBJECT = re.compile(r"\{\s*[\"']")
# A quotation inside a sentence.
QUOTATION = re.compile(r"\"[^\"\n]*\"|“[^“”\n]*”")
_QUOTED = re.compile(rf"(?<!\w)(?:{QUOTATION.pattern}|`+[^`\n]*`+)")
_SEVERAL_WORDS = re.compile(r"\w\W+\w|=")
# Words before a quotation of the answer that is judged: "the answer says `= True`".
_TOLD_BY = re.compile(
    r"\b(?:says?|said|saying|contain(?:s|ed|ing)?|states?|claim(?:s|ed)?|writes?|wrote|reads?|includ(?:es|ing)|quotes?"
    r"|text|phrase|words?|string)\W*$",
    re.IGNORECASE,
)


def strip_wrappers(body: str) -> str:
    """The reply without the tags and boxes that some models are trained to write around their verdicts."""
    return re.sub(r"\\boxed\{([^{}]*)\}", r"\1", re.sub(r"</?(?:answer|verdict|output|result|response)>", " ", body))


def without_quotations(line: str) -> str:
    """The line without what it quotes of the answer that it judges, where a verdict may stand. A single word stays
    (`= "True"`)."""

    def kept(match: re.Match[str]) -> str:
        told = _TOLD_BY.search(line[max(0, match.start() - 40) : match.start()]) is not None
        return "" if told and _SEVERAL_WORDS.search(match[0]) else match[0]

    return _QUOTED.sub(kept, line)


def last_labelled(pattern: re.Pattern[str], body: str) -> re.Match[str] | None:
    """The last match of the pattern; matches with a colon have priority, since an explanation may begin with "Best so
    far is 2"."""
    matches = list(pattern.finditer(body))
    matches = [match for match in matches if _HAS_COLON.match(match[0])] or matches
    return matches[-1] if matches else None


def parse_objects(body: str) -> Iterator[dict[Any, Any]]:
    """The JSON objects or Python dictionaries in a reply, the last one first. None of them, if a later one cannot be
    read or if there are more than five different ones: an earlier one may be a draft or an example. A repetition that
    the token limit cut off does not count."""
    values: list[dict[Any, Any]] = []
    read, at = "", body.find("{")
    for _ in range(_MOST_OBJECTS):
        if at < 0:
            break
        try:
            end = bracket_span(body, at)[0]
        except Unreadable:
            end = len(body)
        source = body[at:end]
        value = _literal(source)
        if isinstance(value, dict):
            values.append(value)
            read = source
        elif _BEGINS_OBJECT.search(source) and not read.startswith(source.rstrip()):
            values.clear()
        at = body.find("{", end)
    if at < 0 or all(value == values[0] for value in values):
        yield from reversed(values)


def _literal(source: str) -> Any:
    try:
        return json.loads(source, strict=False)
    except (ValueError, RecursionError):
        pass
    try:
        value = ast.literal_eval(source)
        str(value)  # raises for a number in hexadecimal form that is too long to be written in decimal form
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None
    return value
