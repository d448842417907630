"""Splits passages and queries into words for BM25, both in the same way.

    >>> query_words("Who founded AT&T in Besançon?")
    ['who', 'founded', 'att', 'besancon']
    >>> query_words("日本の首都")
    ['日本', '本の', 'の首', '首都']

Case, accents, compatibility forms (full width, ligatures) and letters such as ø and ß are folded. Dotted initials are
one word (R.E.M.), and so is a single letter joined to other letters by a sign (AT&T, O'Brien, X-Men; parts of several
letters are words too). C++ and C# keep their signs. Text in scripts without spaces between words, and Korean with its
endings, is split into pairs of characters.

English stop words are dropped, except a single word with a capital inside a sentence ("Who wrote It?", "Hepatitis A"),
and except in a title or query without other words. Numbers of one digit, usually days of a month, are dropped from a
passage's text, but not from titles and queries.
Not here: stemming, synonyms, and dictionaries for scripts without spaces.
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
_CAPITAL_ALONE = regex.compile(r"(?<=[^.?!:;\s]\s)\p{Lu}\w*(?=\p{P}?(?:\s|$))(?!\s+[\p{Lu}\p{N}])")
_POSSESSIVE = regex.compile(rf"'[sS](?!{_LETTER})", regex.VERSION1)
# Letters that Unicode does not decompose into a base letter and an accent; casefold() turns ß into ss.
_BASE_LETTERS = str.maketrans(
    dict(zip("øØłŁđĐðÐħĦıŧŦ", "oOlLdDdDhHitT", strict=True))
    | {"æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "þ": "th", "Þ": "Th"}
)
# Apostrophes and hyphens, as code points since they look alike.
_SIGNS = str.maketrans(
    dict.fromkeys("\u2018\u2019\u02bc\u02b9\u2032\u00b4`", "'")
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-")
)


def query_words(text: str) -> list[str]:
    """The words of a query, in order."""
    return list(_words(text)) or list(_words(text, stop_words=True))


def passage_words(title: str, text: str) -> list[str]:
    """The words of a passage, title first. For scripts without spaces also each character, so that a query of one
    character finds the passage."""
    name = _IN_BRACKETS.sub("", title)
    heading = list(_words(title, stop_words=_stop_words().issuperset(_words(name, stop_words=True))))
    body = [word for word in _words(text) if not (len(word) == 1 and word.isdigit())]
    return [*heading, *body, *_characters(title), *_characters(text)]


def _words(text: str, *, stop_words: bool = False) -> Iterator[str]:
    folded = _POSSESSIVE.sub("", _fold_characters(text))
    stop_word_set = frozenset[str]() if stop_words else _stop_words()
    for match in _WORD.finditer(folded):
        word_text = match[0]
        if match.lastgroup == "run":
            yield from (word_text[i : i + 2] for i in range(max(len(word_text) - 1, 1)))
        elif match.lastgroup == "initials":
            yield "".join(filter(str.isalpha, word_text)).casefold()
        elif word_text.isalnum():  # the most frequent case
            word = word_text.casefold()
            if word not in stop_word_set or (word_text[0].isupper() and _CAPITAL_ALONE.match(folded, match.start())):
                yield word
        else:
            yield from (
                part for part in _parts(match["parts"].casefold(), match["sign"] or "") if part not in stop_word_set
            )


def _parts(word_text: str, sign: str) -> Iterator[str]:
    parts = _JOINT.split(word_text)
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
        for match in _WORD.finditer(_fold_characters(text)):
            if (run := match["run"]) and len(run) > 1:
                yield from run


def _fold_characters(text: str) -> str:
    """The text with folded characters; casefold() follows word by word, since capitals still matter for stop words."""
    if text.isascii():
        return text.replace("`", "'")
    decomposed = unicodedata.normalize("NFKD", text.translate(_SIGNS))
    kept = _BEYOND_ASCII.sub(lambda match: "" if _is_ignored(match[0]) else match[0], decomposed)
    return unicodedata.normalize("NFC", kept.translate(_BASE_LETTERS))


def _is_ignored(char: str) -> bool:
    """Whether the character is an accent, a Hebrew or Arabic vowel point, or invisible.

    Vowel signs and voicing marks of Indic, Thai and Japanese writing make another letter; they have other combining
    classes and stay.
    """
    rank = unicodedata.combining(char)
    return 200 <= rank <= 240 or 10 <= rank <= 36 or (rank == 0 and unicodedata.category(char) == "Cf")


@cache
def _stop_words() -> frozenset[str]:
    from bm25s.stopwords import STOPWORDS_EN

    return frozenset(STOPWORDS_EN)
