"""Reads the passages of a closed corpus from a file.

    read_corpus(Path("corpus.jsonl"))          # {"id": "p1", "title": "Middlemarch", "text": "A novel by ..."}
    read_corpus(Path("psgs_w100.tsv"))         # DPR's: id, text, title
    read_corpus(Path("hotpot_dev_distractor_v1.json"))     # the contexts of the questions, each passage once

`contents`, the column of Pyserini and FlashRAG, has the title on its first line and the text below.
Not here: searching the passages (`search.bm25`).
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rest_react.questions.file_formats import read_rows
from rest_react.questions.row_values import BadRow, Row, as_text, first_value, is_list, make_records, raise_problems
from rest_react.records import Passage

_IDS = ("id", "_id", "docid", "doc_id", "pid")
_TEXTS = ("text", "contents", "passage", "paragraph_text")
_CONTEXTS = ("context", "contexts", "paragraphs")


def read_corpus(path: Path) -> list[Passage]:
    """The passages of a file, in its order. Raises ConfigError with all bad rows, like `read_questions`."""
    problems: list[str] = []
    seen: set[str] = set()

    def make(row: Row) -> Iterator[Passage]:
        if first_value(row, _TEXTS) is not None or not isinstance(
            context := first_value(row, _CONTEXTS), (Mapping, Sequence)
        ):
            yield _passage(row)
            return
        for passage in _passages_of_context(context):
            if passage.id not in seen:  # questions share passages
                seen.add(passage.id)
                yield passage

    passages = make_records(read_rows(path, problems), make, lambda item: item.id, problems)
    raise_problems(problems)
    return passages


def _passage(row: Row) -> Passage:
    id_, title, body = first_value(row, _IDS), first_value(row, ("title",)), first_value(row, _TEXTS)
    if (
        body is not None
        and title is None
        and first_value(row, ("text",)) is None
        and first_value(row, ("contents",)) is not None
    ):
        heading, _, rest = as_text(body, "contents").partition("\n")
        title, body = (heading.strip().strip('"'), rest) if rest.strip() else (None, body)
    if body is None and title is not None and any(name in row for name in _TEXTS):
        body = ""  # a stub: search can still find it by its title
    return Passage(
        id=as_text(id_, "id"),
        title="" if title is None else as_text(title, "title"),
        text=body if body == "" else as_text(body, "text"),
    )


def _passages_of_context(context: object) -> Iterator[Passage]:
    """The passages of HotpotQA's [title, sentences] pairs, of the Hub's two columns, or of MuSiQue's paragraphs.

    Raises BadRow for any other shape.
    """
    if isinstance(context, Mapping):
        titles, sentences = context.get("title"), context.get("sentences", context.get("content"))
        if not is_list(titles) or not is_list(sentences) or len(titles) != len(sentences):
            raise BadRow("'context' must have a list of titles and a list of sentences for each title")
        context = list(zip(titles, sentences, strict=True))
    if not is_list(context):
        raise BadRow("'context' must be a list of passages")
    for item in context:
        if isinstance(item, Mapping):
            title, body = item.get("title"), first_value(item, _TEXTS)
        elif is_list(item) and len(item) == 2:
            title, body = item
        else:
            raise BadRow("'context' has an item that is not a pair of a title and its sentences")
        yield _passage_with_made_id(as_text(title, "title"), _join_sentences(body))


def _join_sentences(sentences: object) -> str:
    """The sentences as one text, separated by single spaces."""
    if not is_list(sentences):
        return as_text(sentences, "text")
    return " ".join(as_text(sentence, "text") for sentence in sentences if str(sentence).strip())


def _passage_with_made_id(title: str, body: str) -> Passage:
    """A passage of a context has no id; its id is a hash of its title and text, the same on every machine."""
    return Passage("p" + hashlib.sha256(f"{title}\n{body}".encode()).hexdigest()[:12], title, body)
