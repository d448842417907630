"""Reads rows from CSV and TSV files, whose first line names the columns.

    read_csv(Path("set.csv"), problems)           # ("set.csv:2", {"question": "Who wrote Emma?", "answer": ...}), ...

A row has the place of its first line, since a quoted cell may span several.
Not here: other formats (`json_rows`, `parquet_rows`), and which format a file has (`file_formats`).
"""

import csv
from pathlib import Path

from rest_react.questions.file_formats.encoding import BOM, is_utf16, open_bytes
from rest_react.questions.row_values import PlacedRows

_LONGEST_CELL = 2**30  # the default of csv, 131,072 characters, is less than some contexts


def read_csv(path: Path, problems: list[str]) -> PlacedRows:
    """Rows of cells with commas between them."""
    return _read_table(path, problems, ",")


def read_tsv(path: Path, problems: list[str]) -> PlacedRows:
    """Rows of cells with tabs between them."""
    return _read_table(path, problems, "\t")


def _read_table(path: Path, problems: list[str], delimiter: str) -> PlacedRows:
    if is_utf16(path, problems):
        return
    csv.field_size_limit(_LONGEST_CELL)
    with open_bytes(path) as file:
        # Decodes line by line, so that the message names the line that is not UTF-8.
        lines = ((line if number else line.removeprefix(BOM)).decode() for number, line in enumerate(file))
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
