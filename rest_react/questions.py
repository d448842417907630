"""Question sets and passages from files and from the Hub: rows in, checked records out.

A question set is a JSONL, CSV or Parquet file with one question a row, for example

    {"id": "q1", "question": "Who wrote Middlemarch?", "answers": ["George Eliot", "Mary Ann Evans"]}

`answers` is a list or one text, and may be called `answer`; "Detroit Red Wings (or Red Wings)" is two. A CSV cell that
starts with `[` is read as a JSON list.
Optional: `options`, `kind`, `hops`, `passages`, `explanation`. A row without an id gets one made from its text, the
same on every machine. Files that name their columns otherwise are read with `fields`, from our name to theirs, dots
reaching into nested ones and answers of several columns joined: `{"answers": "answer + aliases.text"}`.

Every bad row is reported, all in one ConfigError, each with its line: a half-read benchmark would be a wrong number.
Not here: hiding labels from Grow is the caller's last step (`unlabelled`); the built-in world (`world`).
"""

import csv
import difflib
import hashlib
import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields as fields_of
from pathlib import Path
from typing import TypeAlias, TypeVar
from urllib.request import urlopen

from rest_react.errors import ConfigError, OutsideFault, UsageError, outside
from rest_react.files import draft_folder, flush, write_file
from rest_react.records import LabelledQuestion, Passage, Question, derive_seed

Row: TypeAlias = Mapping[str, object]
Record = TypeVar("Record", LabelledQuestion, Passage)

FIELDS = ("id", "question", "answers", *(field.name for field in fields_of(LabelledQuestion)[2:]))
_MOST_TOLD = 100
_NEAR = 0.5
_VARIANT = re.compile(r"(?<=\S)\s*\(or\s+([^()]*[^()\s])\s*\)$")


class _BadRow(ValueError):
    """Carries what is wrong with one row; never leaves this module."""


def read_questions(
    path: Path, fields: Mapping[str, str] | None = None, *, labelled: bool = True
) -> list[LabelledQuestion]:
    """The questions of a `.jsonl`, `.csv` or `.parquet` file, in its order. With `labelled=False` (enough for Grow) a
    row may lack an answer. Raises ConfigError for a file that cannot be read, all bad rows and repeated ids."""
    problems: list[str] = []
    questions = _read_questions(_rows(path, problems), str(path), fields or {}, labelled, problems)
    return _checked(questions, problems)


def read_corpus(path: Path) -> list[Passage]:
    """The passages of a file with `id`, `text` and, where there is one, `title`. Raises ConfigError like
    `read_questions`."""
    problems: list[str] = []
    return _checked(_collect(_rows(path, problems), _passage, lambda item: item.id, problems), problems)


def read_hub(
    name: str,
    config: str | None,
    split: str,
    revision: str,
    fields: Mapping[str, str] | None = None,
    *,
    labelled: bool = True,
) -> list[LabelledQuestion]:
    """One split of a data set on the Hub at `revision` (a commit's hash; a branch moves), of a local folder laid out as
    a data set, or the one file at a URL. The download is kept in the cache of `datasets`. Raises UsageError rather than
    take another revision for a pinned one."""
    import datasets

    if "://" in name:
        return read_questions(
            _fetched(name, Path(datasets.config.HF_DATASETS_CACHE) / "files"), fields, labelled=labelled
        )
    fields = fields or {}
    try:
        with outside(f"data set {name}"):
            data = datasets.load_dataset(name, config, split=split, revision=revision)
    except OutsideFault as fault:
        raise _unloaded(fault, name) from fault
    _refuse_another_revision(name, revision, [Path(file["filename"]) for file in data.cache_files])
    wanted = {column for names in _columns(fields).values() for column in names}
    # Left unread: HotpotQA's passages, for one, are a hundred times its questions.
    kept = [top for top in data.column_names if any(f"{column}.".startswith(f"{top}.") for column in wanted)]
    rows = (
        (f"{name} {split}[{number}]", row) for number, row in enumerate(data.select_columns(kept) if kept else data)
    )
    problems = [] if len(data) else [f"{name}: no rows in {split}; name another split"]
    return _checked(_read_questions(rows, name, fields, labelled, problems), problems)


def sample(questions: Sequence[LabelledQuestion], n: int, seed: int) -> list[LabelledQuestion]:
    """n of the questions, shuffled; which ones and in what order follows from their ids and `seed` alone."""
    if n > len(questions):
        raise ConfigError([f"sample: {n} questions asked for, there are only {len(questions)}; ask for at most that"])
    return sorted(questions, key=lambda item: (derive_seed("sample", seed, item.question.id), item.question.id))[:n]


def unlabelled(questions: Iterable[LabelledQuestion]) -> list[Question]:
    """The questions as Grow may see them."""
    return [item.question for item in questions]


def overlap(grow: Sequence[Question], benchmark: Sequence[Question]) -> list[tuple[Question, Question]]:
    """Pairs of questions of both sets that are the same, whatever their case, accents, punctuation and spacing, or
    nearly so: half of all their trigrams of words are shared, or one word and an article put in make one the other; and
    each holds the other's names and numbers."""
    held = [_Words(question.text) for question in benchmark]
    where: dict[tuple[str, ...], list[int]] = {}
    for number, other in enumerate(held):
        for trigram in other.trigrams:
            where.setdefault(trigram, []).append(number)
    pairs = []
    for question in grow:
        own = _Words(question.text)
        shared = Counter(number for trigram in own.trigrams for number in where.get(trigram, ()))
        for number, count in sorted(shared.items()):
            other = held[number]
            near = count / (own.size + other.size - count) >= _NEAR
            # What is put in at one place breaks two trigrams of the shorter text.
            near = near or (count + 2 >= min(own.size, other.size) and abs(own.length - other.length) <= 1)
            if near and own.names <= other.words and other.names <= own.words:
                pairs.append((question, benchmark[number]))
    return pairs


class _Words:
    """A question's words, case and accents aside. `names` have a capital or a digit, the first word aside: questions
    from one template differ in nothing else. In `trigrams` the ends are padded, so that each word is in three."""

    def __init__(self, text: str) -> None:
        bare = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
        written = re.findall(r"\w+", bare)
        words = [word.casefold() for word in written]
        padded = ["", "", *words, "", ""]
        self.words = set(words)
        self.names = {w.casefold() for w in written[1:] if w != w.lower() or any(map(str.isdigit, w))}
        self.trigrams = {tuple(padded[i : i + 3]) for i in range(len(padded) - 2)}
        self.size = len(self.trigrams)
        self.length = sum(word not in ("a", "an", "the") for word in words)


def _fetched(url: str, folder: Path) -> Path:
    """The file at a URL, fetched once."""
    path = folder / hashlib.sha256(url.encode()).hexdigest()[:16] / url.rpartition("/")[2]
    if not path.exists():
        with outside(f"question set {url}"), urlopen(url, timeout=60) as reply:
            content = reply.read()
        with draft_folder(path.parent, ".fetched-") as draft:
            write_file(draft / path.name, content)
            (draft / path.name).replace(path)
        flush(path.parent)
    return path


def _refuse_another_revision(name: str, revision: str, files: Sequence[Path]) -> None:
    """Without a network `datasets` takes whatever revision it has; its files lie in a folder named by the commit."""
    pinned = re.fullmatch("[0-9a-f]{40}", revision) and not Path(name).is_dir()
    if pinned and not all(revision in file.parts for file in files):
        raise UsageError(
            f"data set {name}: {files[0].parent} holds another revision than {revision}; "
            "load it once where there is a network, or set the revision to the one that is there"
        )


def _unloaded(fault: OutsideFault, name: str) -> OutsideFault | UsageError:
    """The same failure with a way out; what a changed command would cure is a UsageError."""
    own = "or use a file of your own (configs/questions/file.yaml)"
    if isinstance(fault.__cause__, (FileNotFoundError, ValueError)):
        return UsageError(
            f"{fault}; check name, config, split and revision on https://huggingface.co/datasets/{name} "
            f"(a private or gated set needs HF_TOKEN), {own}"
        )
    return OutsideFault(f"{fault}; run it once where there is a network and bring the folder HF_HOME along, {own}")


def _checked(records: list[Record], problems: Sequence[str]) -> list[Record]:
    if not problems:
        return records
    told = list(problems[:_MOST_TOLD])
    if len(problems) > _MOST_TOLD:
        told.append(f"... and {len(problems) - _MOST_TOLD} more")
    raise ConfigError(told)


def _rows(path: Path, problems: list[str]) -> Iterator[tuple[str, Row]]:
    """Each row with its place; what cannot be read goes to `problems`."""
    match path.suffix.lower():
        case ".jsonl":
            read = _jsonl
        case ".csv":
            read = _csv
        case ".parquet":
            read = _parquet
        case suffix:
            problems.append(f"{path}: a {suffix or 'nameless'} file cannot be read; give .jsonl, .csv or .parquet")
            return
    before, some = len(problems), False
    try:
        for placed in read(path, problems):
            some = True
            yield placed
        if not some and len(problems) == before:
            problems.append(f"{path}: no rows at all; is it the right file?")
    except OSError as error:
        problems.append(f"{path}: {error.strerror or error}; check the path")


def _jsonl(path: Path, problems: list[str]) -> Iterator[tuple[str, Row]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8-sig"))
            except (ValueError, RecursionError) as error:
                problems.append(f"{path}:{number}: no JSON ({error})")
                continue
            if isinstance(row, dict):
                yield f"{path}:{number}", row
            else:
                problems.append(f"{path}:{number}: no JSON object")


def _csv(path: Path, problems: list[str]) -> Iterator[tuple[str, Row]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            for row in reader:
                where = f"{path}:{reader.line_num}"
                if None in row:
                    problems.append(f"{where}: more cells than the header has columns; quote cells that hold commas")
                else:
                    yield where, {column: _cell(cell) for column, cell in row.items()}
        except (csv.Error, UnicodeDecodeError) as error:
            problems.append(f"{path}:{reader.line_num + 1}: no CSV in UTF-8 ({error}); the rest was not read")


def _cell(cell: str | None) -> object:
    if cell is None or not cell.lstrip().startswith("["):
        return cell
    try:
        return json.loads(cell)
    except ValueError:
        return cell  # a text that happens to start with a bracket


def _parquet(path: Path, problems: list[str]) -> Iterator[tuple[str, Row]]:
    import pyarrow
    import pyarrow.parquet

    try:
        rows = pyarrow.parquet.read_table(path).to_pylist()
    except pyarrow.ArrowInvalid as error:
        problems.append(f"{path}: no Parquet file ({error})")
        return
    for number, row in enumerate(rows, start=1):
        yield f"{path} row {number}", row


def _read_questions(
    rows: Iterable[tuple[str, Row]], source: str, fields: Mapping[str, str], labelled: bool, problems: list[str]
) -> list[LabelledQuestion]:
    for name in fields:
        if name not in FIELDS:
            near = difflib.get_close_matches(name, FIELDS, n=1)
            way_out = f"did you mean {near[0]}?" if near else f"known: {', '.join(FIELDS)}"
            problems.append(f"fields.{name}: no field of a question; {way_out}")
    columns = _columns(fields)
    required = {"question", "answers"} if labelled else {"question"}
    unseen = {name for name in FIELDS if name in fields or name in required}
    present: dict[str, None] = {}

    asked: set[str] = set()

    def make(row: Row) -> LabelledQuestion | None:
        present.update(dict.fromkeys(row))
        unseen.difference_update([name for name in unseen if _first(row, columns[name]) is not None])
        question = _question(row, columns, labelled)
        if not labelled and _first(row, columns["id"]) is None and question.question.id in asked:
            return None  # a forum asks many a question twice; Grow asks it once
        asked.add(question.question.id)
        return question

    bad: list[str] = []
    questions = _collect(rows, make, lambda item: item.question.id, bad)
    if not present:
        unseen.clear()  # without a single row there are no columns to speak of
    problems += [
        f"fields.{name}: {source} has nothing under {' or '.join(columns[name])!r} in any row; "
        f"set it to the right one of its columns: {', '.join(present)}"
        for name in sorted(unseen)
    ]
    # One wrong name is one problem, not one for each row.
    problems += [] if unseen & required else bad
    return questions


def _columns(fields: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Under which columns to look for each field, in order."""
    columns = {name: tuple(column.strip() for column in fields.get(name, name).split(" + ")) for name in FIELDS}
    return columns if "answers" in fields else {**columns, "answers": ("answers", "answer")}


def _collect(
    rows: Iterable[tuple[str, Row]],
    make: Callable[[Row], Record | None],
    id_of: Callable[[Record], str],
    problems: list[str],
) -> list[Record]:
    records = []
    places: dict[str, str] = {}
    for where, row in rows:
        try:
            record = make(row)
        except _BadRow as error:
            problems.append(f"{where}: {error}")
            continue
        if record is None:
            continue
        first = places.setdefault(id_of(record), where)
        if first != where:
            problems.append(f"{where}: id {id_of(record)!r} is already that of {first}; ids must be unique")
        records.append(record)
    return records


def _question(row: Row, columns: Mapping[str, tuple[str, ...]], labelled: bool) -> LabelledQuestion:
    values = {name: _first(row, columns[name]) for name in FIELDS}
    text = _text(values["question"], columns["question"][0])
    found = [text for column in columns["answers"] for text in _texts(_value(row, column), "answers")]
    answers = tuple(dict.fromkeys(variant for text in found for variant in _VARIANT.split(text) if variant))
    if labelled and not answers:
        raise _BadRow(f"no answer under {' or '.join(columns['answers'])!r}")
    if values["id"] is None:
        values["id"] = "q" + hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:12]
    return LabelledQuestion(
        question=Question(id=_text(values["id"], "id"), text=text),
        answers=answers,
        options=_texts(values["options"], "options"),
        kind=_text(values["kind"] or "", "kind"),
        hops=_count(values["hops"], "hops"),
        passages=_texts(values["passages"], "passages"),
        explanation=_text(values["explanation"] or "", "explanation"),
    )


def _passage(row: Row) -> Passage:
    id_, title, text = (_value(row, name) for name in ("id", "title", "text"))
    return Passage(id=_text(id_, "id"), title=_text(title or "", "title"), text=_text(text, "text"))


def _first(row: Row, columns: tuple[str, ...]) -> object:
    return next((value for column in columns if (value := _value(row, column)) is not None), None)


def _value(row: Row, column: str) -> object:
    """What a row holds under a column's name, or under a path into nested ones. Blank, NaN and missing are None."""
    value: object = row
    for part in [column] if column in row else column.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    blank = not value.strip() if isinstance(value, str) else isinstance(value, float) and math.isnan(value)
    return None if blank else value


def _text(value: object, name: str) -> str:
    if value is None:
        raise _BadRow(f"nothing under {name!r}")
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise _BadRow(f"{name!r} holds a {type(value).__name__}, no text")
    text = str(value).strip()
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise _BadRow(f"{name!r} holds half a character (a lone surrogate)")
    return text


def _texts(value: object, name: str) -> tuple[str, ...]:
    """One text or a list of them, each once; true and false are how yes/no questions are answered."""
    values = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    spelt = [{True: "yes", False: "no"}[item] if isinstance(item, bool) else item for item in values]
    return tuple(dict.fromkeys(text for item in spelt if item is not None and (text := _text(item, name))))


def _count(value: object, name: str) -> int | None:
    """A whole number, or that of an id that begins with it, as MuSiQue's do: `3hop1__9285_5188_23307`."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d{1,6})(?:\.0|hop\w*)?", str(value).strip(), re.ASCII)
    if isinstance(value, bool) or not match:
        raise _BadRow(f"{name!r} holds {value!r}, no count")
    return int(match[1])
