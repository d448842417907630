"""The rating sheet: a CSV file in which people say which answers are right, to compare the grader with them.

    write_sheet(Path("ratings.csv"), answers, sample=200, seed=0)     # 200 rows; the column `correct` is empty
    read_ratings(Path("ratings.csv"))                            # {"q5a0e...": True, ...}, once people filled it

The sheet is blind: it names no verdict, run or iteration, its rows are shuffled, and an answer that several agents gave
has one row. Spreadsheets open and save it, so no cell is a formula, and every separator and encoding is read.
Not here: where the answers are from, and what the ratings are compared with (the command rest_react.agreement).
"""

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rest_react.errors import ConfigError, UsageError
from rest_react.seeds import derive_seed
from rest_react.text_safety.escaping import printable

COLUMNS = ("item", "question", "reference", "answer", "correct", "comment")
RATED_COLUMNS = tuple("rating" if name == "correct" else name for name in COLUMNS)
T = TypeVar("T")
YES, NO = {"yes", "y", "true", "1", "correct"}, {"no", "n", "false", "0", "incorrect"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\N{FULLWIDTH EQUALS SIGN}", "\N{FULLWIDTH PLUS SIGN}",
            "\N{FULLWIDTH HYPHEN-MINUS}", "\N{FULLWIDTH COMMERCIAL AT}")  # fmt: skip
_MOST_CHARACTERS = 30_000  # spreadsheets cut a cell at 32,767 characters


@dataclass(frozen=True, slots=True)
class Graded:
    """One answer of one agent with the grader's verdict, and its rating if it rates. `item` is the fingerprint of
    question, golds and answer."""

    agent: str
    item: str
    question: str
    golds: tuple[str, ...]
    answer: str
    correct: bool
    rating: int | None = None


def fingerprint(question: str, golds: Sequence[str], answer: str) -> str:
    """A hash of what a rater sees. It begins with a letter, since a spreadsheet reads 12e45 as a number."""
    digest = hashlib.blake2b("\x1f".join((question, *golds, answer)).encode("utf-8", "replace"), digest_size=8)
    return f"q{digest.hexdigest()}"


def write_sheet(sheet: Path, graded: Sequence[Graded], *, sample: int | None, seed: int) -> int:
    """Writes a new sheet with all distinct answers, or with a random `sample` of them, and returns the number of rows.

    Raises UsageError if the sheet exists, since it may contain ratings.
    """
    items = {answer.item: answer for answer in graded}
    selected = sorted(items.values(), key=lambda answer: derive_seed("rating", seed, answer.item))[:sample]
    try:
        # The byte order mark tells spreadsheets the encoding.
        with sheet.open("x", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL)
            writer.writerow(COLUMNS if any(a.rating is None for a in selected) else RATED_COLUMNS)
            for a in selected:
                texts = map(_safe_cell, (a.question, "\n".join(a.golds), a.answer))
                writer.writerow([a.item, *texts, "", ""])
    except FileExistsError as error:
        raise UsageError(f"{sheet} exists and may contain ratings; give another name") from error
    return len(selected)


def _safe_cell(text: str) -> str:
    """Untrusted text for a spreadsheet cell: visible characters only, no formula, short enough."""
    shown = printable(text.strip())[:_MOST_CHARACTERS]
    return f"'{shown}" if shown.startswith(_FORMULA) else shown


def read_ratings(sheet: Path) -> dict[str, bool]:
    """The ratings by item, without empty cells. Raises ConfigError with every line that is neither yes nor no."""
    answers = {**dict.fromkeys(YES, True), **dict.fromkeys(NO, False)}
    return _read_column(sheet, "correct", answers, "neither yes nor no")


def read_scores(sheet: Path) -> dict[str, int]:
    """The ratings from 1 to 5 by item, without empty cells. Raises ConfigError with every line that has another."""
    return _read_column(sheet, "rating", {str(n): n for n in range(1, 6)}, "not a whole number from 1 to 5")


def _read_column(sheet: Path, column: str, known: Mapping[str, T], problem: str) -> dict[str, T]:
    ratings: dict[str, T] = {}
    lines: dict[str, int] = {}
    problems = []
    # Spreadsheets save with the separator and encoding of their locale; item and rating are ASCII in all of them.
    with sheet.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        delimiter = max(",;\t", key=file.readline().count)
        file.seek(0)
        rows = csv.DictReader(file, delimiter=delimiter)
        try:
            missing = {"item", column} - set(rows.fieldnames or ())
            if missing:
                raise ConfigError([f"{sheet}: no column {' or '.join(sorted(missing))}; give a sheet from `export`"])
            for row in rows:
                where, rating = f"{sheet}:{rows.line_num}", (row[column] or "").strip().casefold()
                if rating not in known:
                    problems += (
                        [f"{where}: {row[column]!r} is {problem}; correct the cell or empty it"] if rating else []
                    )
                elif not (item := (row["item"] or "").strip()):
                    problems.append(
                        f"{where}: the rating {row[column]!r} has no item; restore the cell or remove the row"
                    )
                elif ratings.setdefault(item, known[rating]) != known[rating]:
                    problems.append(
                        f"{where}: {item} is rated otherwise at line {lines[item]}; keep one of the ratings"
                    )
                else:
                    lines.setdefault(item, rows.line_num)
        except csv.Error as error:
            problems.append(f"{sheet}:{rows.line_num + 1}: not CSV ({error}); save the sheet again as CSV")
    if problems:
        raise ConfigError(problems)
    return ratings
