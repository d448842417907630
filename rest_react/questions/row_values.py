"""What one row of a question set or a corpus holds: values by name, as texts.

    value({"answer": {"value": "Ada", "aliases": ["A. Mell"]}}, "answer.value")      # "Ada"
    texts([{"text": "Paris"}, {"text": "Rome"}], "answers")                          # ("Paris", "Rome")

A bad row raises BadRow; `collect` gathers them all with their places, since a half-read benchmark is a wrong number.
Not here: reading files (`file_formats`), and which names a record needs (`labelled_questions`, `corpus`).
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias, TypeVar

from rest_react.errors import ConfigError
from rest_react.questions.list_literals import read_list_literal
from rest_react.records import LabelledQuestion, Passage

Row: TypeAlias = Mapping[str, object]
Record = TypeVar("Record", LabelledQuestion, Passage)

_MOST_TOLD = 100
# The parts of an object that are answers, in this order: SQuAD's and TriviaQA's, and lists of {"answer": ...}.
_ANSWER_PARTS = ("text", "value", "answer", "answers", "aliases", "answeraliases")


class BadRow(ValueError):
    """Carries what is wrong with one row; never leaves this package."""


def value(row: Row, column: str) -> object:
    """What a row holds under a column's name, or under a path into nested ones; of a list of objects, what each holds.
    Blank, NaN and missing are None."""
    found: object = row
    for part in [column] if column in row else column.split("."):
        found = _part(found, part, column)
    return None if _blank(found) else found


def _part(whole: object, part: str, column: str) -> object:
    if isinstance(whole, str):
        whole = _read_list_literal(whole, column)
    if isinstance(whole, Mapping):
        return whole.get(part)
    if isinstance(whole, Sequence) and not isinstance(whole, str):
        found = [_part(item, part, column) for item in whole if isinstance(item, Mapping)]
        return [item for item in found if item is not None] or None
    return None


def first(row: Row, columns: Sequence[str]) -> object:
    """What the first of these columns that holds anything holds."""
    return next((found for column in columns if (found := value(row, column)) is not None), None)


def text(found: object, name: str) -> str:
    """A text, or a number as one."""
    if found is None:
        raise BadRow(f"nothing under {name!r}")
    if isinstance(found, float) and found.is_integer():
        found = int(found)  # pandas makes 1998.0 of a number where another row has none
    if isinstance(found, bool) or not isinstance(found, (str, int, float)) or found in (math.inf, -math.inf):
        raise BadRow(f"{name!r} holds {found if isinstance(found, float) else f'a {type(found).__name__}'}, no text")
    written = str(found).strip()
    if any("\ud800" <= char <= "\udfff" for char in written):
        raise BadRow(f"{name!r} holds half a character (a lone surrogate)")
    return written


def texts(found: object, name: str) -> tuple[str, ...]:
    """One text or many, each once: a list, an object, a list of objects, or a text that spells one of them. True and
    false are how yes/no questions are answered."""
    spelt = (
        {True: "yes", False: "no"}[item] if isinstance(item, bool) else item for item in _members(found, name, False)
    )
    return tuple(dict.fromkeys(text(item, name) for item in spelt if not _blank(item)))


def _members(found: object, name: str, member: bool) -> Iterator[object]:
    if isinstance(found, str):
        read = _read_list_literal(found, name, member)
        if read is found:
            yield found
        else:
            yield from _members(read, name, True)
    elif isinstance(found, Mapping):
        plain = {str(key).replace("_", "").lower(): key for key in found}
        parts = [plain[part] for part in _ANSWER_PARTS if part in plain]
        if not parts:
            keys = ", ".join(map(str, found))
            raise BadRow(f"{name!r} holds an object of {keys}; name the one to read, as in fields.{name}={name}.text")
        for part in parts:
            yield from _members(found[part], name, True)
    elif isinstance(found, Sequence):
        for item in found:
            yield from _members(item, name, True)
    else:
        yield found


def _read_list_literal(written: str, name: str, member: bool = False) -> object:
    try:
        return read_list_literal(written, member=member)
    except (ValueError, SyntaxError) as error:
        shown = f"{written:.60}..." if len(written) > 60 else written
        raise BadRow(
            f"{name!r} holds {shown!r}, which looks like a list and cannot be read as one ({error}); "
            f"write a list as JSON, and one text in brackets as {json.dumps([shown], ensure_ascii=False)}"
        ) from error


def _blank(found: object) -> bool:
    if isinstance(found, str):
        return not found.strip()
    return found is None or (isinstance(found, float) and math.isnan(found))


def collect(
    rows: Iterable[tuple[str, Row]],
    make: Callable[[Row], Iterable[Record]],
    id_of: Callable[[Record], str],
    problems: list[str],
) -> list[Record]:
    """The records that `make` makes of all rows; bad rows and repeated ids go to `problems`."""
    records = []
    places: dict[str, str] = {}
    for where, row in rows:
        try:
            made = list(make(row))
        except BadRow as error:
            problems.append(f"{where}: {error}")
            continue
        for record in made:
            earlier = places.setdefault(id_of(record), where)
            if earlier != where:
                problems.append(f"{where}: id {id_of(record)!r} is already that of {earlier}; ids must be unique")
            records.append(record)
    return records


def checked(records: list[Record], problems: Sequence[str]) -> list[Record]:
    """The records, or a ConfigError with the problems."""
    if not problems:
        return records
    told = list(problems[:_MOST_TOLD])
    if len(problems) > _MOST_TOLD:
        told.append(f"... and {len(problems) - _MOST_TOLD} more")
    raise ConfigError(told)
