"""A tiny random model: texts with the same tokens have nearly the same vectors, which is all that these tests need."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rest_react.errors import ConfigError, UsageError
from rest_react.records import Hit, Passage
from rest_react.search import dense
from rest_react.search.dense import DenseSearch, DenseSettings

PASSAGES = (
    Passage("p1", "Ostrim", "Ostrim was founded by Ada Mell."),
    Passage("p2", "Ada Mell", "The birthplace of Ada Mell is Dravol."),
    Passage("p3", "Velmar", "Velmar has nine bridges, forty mills and a harbour for ships of the northern company."),
    Passage("p4", "Ada Mell", "The birthplace of Ada Mell is Dravol."),
)
SETTINGS = DenseSettings("dense", "questions", "tiny-random", "mean", "", "", 64, hybrid=False, device="cpu")


def found(query: str, k: int = 2, folder: Path | None = None, **changed: object) -> list[str]:
    engine = DenseSearch(PASSAGES, replace(SETTINGS, **changed), folder)  # type: ignore[arg-type]
    return [hit.source for hit in asyncio.run(engine.search(query, k))]


def test_the_nearest_passages_come_first_and_equal_ones_in_order() -> None:
    near = "Ada Mell\nThe birthplace of Ada Mell is Dravol."
    assert found(near) == ["p2", "p4"]
    assert found(near, k=9)[:2] == ["p2", "p4"] and sorted(found(near, k=9)) == ["p1", "p2", "p3", "p4"]
    assert found("passage: " + near, passage_prefix="passage: ") == ["p2", "p4"]
    engine = DenseSearch(PASSAGES, replace(SETTINGS, pooling="first"))
    assert asyncio.run(engine.search(" ", 2)) == asyncio.run(engine.search("x", 0)) == []
    assert len(asyncio.run(engine.search("x", 3))) == 3


def test_the_vectors_of_a_corpus_are_made_once_for_each_model_and_corpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = found("Velmar has nine bridges", folder=tmp_path)
    saved = list(tmp_path.glob("dense-*"))
    asked: list[int] = []
    whole = dense._Encoder.vectors
    monkeypatch.setattr(dense._Encoder, "vectors", lambda self, texts: asked.append(len(texts)) or whole(self, texts))
    assert found("Velmar has nine bridges", folder=tmp_path) == first
    assert (asked, list(tmp_path.glob("dense-*"))) == ([1], saved)
    found("Velmar has nine bridges", folder=tmp_path, max_length=32)
    assert len(list(tmp_path.glob("dense-*"))) == 2


def test_damaged_vectors_are_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = found("Velmar has nine bridges", folder=tmp_path)
    [vectors] = tmp_path.glob("dense-*/*.npy")
    whole = vectors.read_bytes()
    vectors.write_bytes(whole[:-4])
    assert found("Velmar has nine bridges", folder=tmp_path) == first
    assert "making them again" in " ".join(capsys.readouterr().err.split())
    assert vectors.read_bytes() == whole


def test_hybrid_finds_what_either_engine_finds_and_ranks_first_what_both_do() -> None:
    """BM25 knows the rare word; the random model does not."""
    ranked = found("harbour", k=4, hybrid=True)
    assert ranked[0] == "p3"
    assert set(ranked) == {"p1", "p2", "p3", "p4"}
    assert dense._fuse([[1, 2, 3], [2, 1, 4]]) == [1, 2, 3, 4]
    assert dense._fuse([[1, 2], [3, 2]]) == [2, 1, 3]


def test_a_hybrid_query_does_not_go_through_the_corpus() -> None:
    class Counted(tuple[Passage, ...]):
        """Passages that know how often all of them were read."""

        times = 0

        def __iter__(self) -> Iterator[Passage]:
            Counted.times += 1
            return super().__iter__()

    engine = DenseSearch(Counted(PASSAGES), replace(SETTINGS, hybrid=True))
    asyncio.run(engine.search("harbour", 2))
    before = Counted.times
    asyncio.run(engine.search("bridges", 2))
    assert Counted.times == before


def test_the_same_numbers_in_another_order_are_other_weights() -> None:
    encoder = dense._Encoder(SETTINGS)
    key = encoder.identity()
    assert dense._Encoder(SETTINGS).identity() == key
    words = encoder._model.get_input_embeddings().weight
    with torch.no_grad():
        words[[0, 1]] = words[[1, 0]]
    assert encoder.identity() != key


def test_a_model_that_is_not_there_and_an_empty_corpus_are_errors_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no passages"):
        DenseSearch((), SETTINGS)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UsageError, match=r"search\.model=.* cannot be loaded .*give a folder or a Hub id"):
        found("x", model=str(tmp_path))
    wrong = replace(SETTINGS, corpus="nowhere.jsonl")
    assert [problem.split(":")[0] for problem in wrong.problems("search")] == ["search.corpus"]


def test_hits_hold_the_passage() -> None:
    engine = DenseSearch(PASSAGES[:1], SETTINGS)
    assert asyncio.run(engine.search("x", 1)) == [Hit("p1", "Ostrim", "Ostrim was founded by Ada Mell.")]
