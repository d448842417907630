import asyncio
import unicodedata
from pathlib import Path

import pytest

from rest_react.errors import ConfigError
from rest_react.records import Hit, Passage
from rest_react.search.bm25 import Bm25Search

CORPUS = (
    Passage("p0", "Orsk Bridge", "A bridge with nine arches in Velmar."),
    Passage("p1", "Velmar", "A town founded by Ada Mell."),
    Passage("p2", "Velmare", "A town founded by Bor Tell."),
    Passage("p3", "Ada Mell", "Ada Mell was born in Torvik."),
    Passage("p4", "Empty", ""),
)


def find(search: Bm25Search, query: str, k: int = 3) -> list[str]:
    return [hit.source for hit in asyncio.run(search.search(query, k))]


def test_a_hit_is_a_passage_with_its_text_as_snippet() -> None:
    hits = asyncio.run(Bm25Search(CORPUS).search("birthplace of Ada Mell", 1))
    assert hits == [Hit("p3", "Ada Mell", "Ada Mell was born in Torvik.")]


def test_title_and_text_are_both_searched() -> None:
    assert find(Bm25Search(CORPUS), "Velmare") == ["p2"]
    assert find(Bm25Search(CORPUS), "empty") == ["p4"]


@pytest.mark.parametrize("query", ["", "   ", "the of and", "zanzibar", "?!", "x"])
def test_a_query_without_known_words_has_no_results(query: str) -> None:
    assert find(Bm25Search(CORPUS), query) == []


def test_passages_without_a_word_of_the_query_are_not_hits() -> None:
    assert sorted(find(Bm25Search(CORPUS), "Velmar", k=10)) == ["p0", "p1"]


@pytest.mark.parametrize("k", [1, 2, 3, 5, 9])
def test_equal_scores_keep_the_order_of_the_passages(k: int) -> None:
    twins = tuple(Passage(f"t{i}", "Twin", "the same words here") for i in range(5))
    assert find(Bm25Search(twins), "twin", k) == [f"t{i}" for i in range(5)][:k]


def test_zero_hits_can_be_requested() -> None:
    assert find(Bm25Search(CORPUS), "Velmar", k=0) == []


def test_a_saved_index_is_reused_and_gives_the_same_hits(tmp_path: Path) -> None:
    first = Bm25Search(CORPUS, tmp_path / "index")
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "index").rglob("*")}
    second = Bm25Search(CORPUS, tmp_path / "index")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "index").rglob("*")} == files
    for query in ("founder of Velmar", "town", "nine arches"):
        assert find(first, query) == find(second, query) == find(Bm25Search(CORPUS), query) != []


def test_another_corpus_gets_its_own_index_in_the_same_folder(tmp_path: Path) -> None:
    Bm25Search(CORPUS, tmp_path)
    changed = (*CORPUS[:1], Passage("p1", "Velmar", "A village famous for cheese."))
    assert find(Bm25Search(changed, tmp_path), "cheese") == ["p1"]
    assert find(Bm25Search(CORPUS, tmp_path), "cheese") == []


def test_an_interrupted_build_is_not_used_as_an_index(tmp_path: Path) -> None:
    (tmp_path / "unfinished-1").mkdir()
    assert find(Bm25Search(CORPUS, tmp_path), "Torvik") == ["p3"]
    assert not (tmp_path / "unfinished-1").exists()


def test_a_damaged_index_is_built_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Bm25Search(CORPUS, tmp_path)
    files = [path for path in tmp_path.glob("*/*") if path.suffix in (".npy", ".json")]
    assert len(files) > 3
    for path in files:
        path.write_bytes(b"")
        assert find(Bm25Search(CORPUS, tmp_path), "Torvik") == ["p3"]
        assert "cannot be read" in capsys.readouterr().err


def test_a_corpus_without_passages_is_refused() -> None:
    with pytest.raises(ConfigError, match="has no passages"):
        Bm25Search([])


@pytest.mark.parametrize(
    "passages", [[Passage("1", "", "!!!"), Passage("2", "", "a")], [Passage("1", "...", "the of")]]
)
def test_a_corpus_without_a_word_is_refused(passages: list[Passage], tmp_path: Path) -> None:
    for folder in (None, tmp_path):
        with pytest.raises(ConfigError, match=r"search\.corpus: no passage holds a word to search for"):
            Bm25Search(passages, folder)


MANY_SCRIPTS = [
    Passage("ja", "大阪", "大阪は日本の都市である。"),
    Passage("zh", "上海", "上海是中国的城市。"),
    Passage("ko", "부산", "부산은 대한민국의 도시이다."),
    Passage("th", "เชียงใหม่", "เชียงใหม่เป็นเมืองในประเทศไทย"),
    Passage("hi", "दिल्ली", "दिल्ली भारत की राजधानी है।"),
    Passage("nfd", "", unicodedata.normalize("NFD", "Orléans lies on the Loire.")),
    Passage("pl", "Łódź", "Łódź is a city in Poland."),
    Passage("x", "Malcolm X", "Malcolm X was born in Omaha."),
    Passage("rem", "R.E.M.", "R.E.M. was a band from Athens."),
    Passage("cpp", "C++", "C++ is a language."),
    Passage("q", "Q", "Q magazine was a monthly."),
    Passage("if", "If (poem)", "A poem by Rudyard Kipling, if one may say so."),
    Passage("brien", "Flann O’Brien", "Flann O’Brien was a writer."),
]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("日本の都市", "ja"), ("中国的城市", "zh"), ("대한민국 도시", "ko"), ("เมืองในประเทศไทย", "th"),
        ("भारत की राजधानी", "hi"), ("Orléans", "nfd"), ("Orleans", "nfd"), ("Lodz", "pl"), ("Malcolm X", "x"),
        ("REM", "rem"), ("C++", "cpp"), ("What is Q?", "q"), ("If", "if"), ("Who wrote If?", "if"),
        ("O'Brien", "brien"), ("海", "zh"),
    ],
)  # fmt: skip
def test_search_finds_names_in_every_script_and_spelling(query: str, expected: str) -> None:
    assert find(Bm25Search(MANY_SCRIPTS), query, k=1) == [expected]
