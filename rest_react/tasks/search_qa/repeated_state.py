"""What an output says itself, where it repeats the state it was shown: models for chat often do so first.

    >>> own_parts("answer", 'PAST_ACTIONS = [\\n    Answer(answer="old"),\\n]\\n# step: answer\\nAnswer(answer="new")')
    [(64, '\\nAnswer(answer="new")')]

The fields of a state, the entries of PAST_ACTIONS and calls of other steps are taken out whole, strings respected, so
that no text of a search result, which stands quoted in them, can be read as the model's own. Linear in the text's
length.
Not here: reading what is left (parsing).
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
    """What begins a repeated piece, or a call of this step, which is passed over whole. ANSWER is a field of the states
    of the two checks alone."""
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
    """What is left of an output without the pieces of a state, in order, each with its place in the text."""
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
    """Where a call, list, string or plain value ends, or -1. A repeated string holds no line break; one of the model's
    own may."""
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
