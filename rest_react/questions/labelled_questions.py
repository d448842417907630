"""Reads question sets with their gold answers into records.

    read_questions(Path("questions.jsonl"))
    # {"id": "q1", "question": "Who wrote Middlemarch?", "answers": ["George Eliot", "Mary Ann Evans"]}

`answers` is a list or one text, and may be called `answer`; "Detroit Red Wings (or Red Wings)" is two answers. The
fields `options`, `kind`, `hops`, `passages` and `explanation` are optional; `chains` reads chains. A row without an id
gets a hash of its question as id, the same on every machine. For other column names, `fields` maps our name to theirs;
a dot reaches into an object and " + " joins the answers of several columns: `{"answers": "answer + aliases.text"}`.

One ConfigError reports all bad rows, each with its line, since a benchmark of which some rows are missing gives a wrong
number. A note on the terminal names each unused column that may hold gold answers.
Not here: file formats (`file_formats`), data sets on the Hub (`hub`).
"""

import difflib
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import fields as fields_of
from pathlib import Path
from typing import Literal

from rest_react.questions.chains import chain_of
from rest_react.questions.file_formats import read_rows
from rest_react.questions.question_settings import OpenedQuestions, QuestionContext, QuestionSettings
from rest_react.questions.row_values import (
    BadRow,
    Row,
    as_text,
    as_texts,
    first_value,
    make_records,
    raise_problems,
    value_at,
)
from rest_react.questions.sampling import in_part
from rest_react.records import LabelledQuestion, Question
from rest_react.setting_types import Count, Name, Share
from rest_react.terminal.console import say

FIELDS = ("id", "question", "answers", *(field.name for field in fields_of(LabelledQuestion)[2:-1]))
_VARIANT = re.compile(r"(?<=\S)\s*\(or\s+([^()]*[^()\s])\s*\)$")
_LIKE_ANSWERS = re.compile(r"answer|alias|gold|target", re.IGNORECASE)
_NO_ANSWERS = re.compile(r"answerable|type|start|span|_in_|num|count|normali[sz]ed|ids?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FileQuestions(QuestionSettings):
    """A file of questions."""

    kind: Literal["file"]
    path: Name  # JSONL, JSON, CSV, TSV, Parquet (docs/data_formats.md)
    corpus: str | None  # the file of its passages; may be the question file, where its rows hold their contexts
    fields: dict[str, str]  # our names of columns to the file's (docs/data_formats.md)
    sample: Count | None  # so many questions, drawn at random; null: all
    seed: int  # of the part and the sample
    # only the questions that a hash of their ids puts into this part of 0 to 1, for example [0, 0.25]; null: all
    part: tuple[Share, Share] | None

    def open(self, context: QuestionContext, *, labelled: bool) -> OpenedQuestions:
        return self._opened(context, read_questions(Path(self.path), self.fields or None, labelled=labelled))

    def open_with_chains(self, context: QuestionContext) -> OpenedQuestions:
        return self._opened(context, read_questions(Path(self.path), self.fields or None, chains=True))

    def _opened(self, context: QuestionContext, found: list[LabelledQuestion]) -> OpenedQuestions:
        passages = context.read_corpus(self.corpus) if self.corpus else None
        return OpenedQuestions(in_part(found, self.part, self.seed), passages, self.seed)

    def size(self, world: Mapping[str, int]) -> int:
        return len(in_part(read_questions(Path(self.path), self.fields or None, labelled=False), self.part, self.seed))

    def origin(self) -> str:
        return self.path

    def setting_of_passages(self, path: str) -> str | None:
        return f"{path}.corpus" if self.corpus is None else None

    def files(self) -> Iterator[tuple[str, str]]:
        yield "path", self.path
        if self.corpus is not None:
            yield "corpus", self.corpus


def read_questions(
    path: Path, fields: Mapping[str, str] | None = None, *, labelled: bool = True, chains: bool = False
) -> list[LabelledQuestion]:
    """The questions of a file, in its order.

    `fields` maps field names to the file's column names. With `labelled=False` (for Grow) a row needs no answer. With
    `chains=True` (for demonstrations) the chain of each row is read and checked, too. Raises ConfigError for an
    unreadable file, and with all bad rows and repeated ids.
    """
    problems: list[str] = []
    rows = read_rows(path, problems)
    questions = questions_from_rows(rows, str(path), fields or {}, labelled, problems, chains=chains)
    raise_problems(problems)
    return questions


def questions_from_rows(
    placed: Iterable[tuple[str, Row]],
    source: str,
    fields: Mapping[str, str],
    labelled: bool,
    problems: list[str],
    *,
    chains: bool = False,
) -> list[LabelledQuestion]:
    """The questions of rows with their places ("set.jsonl:3"), wherever the rows come from.

    Appends every problem to `problems`; `source` names the file or data set in messages.
    """
    problems += _problems_of_fields(fields)
    columns = columns_of(fields)
    required = {"question", "answers"} if labelled else {"question"}
    missing = {name for name in FIELDS if name in fields or name in required}
    columns_seen: dict[str, bool] = {}  # column name: whether some row has a text there
    asked: set[str] = set()
    duplicates = 0

    def make(row: Row) -> Iterator[LabelledQuestion]:
        nonlocal duplicates
        columns_seen.update((name, columns_seen.get(name) or _contains_text(content)) for name, content in row.items())
        missing.difference_update([name for name in missing if _has_value(row, columns[name])])
        question = _question(row, columns, labelled, chains)
        if not labelled and first_value(row, columns["id"]) is None and question.question.id in asked:
            duplicates += 1  # a forum may repeat a question; Grow uses it once
        else:
            asked.add(question.question.id)
            yield question

    bad: list[str] = []
    questions = make_records(placed, make, lambda item: item.question.id, bad)
    if not columns_seen:
        missing.clear()  # without any row, no column can be called missing
    problems += [
        f"fields.{name}: no row of {source} has a value in {' or '.join(columns[name])!r}; "
        f"set it to one of its columns: {', '.join(columns_seen)}"
        for name in sorted(missing)
    ]
    # One wrong column name is one problem, not one problem for each row.
    problems += [] if missing & required else bad
    if duplicates:
        say(f"note: {source}: {duplicates} rows repeat a question; each question is used once")
    unused = (
        possible_answer_columns([name for name, holds in columns_seen.items() if holds], columns) if labelled else []
    )
    if unused and not problems:
        joined = " + ".join([*(name for name in columns["answers"] if name.split(".")[0] in columns_seen), *unused])
        say(
            f"note: {source}: {' and '.join(unused)} may hold gold answers and {'are' if unused[1:] else 'is'} not "
            f"used; to use {'them' if unused[1:] else 'it'}, set fields.answers: {joined!r}"
        )
    return questions


def _problems_of_fields(fields: Mapping[str, str]) -> Iterator[str]:
    for name in fields:
        if name not in FIELDS:
            near = difflib.get_close_matches(name, FIELDS, n=1)
            advice = f"did you mean {near[0]}?" if near else f"known: {', '.join(FIELDS)}"
            yield f"fields.{name}: a question has no such field; {advice}"
        elif name != "answers" and " + " in fields[name]:
            yield f"fields.{name}: only answers may join columns; name one, or write the text into one column"


def columns_of(fields: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The columns to read for each field, in order of priority."""
    columns = {name: tuple(column.strip() for column in fields.get(name, name).split(" + ")) for name in FIELDS}
    return {"id": ("id", "_id"), "answers": ("answers", "answer")} | {
        name: columns[name] for name in FIELDS if name in fields or name not in ("id", "answers")
    }


def possible_answer_columns(names: Iterable[str], columns: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The columns that no field uses and whose names suggest gold answers."""
    used = {column.split(".")[0] for some in columns.values() for column in some}
    return [name for name in names if name not in used and _LIKE_ANSWERS.search(name) and not _NO_ANSWERS.search(name)]


def _has_value(row: Row, columns: tuple[str, ...]) -> bool:
    try:
        return first_value(row, columns) is not None
    except BadRow:
        return True


def _contains_text(content: object) -> bool:
    if isinstance(content, Mapping):
        return any(map(_contains_text, content.values()))
    if isinstance(content, list):
        return any(map(_contains_text, content))
    return isinstance(content, str) and bool(content.strip())


def _question(row: Row, columns: Mapping[str, tuple[str, ...]], labelled: bool, chains: bool) -> LabelledQuestion:
    values = {name: first_value(row, columns[name]) for name in FIELDS if name != "answers"}
    question_text = as_text(values["question"], columns["question"][0])
    try:
        content = [one for column in columns["answers"] for one in as_texts(value_at(row, column), "answers")]
    except BadRow:
        if labelled:
            raise
        content = []  # Grow needs no answers, and a forum's may have any form
    answers = tuple(dict.fromkeys(variant for one in content for variant in _VARIANT.split(one) if variant))
    if labelled and not answers:
        raise BadRow(f"no answer in {' or '.join(columns['answers'])!r}")
    if values["id"] is None:
        values["id"] = "q" + hashlib.sha256(" ".join(question_text.split()).encode()).hexdigest()[:12]
    return LabelledQuestion(
        question=Question(id=as_text(values["id"], "id"), text=question_text),
        answers=answers,
        options=as_texts(values["options"], "options"),
        kind="" if values["kind"] is None else as_text(values["kind"], "kind"),
        hops=_count(values["hops"], "hops"),
        passages=as_texts(values["passages"], "passages"),
        explanation="" if values["explanation"] is None else as_text(values["explanation"], "explanation"),
        chain=chain_of(row) if chains else (),
    )


def _count(content: object, name: str) -> int | None:
    """A whole number, or the number at the start of an id like MuSiQue's: `3hop1__9285_5188_23307`."""
    if content is None:
        return None
    match = re.fullmatch(r"(\d{1,6})(?:\.0|hop\w*)?", str(content).strip(), re.ASCII)
    if isinstance(content, bool) or not match:
        raise BadRow(f"{name!r} is {content!r}; it must be a whole number")
    return int(match[1])
