"""The passages of a closed corpus.

    read_corpus(Path("corpus.jsonl"))          # {"id": "p1", "title": "Middlemarch", "text": "A novel by ..."}
    read_corpus(Path("psgs_w100.tsv"))         # DPR's: id, text, title
    read_corpus(Path("hotpot_dev_distractor_v1.json"))     # the contexts of the questions, each passage once

`contents`, as Pyserini and FlashRAG have it, is the title on the first line and the text below.
Not here: searching them (`search.bm25`).
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rest_react.questions.file_formats import rows
from rest_react.questions.row_values import BadRow, Row, checked, collect, first, text
from rest_react.records import Passage

_IDS = ("id", "_id", "docid", "doc_id", "pid")
_TEXTS = ("text", "contents", "passage", "paragraph_text")
_CONTEXTS = ("context", "contexts", "paragraphs")


def read_corpus(path: Path) -> list[Passage]:
    """The passages of a file. Raises ConfigError like `read_questions`."""
    problems: list[str] = []
    seen: set[str] = set()

    def make(row: Row) -> Iterator[Passage]:
        if first(row, _TEXTS) is not None or not isinstance(context := first(row, _CONTEXTS), (Mapping, Sequence)):
            yield _passage(row)
            return
        for passage in _of_context(context):
            if passage.id not in seen:  # questions share passages
                seen.add(passage.id)
                yield passage

    return checked(collect(rows(path, problems), make, lambda item: item.id, problems), problems)


def _passage(row: Row) -> Passage:
    id_, title, body = first(row, _IDS), first(row, ("title",)), first(row, _TEXTS)
    if body is not None and title is None and first(row, ("text",)) is None and first(row, ("contents",)) is not None:
        heading, _, rest = text(body, "contents").partition("\n")
        title, body = (heading.strip().strip('"'), rest) if rest.strip() else (None, body)
    if body is None and title is not None and any(name in row for name in _TEXTS):
        body = ""  # a stub: it can still be found by its title
    return Passage(
        id=text(id_, "id"),
        title="" if title is None else text(title, "title"),
        text=body if body == "" else text(body, "text"),
    )


def _of_context(context: object) -> Iterator[Passage]:
    """HotpotQA's [title, sentences] pairs, the Hub's two columns of them, and MuSiQue's paragraphs."""
    if isinstance(context, Mapping):
        titles, sentences = context.get("title"), context.get("sentences", context.get("content"))
        if not isinstance(titles, Sequence) or not isinstance(sentences, Sequence) or len(titles) != len(sentences):
            raise BadRow("'context' holds no titles with as many lists of sentences")
        context = list(zip(titles, sentences, strict=True))
    if isinstance(context, str) or not isinstance(context, Sequence):
        raise BadRow("'context' holds no list of passages")
    for one in context:
        if isinstance(one, Mapping):
            title, body = one.get("title"), first(one, _TEXTS)
        elif isinstance(one, Sequence) and not isinstance(one, str) and len(one) == 2:
            title, body = one
        else:
            raise BadRow("'context' holds what is no pair of a title and its sentences")
        yield _named(text(title, "title"), _joined(body))


def _joined(sentences: object) -> str:
    """Sentences as one text; those that do not begin with a space get one."""
    if isinstance(sentences, str) or not isinstance(sentences, Sequence):
        return text(sentences, "text")
    return " ".join(text(sentence, "text") for sentence in sentences if str(sentence).strip())


def _named(title: str, body: str) -> Passage:
    """A passage of a context has no id; one is made from what it says, the same on every machine."""
    return Passage("p" + hashlib.sha256(f"{title}\n{body}".encode()).hexdigest()[:12], title, body)
