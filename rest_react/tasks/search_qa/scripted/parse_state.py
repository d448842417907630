"""Parses a state of the search agent, for the scripted policy: the inverse of `render_state`.

    parse_state(text).kind, parse_state(text).selected      # "answer", {"Imra Tesken": 4}

The text is read with `ast` and never evaluated.
Not here: reading what a model wrote (tasks.search_qa.reading).
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from rest_react.tasks.search_qa.actions import Answer, ResultItem, Search, SelectLink, StepKind, Terminate
from rest_react.tasks.search_qa.render_state import STEP_NAMES

_KINDS: Mapping[str, StepKind] = {name: kind for kind, name in STEP_NAMES.items()}


@dataclass(frozen=True, slots=True)
class _SearchResult:
    links: tuple[ResultItem, ...]


_Readable: TypeAlias = type[Search | SelectLink | Terminate | Answer | ResultItem | _SearchResult]


_CALLS: Mapping[str, _Readable] = {
    "Search": Search,
    "SelectLink": SelectLink,
    "Terminate": Terminate,
    "Answer": Answer,
    "ResultItem": ResultItem,
    "SearchResult": _SearchResult,
}


@dataclass(frozen=True, slots=True)
class ParsedState:
    """A parsed state. `selected` maps the title of each selected link to its id; `came_up_empty` says that nothing was
    selected from the last search."""

    kind: StepKind
    question: str
    past: tuple[Any, ...]
    results: tuple[ResultItem, ...]
    remaining: int | None
    answer: str
    selected: Mapping[str, int]
    queries: frozenset[str]
    came_up_empty: bool


def parse_state(text: str) -> ParsedState:
    """Parses a state: the inverse of `render_state`."""
    fields: dict[str, Any] = {}
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            fields[statement.targets[0].id] = _value(statement.value)
    past = fields["PAST_ACTIONS"]
    held = [item for action in past if isinstance(action, SelectLink) for item in action.selected_links]
    return ParsedState(
        kind=_KINDS[text.rstrip().rpartition("# step: ")[2]],
        question=fields["ORIGINAL_QUESTION"],
        past=past,
        results=fields.get("CURRENT_SEARCH_RESULTS", _SearchResult(())).links,
        remaining=fields.get("REMAINING_SEARCHES"),
        answer=fields.get("ANSWER", ""),
        selected={item.link_text: item.link_id for item in reversed(held)},
        queries=frozenset(action.query for action in past if isinstance(action, Search)),
        came_up_empty=bool(past) and isinstance(past[-1], SelectLink) and not past[-1].selected_links,
    )


def _value(node: ast.expr) -> Any:
    match node:
        case ast.List(elements):
            return tuple(map(_value, elements))
        case ast.Call(ast.Name(name), _, keywords):
            return _CALLS[name](**{str(keyword.arg): _value(keyword.value) for keyword in keywords})
        case ast.Constant(constant):
            return constant
    raise ValueError(f"a state holds names, calls, lists and constants, not {ast.unparse(node)[:80]}")
