"""Question sets as records.

    read_questions(Path("questions.jsonl"))
    # {"id": "q1", "question": "Who wrote Middlemarch?", "answers": ["George Eliot", "Mary Ann Evans"]}

`answers` is a list or one text, and may be called `answer`; "Detroit Red Wings (or Red Wings)" is two. Optional:
`options`, `kind`, `hops`, `passages`, `explanation`. A row without an id gets one made from its text, the same on every
machine. Files that name their columns otherwise are read with `fields`, from our name to theirs, dots reaching into
nested ones and answers of several columns joined: `{"answers": "answer + aliases.text"}`.

Every bad row is reported, all in one ConfigError, each with its line: a half-read benchmark would be a wrong number.
A column that looks like answers and is not used is told.
Not here: files (`files`), data sets on the Hub (`hub`).
"""

import difflib
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields as fields_of
from pathlib import Path

from rest_react.console import say
from rest_react.questions.file_formats import rows
from rest_react.questions.row_values import BadRow, Row, checked, collect, first, text, texts, value
from rest_react.records import LabelledQuestion, Question

FIELDS = ("id", "question", "answers", *(field.name for field in fields_of(LabelledQuestion)[2:]))
_VARIANT = re.compile(r"(?<=\S)\s*\(or\s+([^()]*[^()\s])\s*\)$")
_LIKE_ANSWERS = re.compile(r"answer|alias|gold|target", re.IGNORECASE)
_NO_ANSWERS = re.compile(r"answerable|type|start|span|_in_|num|count|normali[sz]ed|ids?$", re.IGNORECASE)


def read_questions(
    path: Path, fields: Mapping[str, str] | None = None, *, labelled: bool = True
) -> list[LabelledQuestion]:
    """The questions of a file, in its order. With `labelled=False` (enough for Grow) a row may lack an answer. Raises
    ConfigError for a file that cannot be read, all bad rows and repeated ids."""
    problems: list[str] = []
    questions = from_rows(rows(path, problems), str(path), fields or {}, labelled, problems)
    return checked(questions, problems)


def from_rows(
    placed: Iterable[tuple[str, Row]], source: str, fields: Mapping[str, str], labelled: bool, problems: list[str]
) -> list[LabelledQuestion]:
    """The questions of rows from anywhere; what is wrong goes to `problems`."""
    for name in fields:
        if name not in FIELDS:
            near = difflib.get_close_matches(name, FIELDS, n=1)
            way_out = f"did you mean {near[0]}?" if near else f"known: {', '.join(FIELDS)}"
            problems.append(f"fields.{name}: no field of a question; {way_out}")
    columns = columns_of(fields)
    required = {"question", "answers"} if labelled else {"question"}
    unseen = {name for name in FIELDS if name in fields or name in required}
    present: dict[str, bool] = {}  # column: whether it holds texts
    asked: set[str] = set()
    repeats = 0

    def make(row: Row) -> Iterator[LabelledQuestion]:
        nonlocal repeats
        present.update((name, present.get(name) or _holds_text(found)) for name, found in row.items())
        unseen.difference_update([name for name in unseen if _holds(row, columns[name])])
        question = _question(row, columns, labelled)
        if not labelled and first(row, columns["id"]) is None and question.question.id in asked:
            repeats += 1  # a forum asks many a question twice; Grow asks it once
        else:
            asked.add(question.question.id)
            yield question

    bad: list[str] = []
    questions = collect(placed, make, lambda item: item.question.id, bad)
    if not present:
        unseen.clear()  # without a single row there are no columns to speak of
    problems += [
        f"fields.{name}: {source} has nothing under {' or '.join(columns[name])!r} in any row; "
        f"set it to the right one of its columns: {', '.join(present)}"
        for name in sorted(unseen)
    ]
    # One wrong name is one problem, not one for each row.
    problems += [] if unseen & required else bad
    if repeats:
        say(f"note: {source}: {repeats} rows repeat a question; each question is used once")
    unused = like_answers([name for name, holds in present.items() if holds], columns) if labelled else []
    if unused and not problems:
        joined = " + ".join([*(name for name in columns["answers"] if name.split(".")[0] in present), *unused])
        say(
            f"note: {source}: {' and '.join(unused)} may hold gold answers and {'are' if unused[1:] else 'is'} not "
            f"used; to use {'them' if unused[1:] else 'it'}, set fields.answers: {joined!r}"
        )
    return questions


def columns_of(fields: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Under which columns to look for each field, in order."""
    columns = {name: tuple(column.strip() for column in fields.get(name, name).split(" + ")) for name in FIELDS}
    return {"id": ("id", "_id"), "answers": ("answers", "answer")} | {
        name: columns[name] for name in FIELDS if name in fields or name not in ("id", "answers")
    }


def like_answers(names: Iterable[str], columns: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Those of a set's columns that no field uses and whose names sound like answers."""
    used = {column.split(".")[0] for some in columns.values() for column in some}
    return [name for name in names if name not in used and _LIKE_ANSWERS.search(name) and not _NO_ANSWERS.search(name)]


def _holds(row: Row, columns: tuple[str, ...]) -> bool:
    try:
        return first(row, columns) is not None
    except BadRow:
        return True


def _holds_text(found: object) -> bool:
    if isinstance(found, Mapping):
        return any(map(_holds_text, found.values()))
    if isinstance(found, list):
        return any(map(_holds_text, found))
    return isinstance(found, str) and bool(found.strip())


def _question(row: Row, columns: Mapping[str, tuple[str, ...]], labelled: bool) -> LabelledQuestion:
    values = {name: first(row, columns[name]) for name in FIELDS if name != "answers"}
    asked = text(values["question"], columns["question"][0])
    try:
        found = [one for column in columns["answers"] for one in texts(value(row, column), "answers")]
    except BadRow:
        if labelled:
            raise
        found = []  # Grow needs none, and a forum's may be anything
    answers = tuple(dict.fromkeys(variant for one in found for variant in _VARIANT.split(one) if variant))
    if labelled and not answers:
        raise BadRow(f"no answer under {' or '.join(columns['answers'])!r}")
    if values["id"] is None:
        values["id"] = "q" + hashlib.sha256(" ".join(asked.split()).encode()).hexdigest()[:12]
    return LabelledQuestion(
        question=Question(id=text(values["id"], "id"), text=asked),
        answers=answers,
        options=texts(values["options"], "options"),
        kind=text(values["kind"] or "", "kind"),
        hops=_count(values["hops"], "hops"),
        passages=texts(values["passages"], "passages"),
        explanation=text(values["explanation"] or "", "explanation"),
    )


def _count(found: object, name: str) -> int | None:
    """A whole number, or that of an id that begins with it, as MuSiQue's do: `3hop1__9285_5188_23307`."""
    if found is None:
        return None
    match = re.fullmatch(r"(\d{1,6})(?:\.0|hop\w*)?", str(found).strip(), re.ASCII)
    if isinstance(found, bool) or not match:
        raise BadRow(f"{name!r} holds {found!r}, no count")
    return int(match[1])
