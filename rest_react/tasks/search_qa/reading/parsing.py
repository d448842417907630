"""Parses the output of a model for one step. Lenient, and never runs the text.

    >>> parse("decide", "ACTION_SELECTED = ActionWrapper(thoughts='x', action=Search(query='y'))  # [END]").action
    Search(query='y', thoughts='x', comments=())
    >>> parse("decide", '{"name": "Search", "arguments": {"query": "y"}}').action
    Search(query='y', thoughts='', comments=())
    >>> parse("decide", "I would search for y.").problem
    'no call of ActionWrapper, Search or Terminate'

First, the thoughts of a reasoning model and repeated parts of the state are removed (model_output.thinking,
repeated_state). The action is the value of ACTION_SELECTED (the last one, if several follow each other); else the first
usable call or JSON object after the last `# step:` line. Text that only looks like a call ("I would Search (again)
...") is ignored. An answer may be plain prose with citations (docs/forms.md lists all forms). Never raises; the time is
linear in the length of the text.
Not here: the syntax of a call (model_output.lenient_parser), its fields (call_fields), and
whether it fits its trajectory (tasks.search_qa.step).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeAlias

from rest_react.model_output.lenient_parser import Unreadable, bracket_span, read_call, read_object, repair_call
from rest_react.model_output.thinking import after_thinking
from rest_react.tasks.sample_end import END_MARK
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
from rest_react.tasks.search_qa.reading.call_fields import to_action
from rest_react.tasks.search_qa.reading.json_calls import call_of_object
from rest_react.tasks.search_qa.reading.repeated_state import LEAD, OWN_CALLS, SELECTED, own_parts

_LONGEST = 20_000
_MOST_CALLS = 5


def _starts(names: tuple[str, ...]) -> re.Pattern[str]:
    """The positions where calls of these names start; case and underscores are ignored."""
    loose = [re.sub("_|(?<=[a-z])(?=[A-Z])", "_?", name) for name in names]
    return re.compile(rf"(?<![A-Za-z0-9_])(?:{'|'.join(loose)})\s*\(", re.IGNORECASE)


_ACTIONS: dict[StepKind, tuple[type, ...]] = {
    "decide": (Search, Terminate),
    "summarise": (LinkSelection,),
    "answer": (Answer,),
    "relevance": (CheckAnswer, ReviseAnswer),
    "grounding": (CheckAnswer, ReviseAnswer),
}
_STARTS: dict[StepKind, re.Pattern[str]] = {kind: _starts(names) for kind, names in OWN_CALLS.items()}
_WRAPPER = _starts(("ActionWrapper",))
_REVISE = _starts(("Revise_Answer",))
_ASSIGNED = re.compile(rf"{LEAD}{SELECTED}(?:[(\[`'\"]|\s|python\b|json\b|\w+\.)*", re.MULTILINE)
_BARE_TERMINATE = re.compile(r"Terminate\b(?!\s*\()")
# An object begins a line or follows what tool calls are marked with, so that none inside a string is found.
_OBJECT = re.compile(
    r"(?:^[ \t>`*-]*|[>\]=:,([][ \t]*|\[TOOL_CALLS\]\w{1,40}(?:\[ARGS\])?)(?:json\b\s*)?(?=\{)", re.MULTILINE
)
_TOOL_NAME = re.compile(r"<function=(\w{1,40})>\s*$|(?<!\w)(\w{1,40})(?:\[ARGS\])?[\s:]*$")
_CITED = re.compile(r"\[link_id=\d{1,9}(?:\s*,\s*(?:link_id=)?\d{1,9})*\]")
# Text with citations that is not an answer: refusals, apologies, plans. A title such as "Let's Dance" is none of them.
_REFUSAL = re.compile(
    r"\b(?:I(?:['’]m| am) (?:really |very |so )?(?:sorry|afraid|unable|not able)|sorry\b|apologi[sz]e|apologies"
    r"|I (?:can(?:not|['’]t| not)|could(?: not|n['’]t)|won['’]t|will not|do(?: not|n['’]t) (?:have|know|feel))"
    r"|as an? (?:AI|language model)|unable to (?:answer|provide|assist|help|comply|determine|find)|unfortunately"
    r"|I (?-i:need to|will|should|must)\b|I['’]ll\b|let me\b(?! know)|let['’]s\s+(?-i:[a-z]))",
    re.IGNORECASE,
)
_QUOTATION = re.compile(r"\"[^\"\n]*\"|“[^”\n]*”")  # a title such as "Let Me Go" refuses nothing
_PROSE_LABEL = re.compile(r"^[ \t>*_#-]*(?:final )?answer[ \t*_]*(?:[:=][\s*_]*|$)", re.IGNORECASE | re.MULTILINE)
_THOUGHTS_LABEL = re.compile(r"^[\s>*_#-]*(?:thoughts?|reasoning)[\s*_]*:[\s*_]*", re.IGNORECASE)
_OPENER = re.compile(r"(?:sure|certainly|of course|okay|ok|here(?:['’]s| is| are))\b[^\n]*[:!.]\s*\n", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Parsed:
    """An action, or None and the problem. `spans` are the positions (start, end) of its comment lines and its call in
    the text; empty if unknown."""

    action: Action | None
    problem: str = ""
    spans: tuple[tuple[int, int], ...] = field(default=(), compare=False)


Part: TypeAlias = tuple[int, str]


def parse(kind: StepKind, text: str) -> Parsed:
    """Parses the action of a step of this kind. Never raises."""
    if len(text) > _LONGEST:
        return Parsed(None, f"longer than {_LONGEST} characters")
    said = after_thinking(text.encode("utf-8", "replace").decode("utf-8"))
    if said is None:
        return Parsed(None, "the text ends inside its thoughts")
    skipped = len(text) - len(said)
    parts = [(skipped + at, part) for at, part in own_parts(kind, END_MARK.split(said, maxsplit=1)[0])]
    problems: list[str] = []
    for (at, part), start in _candidates(kind, parts):
        try:
            action, spans = _read(kind, part, start)
            return Parsed(action, spans=tuple((at + i, at + j) for i, j in spans))
        except Unreadable as error:
            problems.append(str(error))
    if kind == "answer" and not problems and (answer := _prose([part for _, part in parts])):
        return Parsed(answer, spans=tuple((at, at + len(part.rstrip())) for at, part in parts))
    names = OWN_CALLS[kind][:1] if kind == "summarise" else OWN_CALLS[kind]
    listed = names[0] if len(names) == 1 else ", ".join(names[:-1]) + " or " + names[-1]
    return Parsed(None, problems[0] if problems else f"no call of {listed}")


def _candidates(kind: StepKind, parts: list[Part]) -> Iterator[tuple[Part, int]]:
    """The positions of calls and objects that may be the action, most likely first."""
    checks = kind in ("relevance", "grounding")
    assigned = [(part, starts) for part in parts if (starts := list(_assigned(kind, part[1])))]
    for part, starts in assigned[:_MOST_CALLS]:
        # A check is read as it stands first; of other steps' drafts the last counts.
        yield from ((part, start) for start in (starts if checks else reversed(starts)))
    seen = {(part[0], start) for part, starts in assigned for start in starts}
    for part in parts[: -_MOST_CALLS - 1 : -1]:
        wrapped = _outside_strings(_WRAPPER, part[1]) if kind == "decide" else ()
        found = [*islice(wrapped, _MOST_CALLS), *islice(_in_order(kind, part[1]), _MOST_CALLS)]
        yield from ((part, start) for start in dict.fromkeys(found) if (part[0], start) not in seen)


def _assigned(kind: StepKind, part: str) -> Iterator[int]:
    """The positions of the calls and objects that are assigned to ACTION_SELECTED, without nested ones."""
    end = 0
    for match in islice(_ASSIGNED.finditer(part), 2 * _MOST_CALLS):
        at = match.end()
        own = _STARTS[kind].match(part, at) or (kind == "decide" and _BARE_TERMINATE.match(part, at))
        if match.start() < end or not (own or part.startswith("{", at)):
            continue
        yield at
        end = _end_of(part, at)


def _in_order(kind: StepKind, part: str) -> Iterator[int]:
    """The positions of calls and objects in order, without those inside an object or a string."""
    objects = (match.end() for match in _OBJECT.finditer(part))
    calls = _outside_strings(_STARTS[kind], part)
    next_object, next_call = next(objects, None), next(calls, None)
    while next_object is not None or next_call is not None:
        if next_call is None or (next_object is not None and next_object < next_call):
            assert next_object is not None
            yield next_object
            try:
                end = bracket_span(part, next_object)[0]
            except Unreadable:
                end = next_object + 1
            while next_call is not None and next_call < end:
                next_call = next(calls, None)
        else:
            yield next_call
            end = next_call + 1
        while next_object is not None and next_object < end:
            next_object = next(objects, None)


def _outside_strings(pattern: re.Pattern[str], part: str) -> Iterator[int]:
    """The positions of calls that are not in comment lines or in strings of an enclosing call."""
    strings: list[tuple[int, int]] = []
    end = 0
    for match in pattern.finditer(part):
        start = match.start()
        line_start = part.rfind("\n", 0, start) + 1
        if part[line_start:start].lstrip().startswith("#"):
            continue
        if start < end:
            if any(a < start < b for a, b in strings):
                continue
        else:
            try:
                end, strings = bracket_span(part, start)
            except Unreadable:
                end, strings = 0, []
        yield start


def _end_of(part: str, start: int) -> int:
    """The end of the call at `start`, after repair if needed."""
    try:
        return bracket_span(part, start)[0]
    except Unreadable:
        pass
    try:
        return repair_call(part, start)[1]
    except Unreadable:
        return start + 1


def _read(kind: StepKind, part: str, start: int) -> tuple[Action, list[tuple[int, int]]]:
    """The action at `start`, and the positions of its comments and its call."""
    comments, spans = _comments(part[:start])
    if part.startswith("{", start):
        node, end = read_object(part, start)
        named = _TOOL_NAME.search(part, max(0, start - 60), start)
        call = call_of_object(kind, node, (named[1] or named[2]) if named else "")
    elif bare := _BARE_TERMINATE.match(part, start):
        call, end = read_call("Terminate()", 0)[0], bare.end()
    else:
        call, end = read_call(part, start)
    action = to_action(call, comments)
    if not isinstance(action, _ACTIONS[kind]):  # a call in a string of an object may be that of another step
        raise Unreadable(f"{type(action).__name__} is no call of this step")
    if isinstance(action, CheckAnswer) and not action.passed and (revision := _revision(part, end)):
        return revision
    return action, [*spans, (start, end)]


def _revision(part: str, start: int) -> tuple[ReviseAnswer, list[tuple[int, int]]] | None:
    """The revision that follows a failed check."""
    match = _REVISE.search(part, start)
    if match is None:
        return None
    comments, spans = _comments(part[: match.start()])
    try:
        call, end = read_call(part, match.start())
        action = to_action(call, comments)
    except Unreadable:
        return None
    return (action, [*spans, (match.start(), end)]) if isinstance(action, ReviseAnswer) else None


def _comments(text: str) -> tuple[tuple[str, ...], list[tuple[int, int]]]:
    """The comment lines before a call, without `#`, and their positions."""
    comments, spans = [], []
    start = 0
    for line in text.splitlines(keepends=True):
        comment = line.strip()
        # A line with two marks is a heading or a rule.
        if comment.startswith("#") and not comment.startswith("##") and comment.removeprefix("#").strip():
            comments.append(comment.removeprefix("#").strip())
            first = start + line.index(comment)
            spans.append((first, first + len(comment)))
        start += len(line)
    return tuple(comments), spans


def _prose(parts: list[str]) -> Answer | None:
    """A text without any call that cites links is an answer, unless it refuses or apologises: a chat model's usual way
    of writing one. What stands before "Answer:" are its thoughts."""
    said = "\n".join(parts)
    if not _CITED.search(said) or _REFUSAL.search(_QUOTATION.sub(" ", said)) or "ACTION_SELECTED" in said:
        return None
    lines = [line for line in said.splitlines() if not line.strip().startswith("```")]
    thoughts, (comments, _) = "", _comments("\n".join(lines))
    text = "\n".join(line for line in lines if not line.lstrip().startswith("# ")).strip()
    text = text[match.end() :] if (match := _OPENER.match(text)) else text
    if label := _PROSE_LABEL.search(text):
        before, text = text[: label.start()].strip(), text[label.end() :]
        thoughts = _THOUGHTS_LABEL.sub("", before)
    text = re.sub(r"</?answer>|^##[^\n]*$", "", text, flags=re.IGNORECASE | re.MULTILINE).strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1].strip()
    return Answer(thoughts, text, comments) if _CITED.search(text) else None
