"""Reads rows from JSON: lines of objects, one list of objects, or one object that has its rows under a key.

    read_json(Path("squad.json"), problems)       # ("squad.json data[0]", {"title": "Beyoncé", ...}), ...

Numbers the lines and items of a list as it reads, so that a problem names its place.
Not here: other formats (`csv_rows`, `parquet_rows`), and which format a file has (`file_formats`).
"""

import json
import re
from pathlib import Path

from rest_react.questions.file_formats.encoding import BOM, is_utf16, open_bytes
from rest_react.questions.row_values import PlacedRows, Row

_SPACE = re.compile(r"\s*")
# Keys under which a file of one JSON object has its rows, as in SQuAD and TriviaQA.
_WRAPPERS = frozenset(("data", "rows", "questions", "examples", "instances"))
_ROW_KEYS = frozenset(("question", "text", "instruction"))  # an object with one of these keys is itself a row


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is repeated in one object")
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys)


def read_json(path: Path, problems: list[str]) -> PlacedRows:
    """JSON lines or one JSON document, decided by the file's contents, not by its name."""
    if is_utf16(path, problems):
        return
    with open_bytes(path) as file:
        lines = (line for raw in file if (line := raw.removeprefix(BOM).strip()))
        start, more = next(lines, b""), next(lines, None) is not None
    if start.startswith(b"["):
        yield from _read_json_list(path, problems)
    elif more and _parse_object(start) is not None:
        yield from _read_json_lines(path, problems)
    else:
        with open_bytes(path) as file:
            row = _parse_object(file.read().removeprefix(BOM))
        if row is None:
            yield from _read_json_lines(path, problems)  # reports the line of the error
        elif nested := _rows_in_object(row):
            name, members = nested
            yield from ((f"{path} {name}[{number}]", member) for number, member in enumerate(members))
        elif not isinstance(row.get("messages"), list) and all(
            isinstance(found, (dict, list)) for found in row.values()
        ):
            problems.append(
                f"{path}: the file is one object with all columns; write one object per row (pandas: orient='records')"
            )
        else:
            yield f"{path}:1", row


def _parse_object(raw: bytes) -> Row | None:
    try:
        row = _DECODER.decode(raw.decode())
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _rows_in_object(row: Row) -> tuple[str, list[Row]] | None:
    """(key, rows) if the object has its rows in a list under one of `_WRAPPERS`, no other list or object, and no key of
    a row."""
    if _ROW_KEYS & {name.lower() for name in row}:
        return None
    lists = [name for name, found in row.items() if isinstance(found, (list, dict))]
    if len(lists) == 1 and lists[0].lower() in _WRAPPERS:
        members = row[lists[0]]
        if isinstance(members, list) and members and all(isinstance(member, dict) for member in members):
            return lists[0], members
    return None


def _read_json_lines(path: Path, problems: list[str]) -> PlacedRows:
    with open_bytes(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.removeprefix(BOM).strip():
                continue
            try:
                row = _DECODER.decode(line.decode("utf-8-sig"))
            except (ValueError, RecursionError) as error:
                problems.append(f"{path}:{number}: invalid JSON ({error})")
                continue
            if isinstance(row, dict):
                yield f"{path}:{number}", row
            else:
                problems.append(f"{path}:{number}: not a JSON object")


def _read_json_list(path: Path, problems: list[str]) -> PlacedRows:
    with open_bytes(path) as file:
        raw = file.read()
    try:
        content = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        problems.append(f"{path}:{line}: the text is not UTF-8 ({error.reason}); convert the file to UTF-8")
        return
    place = content.index("[") + 1
    number, line, counted = 0, 1, 0
    while (place := _after_space(content, place)) < len(content) and content[place] != "]":
        line, counted = line + content.count("\n", counted, place), place
        number += 1
        where = f"{path}:{line} item {number}"
        try:
            row, place = _DECODER.raw_decode(content, place)
            place = _after_space(content, place)
            if content[place : place + 1] not in (",", "]"):
                raise ValueError("a comma or the end of the list must follow")
        except (ValueError, RecursionError) as error:
            problems.append(f"{where}: invalid JSON ({error}); the rest of the file was not read")
            return
        place += content[place] == ","
        if isinstance(row, dict):
            yield where, row
        else:
            problems.append(f"{where}: not a JSON object")
    if content[place:].strip() != "]":
        problems.append(f"{path}: the JSON list has no end, or text follows it; check that the file is complete")


def _after_space(content: str, place: int) -> int:
    found = _SPACE.match(content, place)
    return found.end() if found else place
