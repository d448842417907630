"""Removes repeated parts of the state from an output: chat models often repeat the state first.

    >>> own_parts("answer", 'PAST_ACTIONS = [\\n    Answer(answer="old"),\\n]\\n# step: answer\\nAnswer(answer="new")')
    [(64, '\\nAnswer(answer="new")')]

Fields of a state, entries of PAST_ACTIONS and calls of other steps are removed as a whole, including their strings, so
that quoted text of search results is not parsed as output of the model. The time is linear in the length of the text.
Not here: parsing the rest (tasks.search_qa.reading.parsing).
"""

import re
from collections.abc import Iterator

from rest_react.model_output.lenient_parser import Unreadable, bracket_span, repair_call, string_end
from rest_react.tasks.search_qa.actions import StepKind

_FIELDS = ("ORIGINAL_QUESTION", "PAST_ACTIONS", "REMAINING_SEARCHES", "CURRENT_SEARCH_RESULTS", "ANSWER")
_VOCABULARY = (
    "ActionWrapper", "Search", "Terminate", "LinkSelection", "SelectLink", "SearchResult", "ResultItem", "Answer",
    "Check_Answer", "Revise_Answer",
)  # fmt: skip
OWN_CALLS: dict[StepKind, tuple[str, ...]] = {
    "decide": ("ActionWrapper", "Search", "Terminate"),
    "summarise": ("LinkSelection", "SelectLink"),
    "answer": ("Answer",),
    "relevance": ("Check_Answer", "Revise_Answer"),
    "grounding": ("Check_Answer", "Revise_Answer"),
}
# What may stand before a line of code in prose: a list's bullet, a quote's mark, bold.
LEAD = r"^[ \t>*`-]*"
SELECTED = r"ACTION_SELECTED[*`]*[ \t]*(?::[^=\n]{0,60}=|[=:])\s*"
_VALUE = r"[*`]*[ \t]*(?::[^=\n]{0,60}=(?!=)|[=:](?!=))[ \t]*"
_MOST_FAILURES = 8  # scans that find no end, each of which may read the whole text


def _opening(kind: StepKind) -> re.Pattern[str]:
    """Matches the start of a repeated part, or of a call of this step, which is skipped as a whole. Only the states of
    the two checks have the field ANSWER."""
    fields = [field for field in _FIELDS if field != "ANSWER" or kind in ("relevance", "grounding")]
    foreign = [name for name in _VOCABULARY if name not in OWN_CALLS[kind]]
    return re.compile(
        rf"{LEAD}(?:(?P<step>#+[ \t]*step:[^\n]*)|(?P<field>{'|'.join(fields)}){_VALUE}"
        rf"|(?:{SELECTED})?(?:(?P<own>{'|'.join(OWN_CALLS[kind])})|(?:{'|'.join(foreign)}))[ \t]*\()",
        re.MULTILINE,
    )


_OPENINGS: dict[StepKind, re.Pattern[str]] = {kind: _opening(kind) for kind in OWN_CALLS}
# Where a repeated field ends at the latest.
_NEXT = re.compile(rf"{LEAD}(?:#+[ \t]*step:|ACTION_SELECTED\b|(?:{'|'.join(_FIELDS)})\b)", re.MULTILINE)
_LINE_END = re.compile(r"[,;]?[ \t]*(?:#[^\n]*)?$", re.MULTILINE)


def own_parts(kind: StepKind, text: str) -> list[tuple[int, str]]:
    """The parts of an output that do not repeat the state, in order, each with its position in the text."""
    parts, at = [], 0
    for start, end in _repeated(kind, text):
        parts.append((at, text[at:start]))
        at = end
    return [(place, part) for place, part in (*parts, (at, text[at:])) if part.strip()]


def _repeated(kind: StepKind, text: str) -> Iterator[tuple[int, int]]:
    failures = 0
    match = _OPENINGS[kind].search(text)
    while match:
        end = match.end()
        if not match["step"]:
            begin = end if match["field"] else end - 1
            found = _value_end(text, begin, own=bool(match["own"])) if failures < _MOST_FAILURES else -1
            if found >= 0:
                end = found
            else:
                failures += 1
                following = _NEXT.search(text, end) if match["field"] else None
                end = following.start() if following else len(text) if match["field"] else end
        if not match["own"]:
            yield match.start(), end
        match = _OPENINGS[kind].search(text, max(end, match.end()))


def _value_end(text: str, begin: int, *, own: bool) -> int:
    """The end of a call, list, string or plain value; -1 if there is none. A repeated string has no line break; a
    string of the model may have one."""
    first = text[begin : begin + 1]
    if first in ("'", '"'):
        try:
            return string_end(text, begin, lines=False)
        except Unreadable:
            return _line_end(text, begin)
    if first not in "([{" and not text.startswith("SearchResult", begin):
        return _line_end(text, begin)
    try:
        return bracket_span(text, begin, lines=own)[0]
    except Unreadable:
        pass
    try:
        _, end = repair_call(text, begin)
    except Unreadable:
        return -1
    return end if own or (end < len(text) and _LINE_END.match(text, end)) else -1


def _line_end(text: str, begin: int) -> int:
    end = text.find("\n", begin)
    return len(text) if end < 0 else end
