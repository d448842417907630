"""Text settings on the command line, as they were typed.

Hydra's grammar reads `run=007` as 7 and `policy.model=1e3` as 1000.0, and refuses `data=~/it's here`. `as_typed` puts
quotes around the value of every setting that is text, so that Hydra hands it on unchanged:

    >>> as_typed("run=007"), as_typed("agent.max_searches=007")
    ("run='007'", 'agent.max_searches=007')
    >>> as_typed("policy.model=1.5b,0x10", multirun=True)
    "policy.model='1.5b','0x10'"

What keeps its meaning: `null` where a setting may be null, `${seed}`, a value that stands in quotes already, and in a
sweep commas and Hydra's functions. Not here: which settings there are (settings), and what is wrong with a value
(config).
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
    if str in kinds:
        return _quoted(value)
    inner = value.strip()[1:-1]
    if (record := _listed_record(kinds)) and value.strip().startswith("[") and value.strip().endswith("]"):
        return f"[{','.join(_named_or_spelt(part, record) for part in split(inner))}]" if inner.strip() else value
    if tuple[str, ...] in kinds and value.strip().startswith("[") and value.strip().endswith("]"):
        return f"[{','.join(map(_quoted, split(inner)))}]" if inner.strip() else value
    if dict[str, str] in kinds and value.strip().startswith("{") and value.strip().endswith("}"):
        pairs = [pair.partition(":") for pair in split(inner)]
        if all(colon for _, colon, _ in pairs):
            return "{" + ",".join(f"{name.strip()}: {_quoted(text.strip())}" for name, _, text in pairs) + "}"
    return value


def _named_or_spelt(part: str, record: type) -> str:
    """One of a list's records: by its name alone, or a mapping, in which the texts are quoted."""
    if not (part.startswith("{") and part.endswith("}")):
        return _quoted(part)
    hints = typing.get_type_hints(record)
    pairs = [pair.partition(":") for pair in split(part[1:-1])]
    named = ((name.strip(), text.strip()) for name, _, text in pairs)
    return "{" + ",".join(f"{n}: {_quoted(text) if hints.get(n) is str else text}" for n, text in named) + "}"


def as_text(key: str, value: str) -> str:
    """The override that sets `key` to this very text."""
    from hydra.core.override_parser.types import Quote, QuotedString

    return f"{key}={QuotedString(value, Quote.single).with_quotes()}"


def _quoted(text: str) -> str:
    return text if _QUOTED.fullmatch(text) else as_text("", text)[1:]


def text(value: str) -> str:
    """The text that a value stands for: what its quotes hold, or itself.

    >>> text("'007'"), text("it's")
    ('007', "it's")
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    return str(OverridesParser.create().parse_override(f"value={_quoted(value)}").value()) if value else value


def split(text: str) -> list[str]:
    """The parts of a text between its commas; those inside quotes, brackets and braces do not count.

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
    """What types a setting may have if it is text in some way, by its dotted key; else nothing. Of `policy.model` each
    of the policy's possible kinds has its say."""
    nodes: set[object] = {Settings}
    for name in key.split("."):
        nodes = {kind for node in nodes for kind in _member(node, name)}
    texts = {str, tuple[str, ...], dict[str, str]}
    if _listed_record(nodes) or (nodes & texts and nodes <= {*texts, NoneType}):
        return frozenset(nodes)
    return frozenset()


def _listed_record(kinds: Collection[object]) -> type | None:
    """The record that the setting lists, where it is a list of records that a name alone can stand for."""
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
