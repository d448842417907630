"""Reads the rows of a file: JSON lines, one JSON list, CSV, TSV or Parquet, plain or gzipped.

    problems: list[str] = []
    for place, row in read_rows(Path("hotpot_dev_fullwiki_v1.json"), problems):
        ...                                                     # "...json:1 item 1", {"_id": "5a8b57f2...", ...}

Every row that cannot be read is a message in `problems` with its line; no row or column is skipped silently. That
includes a row with too few cells, two columns with one name, and a duplicate key in an object.
This file decides which format a file has: `json_rows`, `csv_rows` and `parquet_rows` read one each, `encoding` opens.
Not here: what the columns mean (`row_values`, `labelled_questions`, `corpus`).
"""

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path

from rest_react.questions.file_formats.csv_rows import read_csv, read_tsv
from rest_react.questions.file_formats.json_rows import read_json
from rest_react.questions.file_formats.parquet_rows import read_parquet
from rest_react.questions.row_values import PlacedRows

_SUPPORTED = ".json, .jsonl, .csv, .tsv (each also as .gz) or .parquet"


def read_rows(path: Path, problems: list[str]) -> PlacedRows:
    """Each row with its place: "set.jsonl:3", "set.json:1 item 2", "set.parquet row 4".

    Never raises for the file's contents or a missing file: appends a message to `problems`.
    """
    suffix = path.with_suffix("").suffix if path.suffix.lower() == ".gz" else path.suffix
    readers: dict[str, Callable[[Path, list[str]], PlacedRows]] = {
        ".jsonl": read_json, ".json": read_json, ".ndjson": read_json, ".csv": read_csv, ".tsv": read_tsv,
        ".parquet": read_parquet,
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
