"""Reads the values of one row of a question set or a corpus: by column name, as texts.

    >>> value_at({"answer": {"value": "Ada", "aliases": ["A. Mell"]}}, "answer.value")
    'Ada'
    >>> as_texts([{"text": "Paris"}, {"text": "Rome"}], "answers")
    ('Paris', 'Rome')

A bad row raises BadRow; `make_records` collects all bad rows with their places, since a benchmark of which some rows
are missing gives a wrong number.
Not here: reading files (`file_formats`), and which names a record needs (`labelled_questions`, `corpus`).
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias, TypeGuard, TypeVar

from rest_react.errors import ConfigError
from rest_react.questions.list_literals import read_list_literal
from rest_react.records import LabelledQuestion, Passage

Row: TypeAlias = Mapping[str, object]
PlacedRows: TypeAlias = Iterator[tuple[str, Row]]  # ("set.jsonl:3", row)
Record = TypeVar("Record", LabelledQuestion, Passage)

_MOST_SHOWN = 100
# Keys of an object that hold answers, in this order: SQuAD's and TriviaQA's, and those of lists of {"answer": ...}.
_ANSWER_PARTS = ("text", "value", "answer", "answers", "aliases", "answeraliases")


class BadRow(ValueError):
    """One row is invalid; the message says why. Never leaves this package."""


def value_at(row: Row, column: str) -> object:
    """The value in a column, or at a path into nested objects ("answer.value").

    A path into a list of objects gives a list with the value of each. Blank, NaN and missing values are None.
    """
    content: object = row
    for part in [column] if column in row else column.split("."):
        content = _value_of_part(content, part, column)
    return None if _is_blank(content) else content


def _value_of_part(whole: object, part: str, column: str) -> object:
    if isinstance(whole, str):
        whole = _parse_literal(whole, column)
    if isinstance(whole, Mapping):
        return whole.get(part)
    if is_list(whole):
        content = [_value_of_part(item, part, column) for item in whole if isinstance(item, Mapping)]
        return [item for item in content if item is not None] or None
    return None


def is_list(content: object) -> TypeGuard[Sequence[object]]:
    """Whether a value is a list: a text, and the bytes of a binary column, are sequences in Python, too."""
    return isinstance(content, Sequence) and not isinstance(content, (str, bytes))


def first_value(row: Row, columns: Sequence[str]) -> object:
    """The first value that is not None among these columns; None if there is none."""
    return next((content for column in columns if (content := value_at(row, column)) is not None), None)


def as_text(content: object, name: str) -> str:
    """A text or a number as a stripped text. Raises BadRow for any other value; `name` is the column in its message."""
    if content is None:
        raise BadRow(f"{name!r} is missing or empty")
    if isinstance(content, float) and content.is_integer():
        content = int(content)  # pandas writes 1998 as 1998.0 if another row has no number
    if isinstance(content, bytes):
        raise BadRow(f"{name!r} is binary; write the column as text, in UTF-8")
    if isinstance(content, bool) or not isinstance(content, (str, int, float)) or content in (math.inf, -math.inf):
        kind = content if isinstance(content, float) else f"a {type(content).__name__}"
        raise BadRow(f"{name!r} is {kind}; it must be a text or a number")
    text = str(content).strip()
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise BadRow(f"{name!r} contains a lone surrogate (half a character); correct the text")
    return text


def as_texts(content: object, name: str) -> tuple[str, ...]:
    """The texts in a text, a list, an object, a list of objects, or a text that contains the literal of one of them.

    Without repetitions; true and false become "yes" and "no". Raises BadRow.
    """
    members = (
        {True: "yes", False: "no"}[item] if isinstance(item, bool) else item for item in _members(content, name, False)
    )
    return tuple(dict.fromkeys(as_text(item, name) for item in members if not _is_blank(item)))


def _members(content: object, name: str, member: bool) -> Iterator[object]:
    if isinstance(content, str):
        read = _parse_literal(content, name, member)
        if read is content:
            yield content
        else:
            yield from _members(read, name, True)
    elif isinstance(content, Mapping):
        keys = {str(key).replace("_", "").lower(): key for key in content}
        parts = [keys[part] for part in _ANSWER_PARTS if part in keys]
        if not parts:
            known = ", ".join(map(str, content))
            raise BadRow(
                f"{name!r} is an object with the keys {known}; say which key to read, e.g. fields.{name}={name}.text"
            )
        for part in parts:
            yield from _members(content[part], name, True)
    elif is_list(content):
        for item in content:
            yield from _members(item, name, True)
    else:
        yield content


def _parse_literal(text: str, name: str, member: bool = False) -> object:
    try:
        return read_list_literal(text, member=member)
    except (ValueError, SyntaxError) as error:
        shown = f"{text:.60}..." if len(text) > 60 else text
        raise BadRow(
            f"{name!r} is {shown!r}, which looks like a list but cannot be parsed ({error}); "
            f"write a list as JSON, and a text in brackets as {json.dumps([shown], ensure_ascii=False)}"
        ) from error


def _is_blank(content: object) -> bool:
    if isinstance(content, str):
        return not content.strip()
    return content is None or (isinstance(content, float) and math.isnan(content))


def make_records(
    rows: Iterable[tuple[str, Row]],
    make: Callable[[Row], Iterable[Record]],
    id_of: Callable[[Record], str],
    problems: list[str],
) -> list[Record]:
    """The records that `make` makes from all rows, each row with its place ("set.jsonl:3").

    Appends one message to `problems` for each bad row and each repeated id.
    """
    records = []
    places: dict[str, str] = {}
    for where, row in rows:
        try:
            made = list(make(row))
        except BadRow as error:
            problems.append(f"{where}: {error}")
            continue
        except RecursionError:  # JSON may be nested deeper than functions may call each other
            problems.append(f"{where}: a value is nested too deep to be read; make it flatter or leave it out")
            continue
        for record in made:
            earlier = places.setdefault(id_of(record), where)
            if earlier != where:
                problems.append(f"{where}: id {id_of(record)!r} is already used at {earlier}; ids must be unique")
            records.append(record)
    return records


def raise_problems(problems: Sequence[str]) -> None:
    """Raises a ConfigError with the first 100 problems, if there are any."""
    if not problems:
        return
    shown = list(problems[:_MOST_SHOWN])
    if len(problems) > _MOST_SHOWN:
        shown.append(f"... and {len(problems) - _MOST_SHOWN} more")
    raise ConfigError(shown)
