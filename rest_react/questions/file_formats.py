"""The rows of a file, as publishers ship them: JSON lines, one JSON list, CSV, TSV and Parquet, plain or gzipped.

    problems: list[str] = []
    for place, row in rows(Path("hotpot_dev_fullwiki_v1.json"), problems): ...   # ("...json:1 item 1", {"_id": ...})

What cannot be read goes to `problems` with its line, and no row or column is left out without one: a table's row with
too few cells, two columns of one name, a key that stands twice.
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

_KINDS = ".json, .jsonl, .csv, .tsv (each also as .gz) or .parquet"
_GZIP = b"\x1f\x8b"
_WIDE = (b"\xff\xfe", b"\xfe\xff")  # UTF-16 and UTF-32 begin like this
_BOM = b"\xef\xbb\xbf"
_SPACE = re.compile(r"\s*")
# Under these a file of one JSON object has its rows, as SQuAD's and TriviaQA's have.
_WRAPPERS = frozenset(("data", "rows", "questions", "examples", "instances"))
_LONGEST_CELL = 2**30  # csv's own limit is 131,072 characters, less than some contexts


def rows(path: Path, problems: list[str]) -> Placed:
    """Each row with its place."""
    suffix = path.with_suffix("").suffix if path.suffix.lower() == ".gz" else path.suffix
    readers: dict[str, Callable[[Path, list[str]], Placed]] = {
        ".jsonl": _json, ".json": _json, ".ndjson": _json, ".csv": _csv, ".tsv": _tsv, ".parquet": _parquet,
    }  # fmt: skip
    read = readers.get(suffix.lower())
    if read is None:
        problems.append(f"{path}: a {suffix or 'nameless'} file cannot be read; give {_KINDS}")
        return
    before, some = len(problems), False
    try:
        for placed in read(path, problems):
            some = True
            yield placed
        if not some and len(problems) == before:
            problems.append(f"{path}: no rows at all; is it the right file?")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        problems.append(f"{path}: the gzip file is damaged ({error}); fetch it again")
    except OSError as error:
        problems.append(f"{path}: {error.strerror or error}; check the path")


def _opened(path: Path) -> BinaryIO:
    """The file's bytes, unpacked where it is gzipped, whatever its name says."""
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    return cast("BinaryIO", gzip.open(path, "rb")) if packed else path.open("rb")


def _is_wide(path: Path, problems: list[str]) -> bool:
    with _opened(path) as file:
        start = file.read(4)
    wide = start.startswith(_WIDE) or b"\0" in start
    if wide:
        problems.append(f"{path}: the text is UTF-16, not UTF-8; convert it (iconv -f UTF-16 -t UTF-8)")
    return wide


# ── JSON ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice in one object")
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_once)


def _json(path: Path, problems: list[str]) -> Placed:
    """Whether a file is lines or one document is seen from what it holds, not from its name."""
    if _is_wide(path, problems):
        return
    with _opened(path) as file:
        lines = (line for raw in file if (line := raw.removeprefix(_BOM).strip()))
        start, more = next(lines, b""), next(lines, None) is not None
    if start.startswith(b"["):
        yield from _json_list(path, problems)
    elif more and _object(start) is not None:
        yield from _json_lines(path, problems)
    else:
        with _opened(path) as file:
            row = _object(file.read().removeprefix(_BOM))
        if row is None:
            yield from _json_lines(path, problems)  # which tells where it breaks off
        elif wrapped := _wrapped(row):
            name, members = wrapped
            yield from ((f"{path} {name}[{number}]", member) for number, member in enumerate(members))
        elif all(isinstance(found, (dict, list)) for found in row.values()):
            problems.append(f"{path}: one object with all columns; write one object a row (pandas: orient='records')")
        else:
            yield f"{path}:1", row


def _object(raw: bytes) -> Row | None:
    try:
        row = _DECODER.decode(raw.decode())
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _wrapped(row: Row) -> tuple[str, list[Row]] | None:
    """The rows of a file whose one object holds nothing else of several parts."""
    lists = [name for name, found in row.items() if isinstance(found, (list, dict))]
    if len(lists) == 1 and lists[0].lower() in _WRAPPERS:
        members = row[lists[0]]
        if isinstance(members, list) and members and all(isinstance(member, dict) for member in members):
            return lists[0], members
    return None


def _json_lines(path: Path, problems: list[str]) -> Placed:
    with _opened(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.removeprefix(_BOM).strip():
                continue
            try:
                row = _DECODER.decode(line.decode("utf-8-sig"))
            except (ValueError, RecursionError) as error:
                problems.append(f"{path}:{number}: no JSON ({error})")
                continue
            if isinstance(row, dict):
                yield f"{path}:{number}", row
            else:
                problems.append(f"{path}:{number}: no JSON object")


def _json_list(path: Path, problems: list[str]) -> Placed:
    with _opened(path) as file:
        raw = file.read()
    try:
        content = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        problems.append(f"{path}:{line}: the text is not UTF-8 ({error.reason}); save it as UTF-8")
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
                raise ValueError("no comma follows, and the list does not end")
        except (ValueError, RecursionError) as error:
            problems.append(f"{where}: no JSON ({error}); the rest was not read")
            return
        place += content[place] == ","
        if isinstance(row, dict):
            yield where, row
        else:
            problems.append(f"{where}: no JSON object")
    if content[place:].strip() != "]":
        problems.append(f"{path}: the JSON list ends before the file does, or not at all; is the file whole?")


def _after_space(content: str, place: int) -> int:
    found = _SPACE.match(content, place)
    return found.end() if found else place


# ── tables ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _csv(path: Path, problems: list[str]) -> Placed:
    return _table(path, problems, ",")


def _tsv(path: Path, problems: list[str]) -> Placed:
    return _table(path, problems, "\t")


def _table(path: Path, problems: list[str], delimiter: str) -> Placed:
    if _is_wide(path, problems):
        return
    csv.field_size_limit(_LONGEST_CELL)
    with _opened(path) as file:
        # Line by line, so that a line which is not UTF-8 is known by its number.
        lines = ((line if number else line.removeprefix(_BOM)).decode() for number, line in enumerate(file))
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        try:
            header = next(reader, [])
            if wrong := _wrong_header(header, delimiter):
                problems.append(f"{path}:1: {wrong}")
                return
            end = reader.line_num
            for cells in reader:
                where, end = f"{path}:{end + 1}", reader.line_num
                if not cells:
                    continue
                if wrong := _wrong_cells(cells, header, delimiter):
                    problems.append(f"{where}: {wrong}")
                else:
                    yield where, dict(zip(header, cells, strict=True))
        except (csv.Error, UnicodeDecodeError) as error:
            kind = "CSV" if delimiter == "," else "TSV"
            problems.append(f"{path}:{reader.line_num + 1}: no {kind} in UTF-8 ({error}); the rest was not read")


def _wrong_header(header: list[str], delimiter: str) -> str:
    if twice := next((name for name in header if header.count(name) > 1), None):
        return f"two columns are called {twice!r}; rename one"
    others = {"a semicolon": ";", "a tab": "\t", "a comma": ","}
    found = [name for name, sign in others.items() if sign != delimiter and len(header) == 1 and sign in header[0]]
    if found:
        return f"the columns seem to be separated by {found[0]}; a .csv needs commas, a .tsv tabs"
    return ""


def _wrong_cells(cells: list[str], header: list[str], delimiter: str) -> str:
    if len(cells) > len(header):
        return "more cells than the header has columns; quote cells that hold the separator"
    if len(cells) < len(header):
        return f"{len(cells)} cells where the header has {len(header)} columns; is the line whole?"
    if delimiter == "\t" and any("\t" in cell and "\n" in cell for cell in cells):
        return 'a quotation mark opens a cell that goes on over several rows; write " at a cell\'s start as """'
    return ""


def _parquet(path: Path, problems: list[str]) -> Placed:
    import pyarrow
    import pyarrow.parquet

    try:
        read = pyarrow.parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        problems.append(f"{path}: no Parquet file ({error})")
        return
    for number, row in enumerate(read, start=1):
        yield f"{path} row {number}", row
