"""Keeps text settings of the command line as they were typed.

Hydra's grammar reads `run=007` as 7 and `policy.model=1e3` as 1000.0, and refuses `data=~/it's here`. `as_typed` puts
quotes around the value of every setting that is text, so that Hydra does not change it:

    >>> as_typed("run=007"), as_typed("agent.max_searches=007")
    ("run='007'", 'agent.max_searches=007')
    >>> as_typed("policy.model=1.5b,0x10", multirun=True)
    "policy.model='1.5b','0x10'"

Unchanged are `null` where a setting may be null, `${seed}`, a value in quotes, and in a sweep commas and Hydra's
functions. Not here: which settings there are (config.settings), and wrong values (config.load).
"""

import re
import typing
from collections.abc import Collection, Iterator
from dataclasses import is_dataclass
from functools import cache
from types import NoneType

from rest_react.config.settings import Settings

_QUOTED = re.compile(r"""\s*(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\s*""", re.DOTALL)
_SWEEP_FUNCTION = re.compile(r"(?:choice|glob|range|interval|shuffle|sort|tag)\s*\(.*\)", re.DOTALL)
_OPEN, _CLOSE = "[{(", "]})"


def as_typed(override: str, *, multirun: bool = False) -> str:
    """The override with quotes around its value where the setting is text, or around its parts where it is a list or a
    mapping of texts; any other override unchanged."""
    key, equals, value = override.partition("=")
    kinds = _kinds(key.lstrip("+"))
    if not (equals and value and kinds) or key.startswith("~"):
        return override
    if multirun and _SWEEP_FUNCTION.fullmatch(value.strip()):
        return override
    choices = split(value) if multirun else [value]
    return f"{key}={','.join(_spelt(choice, kinds) for choice in choices)}"


def _spelt(value: str, kinds: frozenset[object]) -> str:
    if NoneType in kinds and value.strip().casefold() == "null":
        return value
    inner, is_list = value.strip()[1:-1], value.strip().startswith("[") and value.strip().endswith("]")
    if (record := _listed_record(kinds)) and is_list:
        return f"[{','.join(_named_or_spelt(part, record) for part in split(inner))}]" if inner.strip() else value
    if tuple[str, ...] in kinds and is_list:
        return f"[{','.join(map(_quoted, split(inner)))}]" if inner.strip() else value
    if str in kinds:
        return _quoted(value)
    if dict[str, str] in kinds and value.strip().startswith("{") and value.strip().endswith("}"):
        pairs = [pair.partition(":") for pair in split(inner)]
        if all(colon for _, colon, _ in pairs):
            return "{" + ",".join(f"{name.strip()}: {_quoted(text.strip())}" for name, _, text in pairs) + "}"
    return value


def _named_or_spelt(part: str, record: type) -> str:
    """One record of a list: a name, or a mapping whose texts are quoted."""
    if not (part.startswith("{") and part.endswith("}")):
        return _quoted(part)
    hints = typing.get_type_hints(record)
    pairs = [pair.partition(":") for pair in split(part[1:-1])]
    named = ((name.strip(), text.strip()) for name, _, text in pairs)
    return "{" + ",".join(f"{n}: {_quoted(text) if hints.get(n) is str else text}" for n, text in named) + "}"


def as_text(key: str, value: str) -> str:
    """The override that sets `key` to exactly this text."""
    from hydra.core.override_parser.types import Quote, QuotedString

    return f"{key}={QuotedString(value, Quote.single).with_quotes()}"


def _quoted(text: str) -> str:
    return text if _QUOTED.fullmatch(text) else as_text("", text)[1:]


def text(value: str) -> str:
    """The text of a value, without its quotes.

    >>> text("'007'"), text("it's")
    ('007', "it's")
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    return str(OverridesParser.create().parse_override(f"value={_quoted(value)}").value()) if value else value


def split(text: str) -> list[str]:
    """The parts of a text between commas, ignoring commas inside quotes, brackets and braces.

    >>> split("a, 'b,c', {d: [e,f]}, it's")
    ['a', "'b,c'", '{d: [e,f]}', "it's"]
    """
    parts, start, depth, at = [], 0, 0, 0
    while at < len(text):
        if not text[start:at].strip() and (quoted := _QUOTED.match(text, at)):
            at = quoted.end()
            continue
        depth += (text[at] in _OPEN) - (text[at] in _CLOSE and depth > 0)
        if text[at] == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
        at += 1
    return [part.strip() for part in (*parts, text[start:])]


@cache
def _kinds(key: str) -> frozenset[object]:
    """The types of a setting that is a text, a list of texts or a mapping of texts, by its dotted key; else empty.
    For `policy.model`, the types in every kind of policy."""
    nodes: set[object] = {Settings}
    for name in key.split("."):
        nodes = {kind for node in nodes for kind in _member(node, name)}
    texts = {str, tuple[str, ...], dict[str, str]}
    if _listed_record(nodes) or (nodes & texts and nodes <= {*texts, NoneType}):
        return frozenset(nodes)
    return frozenset()


def _listed_record(kinds: Collection[object]) -> type | None:
    """The record type of a setting that is a list of records; None for other settings."""
    for kind in kinds:
        members = typing.get_args(kind) if typing.get_origin(kind) is tuple else ()
        record = getattr(members[0], "__origin__", members[0]) if members else None
        if isinstance(record, type) and is_dataclass(record):
            return record
    return None


def _member(node: object, name: str) -> Iterator[object]:
    if is_dataclass(node):
        hints = typing.get_type_hints(node)
        if name in hints:
            yield from _options(hints[name])
    elif typing.get_origin(node) is dict:
        yield from _options(typing.get_args(node)[1])


def _options(kind: object) -> Iterator[object]:
    """The members of a union, and of unions inside it."""
    members = typing.get_args(kind) if not isinstance(kind, type) and typing.get_origin(kind) is not tuple else ()
    if typing.get_origin(kind) in (dict, typing.Literal) or not members:
        yield kind
    else:
        for member in members:
            yield from _options(member)
