"""Reads the chain of a question: the lookups that lead to its answer, for demonstrations on a user's own data.

    >>> row = {"evidence": [["Emma", "author", "Jane Austen"]], "evidence_ids": ["p7"]}
    >>> chain_of(row)
    (Lookup(subject='Emma', relation='author', value='Jane Austen', passage='p7', title='Emma'),)

Two forms: triples as in 2WikiMultihopQA (`evidence` or `evidences`, with `evidence_ids`), and a decomposition as in
MuSiQue (`decomposition` or `question_decomposition`, with `supporting_ids`), in whose questions #1 stands for the first
answer. A malformed chain raises BadRow.
Not here: whether a search finds the passages, and what the expert says (tasks.search_qa.scripted.chain_plans).
"""

import re
from collections.abc import Mapping, Sequence

from rest_react.questions.row_values import BadRow, Row, as_text, as_texts, first_value, is_list, value_at
from rest_react.records import Lookup

_TRIPLES, _DECOMPOSITIONS = ("evidence", "evidences"), ("decomposition", "question_decomposition")
_REFERENCE = re.compile(r"#(\d+)")


def chain_of(row: Row) -> tuple[Lookup, ...]:
    """The chain of a row; empty if it has none."""
    triples, steps = (_items(row, names) for names in (_TRIPLES, _DECOMPOSITIONS))
    if triples and steps:
        raise BadRow(f"has both {_TRIPLES[0]!r} and {_DECOMPOSITIONS[0]!r}; leave one of them out")
    if triples:
        return _with_ids([_triple(item, n) for n, item in enumerate(triples, 1)], row, "evidence_ids")
    found: list[Lookup] = []
    for number, item in enumerate(steps, 1):
        found.append(_step(item, number, [lookup.value for lookup in found], row))
    return _with_ids(found, row, "supporting_ids")


def _items(row: Row, names: Sequence[str]) -> Sequence[object]:
    content = first_value(row, names)
    if content is None:
        return ()
    if not is_list(content):
        raise BadRow(f"{names[0]!r} must be a list, not a {type(content).__name__}")
    return content


def _triple(item: object, number: int) -> Lookup:
    if not is_list(item) or len(item) != 3:
        raise BadRow(f"item {number} of 'evidence' is {item!r:.80}; write [subject, relation, value]")
    subject, relation, value = (_text(part, f"item {number} of evidence") for part in item)
    return Lookup(subject, relation, value, title=subject)


def _step(item: object, number: int, before: Sequence[str], row: Row) -> Lookup:
    name = f"item {number} of decomposition"
    if not isinstance(item, Mapping):
        raise BadRow(f"{name} is {item!r:.80}; write an object with question and answer")
    question, answer = (_text(item.get(part), f"{part} of {name}") for part in ("question", "answer"))
    unknown = [n for n in _REFERENCE.findall(question) if len(n) > 4 or not 0 < int(n) <= len(before)]
    if unknown:
        raise BadRow(f"{name} refers to #{unknown[0]:.20}; it may refer only to items before it, the first is #1")
    asked = _REFERENCE.sub(lambda match: before[int(match[1]) - 1], question)
    subject, relation = (part.strip() for part in asked.rpartition(">>")[::2])  # "Emma >> author"
    title = item.get("support_title")
    if title is None and item.get("paragraph_support_idx") is not None:
        title = _title_of_paragraph(item["paragraph_support_idx"], row, name)
    return Lookup(subject, relation, answer, title="" if title is None else as_text(title, f"support_title of {name}"))


def _text(content: object, name: str) -> str:
    if content is None or not (text := as_text(content, name)):
        raise BadRow(f"{name!r} is missing or empty; give it a text")
    return text


def _title_of_paragraph(index: object, row: Row, name: str) -> object:
    """The title of the row's paragraph with this `idx`, as MuSiQue names a passage."""
    paragraphs = value_at(row, "paragraphs")
    for place, paragraph in enumerate(paragraphs if is_list(paragraphs) else ()):
        if isinstance(paragraph, Mapping) and paragraph.get("idx", place) == index:
            return paragraph.get("title")
    raise BadRow(f"{name} names paragraph {index!r}, which 'paragraphs' does not have; correct paragraph_support_idx")


def _with_ids(chain: Sequence[Lookup], row: Row, column: str) -> tuple[Lookup, ...]:
    """The chain with the ids of its passages, if the row has one for each lookup. Some publishers leave out ids."""
    ids = _ids(value_at(row, column), column)
    if len(ids) > len(chain):
        raise BadRow(f"{column!r} has {len(ids)} passages for {len(chain)} lookups; give one for each, in their order")
    if len(ids) < len(chain):
        return tuple(chain)
    return tuple(
        Lookup(one.subject, one.relation, one.value, id_, one.title) for one, id_ in zip(chain, ids, strict=True)
    )


def _ids(content: object, name: str) -> Sequence[str]:
    """The texts of a list, with repetitions: two lookups may be in one passage."""
    if content is None:
        return ()
    if not is_list(content):
        return as_texts(content, name)
    return [as_text(item, name) for item in content]
