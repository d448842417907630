# ruff: noqa: RUF001 (the tests need letters that look alike)
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.search.word_tokenizer import passage_words, query_words

# One word or phrase per line, in spellings that search treats as the same.
SAME = [
    ["Łódź", "łódź", "Lodz", "LODZ"],
    ["Straße", "strasse", "STRASSE"],
    ["ＡＢＣ", "abc"],
    ["Æther", "aether"],
    ["İstanbul", "istanbul", "Istanbul"],
    ["Ёлка", "елка"],
    ["ガン", "ｶﾞﾝ", unicodedata.normalize("NFD", "ガン")],
    ["서울", unicodedata.normalize("NFD", "서울")],
    ["שָׁלוֹם", "שלום"],
    ["co\u00adoperate", "cooperate"],
    ["O’Brien", "O'Brien", "O`Brien"],
    ["R.E.M.", "REM", "R. E. M."],
    ["U.S.", "U.S"],
    ["J. R. R. Tolkien", "J.R.R. Tolkien", "JRR Tolkien"],
    ["Q&A", "Q & A"],
    ["Jean-Luc", "Jean‐Luc", "Jean Luc"],
    ["Ada's", "Ada’s", "Ada"],
]
DIFFERENT = [
    ["C", "C++", "C#"],
    ["パリ", "ハリ", "バリ"],
    ["दिल", "दिली"],
    ["X", "Q"],
    ["MI5", "MI6"],
    ["กา", "กี"],
]


@pytest.mark.parametrize("spellings", SAME, ids=lambda spellings: spellings[0])
def test_spellings_of_one_name_give_the_same_words(spellings: list[str]) -> None:
    assert len({tuple(query_words(one)) for one in spellings}) == 1


@pytest.mark.parametrize("names", DIFFERENT, ids=lambda names: names[0])
def test_different_names_give_different_words(names: list[str]) -> None:
    assert len({tuple(query_words(one)) for one in names}) == len(names)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Who founded AT&T in Besançon?", ["who", "founded", "att", "besancon"]),
        ("X-Men and Spider-Man", ["xmen", "men", "spider", "man"]),
        ("MI-6, F-16 and COVID-19", ["mi6", "mi", "f16", "16", "covid", "19"]),
        ("3.5 km in 1990–1995", ["3", "5", "km", "1990", "1995"]),
        ("C++ and Notepad++, Google+", ["c++", "notepad++", "notepad", "google+", "google"]),
        ("1+1", ["1", "1"]),
        ("snake_case", ["snake", "case"]),
        ("日本の首都", ["日本", "本の", "の首", "首都"]),
        ("水", ["水"]),
        ("Who directed The Trial?", ["who", "directed", "trial"]),
        ("Who wrote It?", ["who", "wrote", "it"]),
        ("Hepatitis A or B", ["hepatitis", "a", "b"]),
        ("A town. A river: A bridge", ["town", "river", "bridge"]),
        ("the of and", ["the", "of", "and"]),
        ("?! ...", []),
    ],
)
def test_a_query_is_split_into_words(text: str, words: list[str]) -> None:
    assert query_words(text) == words


@pytest.mark.parametrize(
    ("title", "text", "words"),
    [
        ("It (novel)", "It is a novel.", ["it", "novel", "novel"]),
        ("The Trial", "The Trial is a novel.", ["trial", "trial", "novel"]),
        ("Hepatitis A", "A disease, hepatitis A is a virus.", ["hepatitis", "a", "disease", "hepatitis", "a", "virus"]),
        ("To Be or Not to Be", "It is a film.", ["to", "be", "or", "not", "to", "be", "film"]),
        ("Apollo 8", "Started on 21 December, on pad 3.", ["apollo", "8", "started", "21", "december", "pad"]),
        ("水", "水は", ["水", "水は", "水", "は"]),
    ],
)
def test_a_passage_is_split_into_words_of_title_and_text(title: str, text: str, words: list[str]) -> None:
    assert passage_words(title, text) == words


@given(st.text(max_size=40) | st.text("aAéE\u0301ßIİıﬁΣς'’.&-+ 東京はท水𝔸", max_size=15))
def test_unicode_composition_and_case_do_not_change_the_words(text: str) -> None:
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert query_words(composed) == query_words(decomposed)
    assert set(query_words(text.lower())) <= set(passage_words(text.lower(), ""))
    assert all(word and word == word.strip() for word in query_words(text))
