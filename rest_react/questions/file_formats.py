"""Reads the rows of a file: JSON lines, one JSON list, CSV, TSV or Parquet, plain or gzipped.

    problems: list[str] = []
    for place, row in read_rows(Path("hotpot_dev_fullwiki_v1.json"), problems):
        ...                                                     # "...json:1 item 1", {"_id": "5a8b57f2...", ...}

Every row that cannot be read is a message in `problems` with its line; no row or column is skipped silently. That
includes a row with too few cells, two columns with one name, and a duplicate key in an object.
Not here: what the columns mean (`row_values`, `labelled_questions`, `corpus`).
"""

import csv
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

from rest_react.questions.row_values import Row

Placed: TypeAlias = Iterator[tuple[str, Row]]

_SUPPORTED = ".json, .jsonl, .csv, .tsv (each also as .gz) or .parquet"
_GZIP = b"\x1f\x8b"
_UTF16_START = (b"\xff\xfe", b"\xfe\xff")  # UTF-16 and UTF-32 begin like this
_BOM = b"\xef\xbb\xbf"
_SPACE = re.compile(r"\s*")
# Keys under which a file of one JSON object has its rows, as in SQuAD and TriviaQA.
_WRAPPERS = frozenset(("data", "rows", "questions", "examples", "instances"))
_LONGEST_CELL = 2**30  # the default of csv, 131,072 characters, is less than some contexts


def read_rows(path: Path, problems: list[str]) -> Placed:
    """Each row with its place: "set.jsonl:3", "set.json:1 item 2", "set.parquet row 4".

    Never raises for the file's contents or a missing file: appends a message to `problems`.
    """
    suffix = path.with_suffix("").suffix if path.suffix.lower() == ".gz" else path.suffix
    readers: dict[str, Callable[[Path, list[str]], Placed]] = {
        ".jsonl": _read_json, ".json": _read_json, ".ndjson": _read_json, ".csv": _read_csv, ".tsv": _read_tsv,
        ".parquet": _read_parquet,
    }  # fmt: skip
    read = readers.get(suffix.lower())
    if read is None:
        problems.append(f"{path}: the file type {suffix or '(none)'} is not supported; use {_SUPPORTED}")
        return
    problems_before, any_row = len(problems), False
    try:
        for placed in read(path, problems):
            any_row = True
            yield placed
        if not any_row and len(problems) == problems_before:
            problems.append(f"{path}: the file has no rows; check that it is the right file")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        problems.append(f"{path}: the gzip file is damaged ({error}); download it again")
    except OSError as error:
        problems.append(f"{path}: {error.strerror or error}; check the path")


def _open(path: Path) -> BinaryIO:
    """Opens the file for reading bytes; decompresses gzip, whatever the file's name."""
    with path.open("rb") as file:
        compressed = file.read(2) == _GZIP
    return cast("BinaryIO", gzip.open(path, "rb")) if compressed else path.open("rb")


def _is_utf16(path: Path, problems: list[str]) -> bool:
    with _open(path) as file:
        start = file.read(4)
    is_utf16 = start.startswith(_UTF16_START) or b"\0" in start
    if is_utf16:
        problems.append(f"{path}: the text is UTF-16, not UTF-8; convert it (iconv -f UTF-16 -t UTF-8)")
    return is_utf16


# ── JSON ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is repeated in one object")
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys)


def _read_json(path: Path, problems: list[str]) -> Placed:
    """JSON lines or one JSON document, decided by the file's contents, not by its name."""
    if _is_utf16(path, problems):
        return
    with _open(path) as file:
        lines = (line for raw in file if (line := raw.removeprefix(_BOM).strip()))
        start, more = next(lines, b""), next(lines, None) is not None
    if start.startswith(b"["):
        yield from _read_json_list(path, problems)
    elif more and _parse_object(start) is not None:
        yield from _read_json_lines(path, problems)
    else:
        with _open(path) as file:
            row = _parse_object(file.read().removeprefix(_BOM))
        if row is None:
            yield from _read_json_lines(path, problems)  # reports the line of the error
        elif nested := _rows_in_object(row):
            name, members = nested
            yield from ((f"{path} {name}[{number}]", member) for number, member in enumerate(members))
        elif all(isinstance(found, (dict, list)) for found in row.values()):
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
    """(key, rows) if the object has its rows in a list under one of `_WRAPPERS`, and no other list or object."""
    lists = [name for name, found in row.items() if isinstance(found, (list, dict))]
    if len(lists) == 1 and lists[0].lower() in _WRAPPERS:
        members = row[lists[0]]
        if isinstance(members, list) and members and all(isinstance(member, dict) for member in members):
            return lists[0], members
    return None


def _read_json_lines(path: Path, problems: list[str]) -> Placed:
    with _open(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.removeprefix(_BOM).strip():
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


def _read_json_list(path: Path, problems: list[str]) -> Placed:
    with _open(path) as file:
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


# ── tables ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _read_csv(path: Path, problems: list[str]) -> Placed:
    return _read_table(path, problems, ",")


def _read_tsv(path: Path, problems: list[str]) -> Placed:
    return _read_table(path, problems, "\t")


def _read_table(path: Path, problems: list[str], delimiter: str) -> Placed:
    if _is_utf16(path, problems):
        return
    csv.field_size_limit(_LONGEST_CELL)
    with _open(path) as file:
        # Decodes line by line, so that the message names the line that is not UTF-8.
        lines = ((line if number else line.removeprefix(_BOM)).decode() for number, line in enumerate(file))
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        try:
            header = next(reader, [])
            if problem := _header_problem(header, delimiter):
                problems.append(f"{path}:1: {problem}")
                return
            end = reader.line_num
            for cells in reader:
                where, end = f"{path}:{end + 1}", reader.line_num
                if not cells:
                    continue
                if problem := _cells_problem(cells, header, delimiter):
                    problems.append(f"{where}: {problem}")
                else:
                    yield where, dict(zip(header, cells, strict=True))
        except (csv.Error, UnicodeDecodeError) as error:
            kind = "CSV" if delimiter == "," else "TSV"
            problems.append(
                f"{path}:{reader.line_num + 1}: invalid {kind} or not UTF-8 ({error}); "
                "the rest of the file was not read"
            )


def _header_problem(header: list[str], delimiter: str) -> str:
    if twice := next((name for name in header if header.count(name) > 1), None):
        return f"two columns have the name {twice!r}; rename one"
    others = {"a semicolon": ";", "a tab": "\t", "a comma": ","}
    found = [name for name, sign in others.items() if sign != delimiter and len(header) == 1 and sign in header[0]]
    if found:
        return f"the separator seems to be {found[0]}; a .csv file needs commas, a .tsv file tabs"
    return ""


def _cells_problem(cells: list[str], header: list[str], delimiter: str) -> str:
    if len(cells) > len(header):
        return "the row has more cells than the header has columns; quote cells that contain the separator"
    if len(cells) < len(header):
        return f"{len(cells)} cells, but the header has {len(header)} columns; check that the line is complete"
    if delimiter == "\t" and any("\t" in cell and "\n" in cell for cell in cells):
        return 'a cell that begins with " spans several rows; write a quotation mark at the start of a cell as """'
    return ""


def _read_parquet(path: Path, problems: list[str]) -> Placed:
    import pyarrow
    import pyarrow.parquet

    try:
        read = pyarrow.parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        problems.append(f"{path}: not a Parquet file ({error})")
        return
    for number, row in enumerate(read, start=1):
        yield f"{path} row {number}", row
