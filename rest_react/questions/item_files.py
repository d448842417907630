"""Reads items from files: a text and its gold answer, for tasks of one call (tasks.completion).

    read_items(Path("complaints.csv"), {"text": "narrative", "label": "product"})
    read_items(Path("alpaca.json"))         # {"instruction": "Classify.", "input": "The card ...", "output": "Cards"}
    read_items(Path("chat.jsonl"))          # {"messages": [{"role": "user", ...}, {"role": "assistant", ...}]}

The columns of a row say which of the three forms it has. Where `fields` names a column as the text and the row has it,
the row has the first form. A row without an id gets a hash of its text as id.
A text that is in the file twice is used once, with a note; with two answers it is refused. One ConfigError reports all
bad rows.
Not here: file formats (`file_formats`), which rows are drawn (`item_draws`), questions and their many forms of answers
(`labelled_questions`).
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from rest_react.errors import ConfigError
from rest_react.questions.file_formats import read_rows
from rest_react.questions.item_draws import are_labels, draw_items, unbalanced
from rest_react.questions.question_settings import OpenedQuestions, QuestionContext, QuestionSettings
from rest_react.questions.row_values import BadRow, Row, as_text, is_list, make_records, raise_problems, value_at
from rest_react.questions.sampling import without_learnt
from rest_react.records import LabelledQuestion, Question
from rest_react.setting_types import Count, Name, NotNegative
from rest_react.terminal.console import say

FIELDS = ("id", "text", "label", "split", "instruction", "input", "output", "messages")
INSTRUCTED = "instructed:"  # stands before the id of an item that says itself what to answer
SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".jsonl.gz", ".json.gz", ".csv.gz", ".tsv.gz", ".ndjson")


@dataclass(frozen=True, slots=True)
class ItemQuestions(QuestionSettings):
    """A file of texts with one gold answer each: columns `text` and `label`, Alpaca's, or chat messages."""

    sample: ClassVar[None] = None  # `n` and `draw` say which rows are used

    kind: Literal["items"]
    path: Name  # JSONL, JSON, CSV, TSV, Parquet; or a folder with a file for each split, such as train.jsonl
    fields: dict[str, str]  # our names of columns to the file's (docs/data_formats.md)
    split: str | None  # the rows with this value in the column `split`, or the file of this name; null: all rows
    skip: NotNegative  # rows to leave out at the start of the draw, for example those that another set uses
    n: Count | None  # so many rows; null: all
    # first: rows in the file's order; stratified: every label in the same share; random: neither
    draw: Literal["first", "stratified", "random"]
    seed: int  # of the draw
    # a benchmark of another task than the trained one, to see what training forgets: each text says what to answer, and
    # is asked with the same instructions before and after
    instructed: bool

    def open(self, context: QuestionContext, *, labelled: bool) -> OpenedQuestions:
        """Reads the rows and draws from them. With `labelled=False` no answer leaves the reader."""
        if self.draw == "stratified" and not labelled:
            raise ConfigError([f"{self.path}: draw=stratified uses the labels of unlabelled rows; set draw=random"])
        found = read_items(self.file(), self.fields, self.column_value(), labelled=labelled)
        if self.skip + (self.n or int(labelled)) > len(found):
            raise ConfigError([self._too_few(len(found))])
        behind = draw_items(found, self.draw, self.seed)[self.skip :]
        drawn = without_learnt(behind, context.learnt, self.n, str(self.file()))
        if labelled and self.n is not None and self.draw == "first" and (shares := unbalanced(drawn)):
            say(f"note: {self.path}: the first rows are not balanced ({shares}); draw=stratified draws balanced ones")
        return OpenedQuestions(_instructed(drawn) if self.instructed else drawn, None, self.seed)

    def _too_few(self, rows: int) -> str:
        """The message for fewer rows than `skip` and `n` need."""
        split = self.column_value()
        told = f"{self.file()}: has {rows} rows{'' if split is None else f' of the split {split!r}'}"
        if self.n is None or rows <= self.skip:
            return f"{told}, of which skip={self.skip} leaves none; lower skip of the question set"
        needed = f"skip={self.skip} and n={self.n} need {self.skip + self.n}"
        return f"{told}, but {needed}; set n of the question set to {rows - self.skip} or less"

    def open_with_chains(self, context: QuestionContext) -> OpenedQuestions:
        """Labelled rows for demonstrations."""
        if self.instructed:
            raise ConfigError(["demonstrations.questions.instructed: is for benchmarks; set it to false"])
        return self.open(context, labelled=True)

    def file(self) -> Path:
        """The file: `path`, or the file of the split in this folder."""
        path = Path(self.path)
        if not path.is_dir():
            return path
        names = [f"{self.split or 'train'}{suffix}" for suffix in SUFFIXES]
        return next((path / name for name in names if (path / name).is_file()), path / names[0])

    def column_value(self) -> str | None:
        """The value in the column `split`; None where the split is a file of its own."""
        return None if Path(self.path).is_dir() else self.split

    def size(self, world: Mapping[str, int]) -> int:
        every = len(read_items(self.file(), self.fields, self.column_value(), labelled=False)) - self.skip
        return every if self.n is None else min(self.n, every)

    def origin(self) -> str:
        return self.path

    def setting_of_passages(self, path: str) -> str | None:
        return "search.corpus"

    def files(self) -> Iterator[tuple[str, str]]:
        yield "path", str(self.file())


def read_items(
    path: Path, fields: Mapping[str, str] | None = None, split: str | None = None, *, labelled: bool = True
) -> list[LabelledQuestion]:
    """The items of a file, in its order; with `labelled=False` without their answers. `fields` maps our names of
    columns to the file's; " + " joins columns of the text. Raises ConfigError with all bad rows."""
    fields = fields or {}
    problems = [f"fields.{name}: known are {', '.join(FIELDS)}" for name in fields if name not in FIELDS]
    columns = {name: fields.get(name, name) for name in FIELDS}
    seen: dict[str, tuple[str, ...]] = {}
    repeats = 0

    def make(row: Row) -> Iterator[LabelledQuestion]:
        nonlocal repeats
        if split is not None and as_text(value_at(row, columns["split"]), columns["split"]) != split:
            return
        item = _item(row, columns, labelled, text_named="text" in fields)
        if item.question.id.startswith(INSTRUCTED):
            raise BadRow(f"the id {item.question.id!r} begins with {INSTRUCTED!r}, which has a meaning here; rename it")
        text = item.question.text
        if text in seen:
            repeats += 1
            if seen[text] != item.answers:
                raise BadRow(f"the text has the label {item.answers[0]!r} here and {seen[text][0]!r} above; keep one")
            return
        seen[text] = item.answers
        yield item

    items = make_records(read_rows(path, problems), make, lambda item: item.question.id, problems)
    if split is not None and not items and not problems:
        problems.append(f"{path}: no row has {split!r} in the column {columns['split']!r}; set another split")
    raise_problems(problems)
    if repeats:
        say(f"note: {path}: {repeats} rows repeat a text; each text is used once")
    return items if labelled else [replace(item, answers=()) for item in items]


def _instructed(items: Sequence[LabelledQuestion]) -> list[LabelledQuestion]:
    """The items, marked in their ids, each with the answers of the whole set as its options if these are labels."""
    options = tuple(sorted({gold for item in items for gold in item.answers})) if are_labels(items) else ()
    return [
        replace(item, question=replace(item.question, id=INSTRUCTED + item.question.id), options=options)
        for item in items
    ]


def _item(row: Row, columns: Mapping[str, str], labelled: bool, *, text_named: bool) -> LabelledQuestion:
    def gold(content: object, name: str) -> tuple[str, ...]:
        return (as_text(content, name),) if labelled else ()

    names = [name.strip() for name in columns["text"].split(" + ")]
    parts = [as_text(content, name) for name in names if (content := value_at(row, name)) is not None]
    is_plain = text_named and bool(parts)
    if not is_plain and (messages := value_at(row, columns["messages"])) is not None:
        text, answer = _conversation(messages, labelled)
        answers = gold(answer, "messages")
    elif not is_plain and (instruction := value_at(row, columns["instruction"])) is not None:
        given = value_at(row, columns["input"])
        text = as_text(instruction, columns["instruction"])
        text += "" if given is None else f"\n\n{as_text(given, columns['input'])}"
        answers = gold(value_at(row, columns["output"]), columns["output"])
    else:
        text = "\n\n".join(parts) or as_text(None, columns["text"])
        answers = gold(value_at(row, columns["label"]), columns["label"])
    id_ = value_at(row, columns["id"])
    named = as_text(id_, columns["id"]) if id_ is not None else f"i{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    return LabelledQuestion(Question(named, text), answers)


def _conversation(messages: object, labelled: bool) -> tuple[str, object]:
    """The turns before the assistant's last one as a text, and that turn. Several turns of users have their roles."""
    if not is_list(messages) or not messages:
        raise BadRow("'messages' must be a list of objects with role and content")
    turns = [_turn(message) for message in messages]
    answer: object = None
    if turns[-1][0] == "assistant":
        answer = turns.pop()[1]
    elif labelled:
        raise BadRow("'messages' does not end with a turn of the assistant, which is the answer")
    if not any(role == "user" for role, _ in turns):
        raise BadRow("'messages' has no turn of a user")
    several = sum(role != "system" for role, _ in turns) > 1
    shown = [f"{role}: {text}" if several and role != "system" else text for role, text in turns]
    return "\n\n".join(shown), answer


def _turn(message: object) -> tuple[str, str]:
    if not isinstance(message, Mapping) or message.get("role") not in ("system", "developer", "user", "assistant"):
        raise BadRow("'messages' has a turn without a role (system, user or assistant)")
    content: Any = message.get("content")
    if is_list(content):
        parts = [part.get("text") for part in content if isinstance(part, Mapping) and part.get("type") == "text"]
        texts = [part for part in parts if isinstance(part, str)]
        if len(texts) < len(content):
            raise BadRow("'messages' has content that is not text")
        content = "\n".join(texts)
    return "system" if message["role"] == "developer" else str(message["role"]), as_text(content, "messages")
