"""The words of a text as BM25 compares them: one form for passages and queries alike.

    query_words("Who founded AT&T in Besançon?")     # ['who', 'founded', 'att', 'besancon']
    query_words("日本の首都")                          # ['日本', '本の', 'の首', '首都']

Compatibility forms (full width, ligatures), case, accents and letters such as ø and ß are folded. Dotted initials are
one word (R.E.M.), and so is a single letter with what a sign joins it to (AT&T, O'Brien, X-Men; longer parts count as
well). C++ and C# keep their signs. Scripts that are written without spaces between words, and Korean with its
endings, are cut into pairs of characters.

English stop words are left out, unless one stands alone with a capital inside a sentence ("Who wrote It?", "Hepatitis
A"), or a title or query holds no other words. Of the numbers of one digit, which are mostly days of a month, those in
titles and queries count.
Not here: stemming, synonyms, and dictionaries of words for scripts without spaces.
"""

import re
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
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
_JOINT = regex.compile(r" & |['&.!$*/·-]")
_IN_BRACKETS = regex.compile(r"\([^()]*\)")
_ALONE = regex.compile(r"(?<=[^.?!:;\s]\s)\p{Lu}\w*(?=\p{P}?(?:\s|$))(?!\s+[\p{Lu}\p{N}])")
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
    """The words that a query looks for."""
    return list(_words(text)) or list(_words(text, stop_words=True))


def passage_words(title: str, text: str) -> list[str]:
    """The words under which a passage is found. Of scripts without spaces also each character, so that a query of one
    character finds it."""
    name = _IN_BRACKETS.sub("", title)
    heading = list(_words(title, stop_words=_stop_words().issuperset(_words(name, stop_words=True))))
    body = [word for word in _words(text) if not (len(word) == 1 and word.isdigit())]
    return [*heading, *body, *_characters(title), *_characters(text)]


def _words(text: str, *, stop_words: bool = False) -> Iterator[str]:
    folded = _POSSESSIVE.sub("", _folded(text))
    left_out = frozenset[str]() if stop_words else _stop_words()
    for found in _WORD.finditer(folded):
        written = found[0]
        if found.lastgroup == "run":
            yield from (written[i : i + 2] for i in range(max(len(written) - 1, 1)))
        elif found.lastgroup == "initials":
            yield "".join(filter(str.isalpha, written)).casefold()
        elif written.isalnum():  # most words
            word = written.casefold()
            if word not in left_out or (written[0].isupper() and _ALONE.match(folded, found.start())):
                yield word
        else:
            yield from (part for part in _parts(found["parts"].casefold(), found["sign"] or "") if part not in left_out)


def _parts(written: str, sign: str) -> Iterator[str]:
    parts = _JOINT.split(written)
    if sign:
        yield parts[-1] + sign
    if min(map(len, parts)) == 1 < len(parts) and not (whole := "".join(parts)).isdigit():
        yield whole
    elif not sign:
        yield from parts
        return
    yield from (part for part in parts if len(part) > 1)


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
    kept = _BEYOND_ASCII.sub(lambda found: "" if _ignored(found[0]) else found[0], decomposed)
    return unicodedata.normalize("NFC", kept.translate(_PLAIN))


def _ignored(char: str) -> bool:
    """An accent, a Hebrew or Arabic vowel point, or an invisible character. Vowel signs and voicing marks, which make
    another letter in Indic, Thai and Japanese writing, are kept: their combining classes are others."""
    rank = unicodedata.combining(char)
    return 200 <= rank <= 240 or 10 <= rank <= 36 or (rank == 0 and unicodedata.category(char) == "Cf")


@cache
def _stop_words() -> frozenset[str]:
    from bm25s.stopwords import STOPWORDS_EN

    return frozenset(STOPWORDS_EN)
