"""The words of a text as BM25 compares them: one form for passages and queries alike.

    query_words("Who founded AT&T in Besançon?")     # ['who', 'founded', 'att', 'besancon']
    query_words("日本の首都")                          # ['日本', '本の', 'の首', '首都']

Compatibility forms (full width, ligatures), case, accents and letters such as ø and ß are folded. Dotted initials are
one word (R.E.M.), and so is a single letter with what a sign joins it to (AT&T, O'Brien, X-Men; longer parts count as
well). C++ and C# keep their signs. Scripts that are written without spaces between words, and Korean with its
endings, are cut into pairs of characters.

English stop words are left out, but for titles that hold no others ("It", a novel) and for queries that seem to name
such a title. Of the numbers of one digit, which are mostly days of a month, those in titles and queries count.
Not here: stemming, synonyms, and dictionaries of words for scripts without spaces.
"""

import unicodedata
from collections.abc import Iterator
from functools import cache

import regex

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー々"
_LETTER = rf"[\p{{L}}\p{{N}}\p{{M}}--[{_UNSPACED}]]"
_WORD = regex.compile(
    rf"""(?P<run>[{_UNSPACED}]+)
    | (?P<initials>(?<!{_LETTER})(?:(?:\p{{L}}\.[ ]?)+\p{{L}}\.|(?:\p{{L}}\.)+\p{{L}})(?!{_LETTER}))
    | (?P<parts>{_LETTER}+(?:(?:['&.!$*/·-]|[ ]&[ ]){_LETTER}+)*)(?P<sign>\+\+|[+#])?(?!{_LETTER})""",
    regex.VERBOSE | regex.VERSION1,
)
_JOINT = regex.compile(r" & |['&.!$*/·-]")
_IN_BRACKETS = regex.compile(r"\([^()]*\)")
_ALONE = regex.compile(r"(?<=\s)\p{Lu}\w*(?=\p{P}?(?:\s|$))(?!\s+[\p{Lu}\p{N}])")
_POSSESSIVE = regex.compile(rf"'[sS](?!{_LETTER})", regex.VERSION1)
# Unicode does not decompose these; what casefold() makes of ß is right already.
_PLAIN = str.maketrans(
    dict(zip("øØłŁđĐðÐħĦıŧŦ", "oOlLdDdDhHitT", strict=True))
    | {"æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "þ": "th", "Þ": "Th"}
)
# Apostrophes and hyphens by their code points, since they look alike.
_SIGNS = str.maketrans(
    dict.fromkeys("\u2018\u2019\u02bc\u02b9\u2032\u00b4`", "'")
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-")
)


def query_words(text: str) -> list[str]:
    """The words that a query looks for; stop words where it has no others, or where one stands alone with a capital
    ("Who wrote It?")."""
    found = list(_words(text))
    named = {word.casefold() for word in _ALONE.findall(text)}
    return [word for word in found if word in named or word not in _stop_words()] or found


def passage_words(title: str, text: str) -> list[str]:
    """The words under which a passage is found. Of scripts without spaces also each character, so that a query of one
    character finds it."""
    name = list(_words(title))
    heading = [word for word in name if word not in _stop_words()]
    if not set(_words(_IN_BRACKETS.sub("", title))) - _stop_words():
        heading = name
    body = [word for word in _words(text) if word not in _stop_words() and not (len(word) == 1 and word.isdigit())]
    return [*heading, *body, *_characters(title), *_characters(text)]


def _words(text: str) -> Iterator[str]:
    for found in _WORD.finditer(_POSSESSIVE.sub("", _folded(text))):
        if run := found["run"]:
            yield from (run[i : i + 2] for i in range(max(len(run) - 1, 1)))
        elif initials := found["initials"]:
            yield "".join(filter(str.isalpha, initials)).casefold()
        else:
            yield from _parts(found["parts"].casefold(), found["sign"] or "")


def _parts(written: str, sign: str) -> Iterator[str]:
    parts = _JOINT.split(written)
    if min(map(len, parts)) == 1 < len(parts) and not (whole := "".join(parts)).isdigit():
        yield whole
        parts = [part for part in parts if len(part) > 1]
    if sign:
        yield parts[-1] + sign if parts else sign
        parts = [part for part in parts if len(part) > 1]
    yield from parts


def _characters(text: str) -> Iterator[str]:
    if not text.isascii():
        for found in _WORD.finditer(_folded(text)):
            if (run := found["run"]) and len(run) > 1:
                yield from run


def _folded(text: str) -> str:
    """Everything but case, which casefold() does word by word."""
    if text.isascii():
        return text.replace("`", "'")
    decomposed = unicodedata.normalize("NFKD", text.translate(_SIGNS))
    return unicodedata.normalize("NFC", "".join(char for char in decomposed if not _ignored(char)).translate(_PLAIN))


def _ignored(char: str) -> bool:
    """An accent, a Hebrew or Arabic vowel point, or an invisible character. Vowel signs and voicing marks, which make
    another letter in Indic, Thai and Japanese writing, are kept: their combining classes are others."""
    rank = unicodedata.combining(char)
    return 200 <= rank <= 240 or 10 <= rank <= 36 or (rank == 0 and unicodedata.category(char) == "Cf")


@cache
def _stop_words() -> frozenset[str]:
    from bm25s.stopwords import STOPWORDS_EN

    return frozenset(STOPWORDS_EN)
