"""Parses a judge's ranking of outputs.

    >>> read_ranking("EXPLANATION: 3 cites its link.\\nBEST: 3\\nRANKING: 3, 1, 2", 3)
    (2, 0, 1)
    >>> read_ranking("1. Output 3\\n2. Output 1\\n3. Output 2", 3)
    (2, 0, 1)

The labelled lines of the prompt count first, then a JSON object, then the forms that chat models use instead. An
ambiguous reply is not parsed: the result is empty, never a guess.
Not here: asking the judge (selection.reward_model), replies to "is this output good?" (good_reply).
"""

import re
from typing import Any, TypeAlias

from rest_react.judges.reply_markup import last_labelled, parse_objects, strip_wrappers
from rest_react.model_output.thinking import after_thinking

# Markup may precede the label ("**BEST:**", "### BEST"), but no JSON; the value may be on the next line.
_BEST_LABEL = re.compile(
    r"^[^\w\n{\"']*BEST\b(?!\W+of\b)\W*[^\d\n]{0,20}(\d{1,3})\b([^\n]*)", re.IGNORECASE | re.MULTILINE
)
_RANKING_LABEL = re.compile(r"^[^\w\n{\"']*(?:FINAL |OVERALL )?RANKING\b[^\w\n]*(.*)$", re.IGNORECASE | re.MULTILINE)
_NO_OUTPUT = re.compile(r"\b(?:all|none|both|neither|any|no|tie|tied|equal)\b(?!\.)", re.IGNORECASE)
_NAMES_TWO = re.compile(r"^\s*(?:or|and|/|,|&|=)\s*(?:output\s*)?#?\s*\d", re.IGNORECASE)
_OUTPUT = r"(?:(?:the\s+)?(?:model\s+)?(?:output|candidate|response|option|answer|sample|action)s?\s*)?(?:#|no\.\s*)?"
# "1. Output 3", "2nd: #1", "Rank 3 - 2", "- Output 2"
_LIST_ITEM = re.compile(
    rf"^[\s>•-]*(?:(?:rank\s*)?#?(\d{{1,2}})(?:st|nd|rd|th)?(?:\s*(?:place|best))?\s*[.):–-]+\s*)?{_OUTPUT}(\d{{1,3}})\b(.*)$",
    re.IGNORECASE,
)
# A line that contains only numbers of outputs.
_NUMBERS_ONLY = re.compile(
    rf"^[\s\[(]*{_OUTPUT}\d{{1,3}}(?:[\s>,;=≻→-]+(?:then\s+)?{_OUTPUT}\d{{1,3}})*[\s\]).]*$", re.IGNORECASE
)
_RANKING_SENTENCE = re.compile(
    r"\brank(?:ing|ed|s)?\b[^\d\n#>]{0,40}?((?:(?:model )?output )?#?\d[^\n]*)$", re.IGNORECASE
)
_BEST_AND_RANKING = re.compile(
    r"\bBEST\s*[:=]\s*#?(\d{1,3})\W{1,6}RANKING\s*[:=]\s*([\d#>,;\s\[\]]+)\.?$", re.MULTILINE
)
_BEST_SENTENCE = re.compile(
    r"\bbest (?:(?:model )?(?:output|candidate|response|option|one|choice)) is (?:clearly |therefore )?"
    r"(?:(?:model )?(?:output|candidate|response|option|number)\s*)?#?(\d{1,3})\b"
    r"|\b(?:output|candidate|response|option)\s*#?(\d{1,3}) is (?:clearly |by far |therefore )?the best\b",
    re.IGNORECASE,
)
# "1st: 3" and "3 < 1 < 2" have numbers that are no outputs, or outputs in another order.
_NOT_BEST_FIRST = re.compile(r"\d(?:st|nd|rd|th)\s*[:=]|\d\s*<\s*(?:output\s*)?#?\d", re.IGNORECASE)
_WORST_FIRST = re.compile(r"\bworst[ -]+(?:to[ -]+best|first)\b", re.IGNORECASE)
_POINTS = re.compile(r"\d+\s*(?:/|out of)\s*\d+|\d+\s*%")
# "1. Output 3, 2. Output 1" on one line.
_NUMBERED = re.compile(
    r"(?<!\d)(\d{1,2})[.)]\s*(?:model )?(?:output|candidate|response|option)\s*#?(\d{1,3})\b", re.IGNORECASE
)
_SECOND_SENTENCE = re.compile(r"(?<=\d)\. (?=[A-Za-z])")
_Items: TypeAlias = list[re.Match[str] | None]  # of each line, the item that it is


def read_ranking(reply: str, count: int) -> tuple[int, ...]:
    """The ranking of `count` outputs: indices from 0, best first, each once; empty if the reply cannot be parsed.

    The output named BEST comes first even if RANKING disagrees. Outputs that the reply does not rank follow in their
    order. A number of no output makes the reply ambiguous. Never raises; linear in the reply's length.
    """
    body = after_thinking(reply)
    if body is None:
        return ()
    body = re.sub(r"[*`]+", "", strip_wrappers(body))
    best, ranking = _labelled_best(body), _labelled_ranking(body)
    label = last_labelled(_RANKING_LABEL, body)
    if _WORST_FIRST.search(body if best is None else label[0] if label else ""):
        return ()
    if best is None and not ranking and (line := _BEST_AND_RANKING.search(body)):
        best, ranking = int(line[1]), _numbers_on_line(line[2])
    if best is None and not ranking:
        best, ranking = _ranking_in_object(body)
    if best is None and not ranking:
        ranking = _unlabelled_ranking(body, count)
    numbers = ([] if best is None else [best]) + ranking
    if not numbers or not all(0 < number <= count for number in numbers):
        return ()
    places = [number - 1 for number in dict.fromkeys(numbers)]
    return (*places, *(place for place in range(count) if place not in places))


def _labelled_best(body: str) -> int | None:
    best = last_labelled(_BEST_LABEL, body)
    if best is None or _NAMES_TWO.match(best[2]) or _NO_OUTPUT.search(best[0], 0, best.start(1) - best.start()):
        return None
    return int(best[1])


def _labelled_ranking(body: str) -> list[int]:
    ranking = last_labelled(_RANKING_LABEL, body)
    if ranking is None:
        return []
    if re.search(r"\d", ranking[1]):
        items = _items(body[ranking.start(1) :].splitlines())
        return _list_outputs(items) if _starts_list(items) else _numbers_on_line(ranking[1])
    lines = [line for line in body[ranking.end() :].splitlines() if line.strip()]
    items = _items(lines)
    if _starts_list(items):
        return _list_outputs(items)
    return _numbers_on_line(lines[0]) if lines and _NUMBERS_ONLY.match(lines[0]) else []


def _items(lines: list[str]) -> _Items:
    return [_LIST_ITEM.match(line) for line in lines]


def _starts_list(items: _Items) -> bool:
    """Whether the first line is the first of several list items; remarks between items are allowed."""
    first, *others = items or [None]
    return first is not None and any(others) and (first[1] is not None or others[0] is not None)


def _numbers_on_line(line: str) -> list[int]:
    """The numbers of outputs on one line, without points behind them ("3 (9/10)", "3 - 9/10") or a second sentence.
    Empty if the line is not simply best first."""
    if _NOT_BEST_FIRST.search(line):
        return []
    own = re.sub(r"\([^()]*\)", "", line)
    if _NUMBERED.match(own.lstrip(" #")) and len(numbered := _NUMBERED.findall(own)) > 1:
        in_order = [int(rank) for rank, _ in numbered] == list(range(1, len(numbered) + 1))
        return [int(output) for _, output in numbered] if in_order else []
    bare = _POINTS.sub("", re.sub(r"\([^()]*\)", "", _SECOND_SENTENCE.split(line)[0]))
    matches = re.findall(r"\d+", bare) or re.findall(r"\d+", line)
    return [int(number) for number in matches if len(number) < 4]


def _list_outputs(lines: _Items) -> list[int]:
    """The outputs of a list with one output a line, best first; empty if the numbers may count the list's items."""
    items = [item for item in lines if item]
    if items and items[0][1]:
        items = [item for item in items if item[1]]
    if len(items) < 2:
        return []
    outputs = [int(item[2]) for item in items]
    if all(item[1] for item in items):
        ranks = [int(item[1]) for item in items]
        return outputs if ranks == list(range(1, len(ranks) + 1)) else []
    if any(item[1] for item in items):
        return []
    have_text = any(re.search(r"\w", item[3]) for item in items)
    return [] if have_text and outputs == list(range(1, len(outputs) + 1)) else outputs


def _unlabelled_ranking(body: str, count: int) -> list[int]:
    """A ranking without labels: a line of numbers, a numbered list of all outputs, or one sentence about the best."""
    lines = [line for line in body.splitlines() if line.strip()]
    if lines and (sentence := _RANKING_SENTENCE.search(lines[-1])) and not _NOT_BEST_FIRST.search(lines[-1]):
        lines = [sentence[1]]
    if lines and _NUMBERS_ONLY.match(lines[-1]):
        numbers = _numbers_on_line(lines[-1])
        if len(numbers) > 1 or len(lines) == 1:
            return numbers
    items = _items(lines)
    for at in range(min(len(items), 50)):
        if _starts_list(items[at:]):
            outputs = _list_outputs(items[at:])
            in_order = outputs == list(range(1, count + 1))  # may be a review of the outputs one by one
            return outputs if len(set(outputs)) == count and not in_order else []
    best = {int(match[1] or match[2]) for match in _BEST_SENTENCE.finditer(body)}
    return list(best) if len(best) == 1 else []


def _ranking_in_object(body: str) -> tuple[int | None, list[int]]:
    for value in parse_objects(body):
        items = {str(key).lower().replace("_", ""): item for key, item in value.items()}
        best = next((items[key] for key in ("best", "bestoutput", "winner", "choice") if key in items), None)
        ranking = next((items[key] for key in ("ranking", "order", "rank", "rankings") if key in items), None)
        if best is not None or ranking is not None:
            numbers = _numbers_on_line(ranking) if isinstance(ranking, str) else _json_ranking(ranking)
            return _json_number(best), numbers
    return None, []


def _json_ranking(value: Any) -> list[int]:
    if not isinstance(value, list):
        return []
    if value and all(isinstance(one, dict) and isinstance(one.get("rank"), int) for one in value):
        value = sorted(value, key=lambda one: one["rank"])
    numbers = [_json_number(one) for one in value]
    return [] if None in numbers else [number for number in numbers if number is not None]


def _json_number(value: Any) -> int | None:
    """The number of the output that a JSON value names."""
    if isinstance(value, dict):
        named = [value[key] for key in ("output", "model_output", "candidate", "number", "id", "index") if key in value]
        value = named[0] if named else None
    matches = re.findall(r"\d+", str(value)) if isinstance(value, (int, str)) and not isinstance(value, bool) else []
    return int(matches[0]) if len(matches) == 1 and len(matches[0]) < 4 else None
