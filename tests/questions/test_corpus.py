import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from rest_react.errors import ConfigError
from rest_react.questions import read_corpus
from rest_react.records import Passage
from tests.questions.sets import write_jsonl


def test_a_corpus_gives_its_passages_or_all_its_problems_at_once(tmp_path: Path) -> None:
    path = write_jsonl(
        tmp_path / "corpus.jsonl", {"id": 1, "title": "Nile", "text": "A river."}, {"id": "p2", "text": "Rhine."}
    )
    assert read_corpus(path) == [
        Passage(id="1", title="Nile", text="A river."),
        Passage(id="p2", title="", text="Rhine."),
    ]
    write_jsonl(path, {"id": "p1", "text": "A"}, {"id": "p1", "text": "B"}, {"title": "C"})
    with pytest.raises(ConfigError) as refused:
        read_corpus(path)
    repeated, missing = refused.value.problems
    assert repeated.startswith(f"{path}:2: id 'p1'") and f"{path}:1" in repeated
    assert missing.startswith(f"{path}:3: 'id' is missing")


def test_dpr_tables_and_pyserini_contents_give_passages(tmp_path: Path) -> None:
    (tmp_path / "psgs.tsv").write_text('id\ttext\ttitle\n1\t"Aaron is a ""prophet""."\tAaron\n')
    assert read_corpus(tmp_path / "psgs.tsv") == [Passage("1", "Aaron", 'Aaron is a "prophet".')]
    rows = [
        {"id": 0, "contents": '"Ostrim"\nA town.\nOld.'},
        {"docid": "d", "contents": "A line."},
        {"_id": "e", "title": "Stub", "text": ""},
    ]
    assert read_corpus(write_jsonl(tmp_path / "corpus.jsonl", *rows)) == [
        Passage("0", "Ostrim", "A town.\nOld."), Passage("d", "", "A line."), Passage("e", "Stub", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "context",
    [
        [["Nile", ["A river.", " It is long."]], ["Rhine", ["A river."]]],
        {"title": ["Nile", "Rhine"], "sentences": [["A river.", " It is long."], ["A river."]]},
    ],
)
def test_the_contexts_of_questions_give_each_passage_once(context: object, tmp_path: Path) -> None:
    rows = [{"_id": "a", "question": "Q?", "context": context}, {"_id": "b", "question": "R?", "context": context}]
    (tmp_path / "hotpot.json").write_text(json.dumps(rows))
    read = read_corpus(tmp_path / "hotpot.json")
    assert [(one.title, one.text) for one in read] == [("Nile", "A river. It is long."), ("Rhine", "A river.")]
    assert len({one.id for one in read}) == 2


def test_musique_paragraphs_give_passages(tmp_path: Path) -> None:
    paragraphs = [{"idx": 0, "title": "Nile", "paragraph_text": "A river.", "is_supporting": True}]
    (passage,) = read_corpus(write_jsonl(tmp_path / "musique.jsonl", {"id": "2hop__1", "paragraphs": paragraphs}))
    assert (passage.title, passage.text) == ("Nile", "A river.")


@pytest.mark.parametrize(
    "context",
    [
        [["Nile", {"a": 1}]],
        [["Nile"]],
        {"title": ["Nile"], "sentences": []},
        ["Nile"],
        [{"title": "Nile"}],
        [{"text": "A river."}],
    ],
)
def test_a_context_of_another_shape_is_refused_with_its_line(context: object, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a\.jsonl:1: "):
        read_corpus(write_jsonl(tmp_path / "a.jsonl", {"id": "1", "context": context}))


def test_a_binary_context_is_refused_with_its_row(tmp_path: Path) -> None:
    table = pyarrow.table({"context": [{"title": ["Nile"], "sentences": [b"A river."]}]})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(ConfigError, match=r"row 1: 'text' is binary"):
        read_corpus(tmp_path / "a.parquet")
