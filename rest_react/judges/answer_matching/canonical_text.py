"""Rewrites a text into the canonical form in which answers are compared: accents, signs, abbreviations, numbers, dates.

    >>> canonicalise("She wasn't born in St. Malo on March 12th, 1931 (1,204 metres up).")
    'she was not born in saint malo on 1931 march 12 ( 1204 m up ) .'

The result is words and punctuation marks separated by single spaces. Letters, digits and signs that carry meaning stay
part of their word: MI5, H2O, x^2, C++, パリ. `cased_words` returns the same text with its capitals; offsets agree.
docs/metrics.md lists which texts have the same form.
Not here: SQuAD's normalisation for EM and F1 (metrics.text_match); whether an answer is right (rule_grader).
"""

import re
import unicodedata

import regex

from rest_react.judges.answer_matching.canonical_numbers import canonical_numbers

MARKS = ".,;:!?()/|—"

# Apostrophes, quotation marks, hyphens and the minus sign, punctuation of other scripts. A long dash separates clauses
# and stays.
_SIGNS = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u02bc\u02b9\u02bb\u02bd\u00b4`\uff07", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb「」『』《》〈〉【】", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212\u301c\uff5e", "-"),
        "\u2015": "—",
        **dict.fromkeys("。।॥۔", "."),
        **dict.fromkeys("、،", ","),
        **dict.fromkeys("\u2122\u00ae\u00a9\u2120¿¡", " "),
        "؛": ";", "؟": "?", "♯": "#", "\u200b": " ", "№": "No. ", "\u2044": "/", "・": "・", "･": "・",
    }
)  # fmt: skip
# Letters that Unicode does not decompose into a base letter and an accent; casefold() turns ß into ss.
_BASE_LETTERS = dict(zip("øØłŁđĐðÐħĦıŧŦ", "oOlLdDdDhHitT", strict=True)) | {
    "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "þ": "th", "Þ": "Th",
}  # fmt: skip
_FROM_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_FROM_SUBSCRIPT = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊₋", "0123456789+-")
_SUPERSCRIPT = re.compile(r"(.?)([⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+)")
_SUBSCRIPT = re.compile(r"(.?)([₀₁₂₃₄₅₆₇₈₉₊₋]+)")
_FRACTION_SIGN = re.compile(r"(\d?)([¼½¾⅐-⅞])")
_BREVE, _DIAERESIS = "\u0306", "\u0308"

_I = re.IGNORECASE
_ABBREVIATIONS = [
    (re.compile(r"n't\b", _I), " not"),
    (re.compile(r"\bcannot\b", _I), "can not"),
    (re.compile(r"\b(it|that|he|she|there|what|who|where)'s\b", _I), r"\1 is"),
    (re.compile(r"(?<=\d)'s\b", _I), "s"),
    (re.compile(r"'s\b", _I), ""),
    (re.compile(r"(?<=\d)'(?=\d{3}(?!\d))|(?<=[^\W\d])\u2032(?=[^\W\d])"), ""),
    (re.compile(r"(?<=\d)'(?=\d| \d)"), "\u2032"),
    (re.compile(r'(?<=\d\u2032)( ?\d{1,2})"'), "\\1\u2032\u2032"),
    (re.compile(r"'"), ""),
    (re.compile(r"\bSt\.? (?=[A-Z])|\bst\. ?(?=[a-z])"), "Saint "),
    (re.compile(r"(?<=\w )[Ss]t\.(?= ?[,.;:!?)]| [a-z]|$)"), "Street"),
    (re.compile(r"\bSte\.? (?=[A-Z])"), "Sainte "),
    (re.compile(r"\bMt\.? (?=[A-Z])|\bmt\. (?=[a-z])"), "Mount "),
    (re.compile(r"\bFt\. (?=[A-Z])"), "Fort "),
    (re.compile(r"\bDr\.? (?=[A-Z])"), "Doctor "),
    (re.compile(r"\bMr\.? (?=[A-Z])"), "Mister "),
    (re.compile(r"\bJr\b\.?", _I), "Junior"),
    (re.compile(r"\bSr\b\.?", _I), "Senior"),
    (re.compile(r"\b(?:No\. ?|no\. ?|Nos?\.? |Nr\. ?)(?=\d)|#(?=\d)"), "number "),
    (re.compile(r"\bnumber one\b", _I), "number 1"),
    (re.compile(r" ?& ?"), " and "),
]  # fmt: skip
# The hyphen of a code (B-52, MI-6, 3-D) is dropped, but not the one before a year or in "mid-90s".
_CODE = re.compile(r"(?<![\w-])(?!(?:mid|pre|post|non|anti|late|sub|semi|ex|may)-)([A-Za-z]{1,4})-(?=\d)", _I)
_DIGIT_CODE = re.compile(r"(?<![\w-])(\d{1,4})-(?=[A-Z](?!\w))")
_BLOOD_TYPE = re.compile(r"(?<![\w-])(AB|[A-Z])-(?![\w-])")
_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,3}|_{1,3})(?=\S)([^*_\n]{1,300})(?<=\S)\1(?![\w*])")
_LONG_DASH = re.compile(r" - (?!\d)| ?--+ ?")
_SIGN_AND_SPACE = re.compile(r"([<>≤≥±]) (?=\d)")
_INITIALS = re.compile(r"\b(?:[A-Za-z]\. ?){1,8}[A-Za-z]\.")
# Words with their digits and signs, then punctuation marks, then any other sign.
_TOKEN = regex.compile(
    r"""(?:(?<![\p{L}\p{N}\p{M})])[-+±<>≤≥](?=\p{Nd}))?
        [\p{L}\p{N}][\p{L}\p{N}\p{M}・]*
        (?:(?<=\p{Nd})[.,:/_-]-?\p{Nd}[\p{L}\p{N}\p{M}]*|\^[+-]?[\p{L}\p{N}]+)*
        (?:[+\#♭♮−]+|(?<=(?<![\p{L}\p{N}])\p{L})\*)?
    |[.,;:!?()/|—]|[%‰§@\u2032]|[\p{S}--[`^´¨¯\u00b8]]|\p{M}+""",
    regex.VERBOSE | regex.VERSION1,
)


def canonicalise(text: str) -> str:
    """The text in canonical form and lower case; empty if it has no word. Never raises; linear in its length."""
    return lower_case(cased_words(text))


def cased_words(text: str) -> str:
    """The text in canonical form with its capitals; its `lower_case` has the same length, so offsets agree."""
    text = " ".join(_fold_characters(text).split())
    text = _LONG_DASH.sub(" — ", text)
    text = _EMPHASIS.sub(r"\2", text)
    for pattern, replacement in _ABBREVIATIONS:
        text = pattern.sub(replacement, text)
    text = _DIGIT_CODE.sub(r"\1", _BLOOD_TYPE.sub("\\1\u2212", text))
    text = _SIGN_AND_SPACE.sub(r"\1", text)
    text = canonical_numbers(text)
    text = _CODE.sub(r"\1", text)
    text = _INITIALS.sub(lambda m: m[0].replace(".", "").replace(" ", "") + " ", text)
    words = _TOKEN.findall(text)
    return " ".join(words) if any(word not in MARKS for word in words) else ""


def lower_case(text: str) -> str:
    """The lower case of a result of `cased_words`, with the same length."""
    return text.casefold().lower()  # casefold() turns Cherokee into capitals


def clauses_in_lower_case(text: str) -> str:
    """A result of `cased_words` in lower case, with a semicolon for each line break and long dash."""
    return re.sub("[|—]", ";", lower_case(text))


def _fold_characters(text: str) -> str:
    """Folds compatibility forms (full width, ligatures), Latin and Greek accents, digits of other scripts, superscripts
    and subscripts into base characters. Marks that make another letter in Cyrillic, Arabic, Indic, Thai or Japanese
    stay."""
    text = text.translate(_SIGNS)
    if text.isascii():
        return text
    text = _SUPERSCRIPT.sub(_superscript, text)
    text = _SUBSCRIPT.sub(_subscript, text)
    text = _FRACTION_SIGN.sub(lambda m: f"{m[1]} {unicodedata.normalize('NFKD', m[2])}", text).translate(_SIGNS)
    kept: list[str] = []
    base = ""
    for char in unicodedata.normalize("NFKD", text):
        category = unicodedata.category(char)
        if category[0] == "M":
            if base.isalnum() and (base < "\u0400" or (base < "\u0530" and not _makes_a_letter(base, char))):
                continue
        elif category == "Cf":
            continue
        else:
            base = char
        kept.append(str(unicodedata.decimal(char)) if category == "Nd" else _BASE_LETTERS.get(char, char))
    composed = unicodedata.normalize("NFC", "".join(kept)).translate(_SIGNS)
    # A character that becomes longer in lower case (ß) is folded now, so that `lower_case` keeps the length.
    return "".join(char if len(lower_case(char)) == 1 else lower_case(char) for char in composed)


def _makes_a_letter(base: str, mark: str) -> bool:
    """Whether the mark makes another Cyrillic letter (й, ї, ў); ё does not count, since it is often written е."""
    return mark in (_BREVE, _DIAERESIS) and base not in "еЕ"


def _superscript(match: re.Match[str]) -> str:
    """A charge becomes plain characters (Ca²⁺ is Ca2+); an exponent is marked (10² is 10^2)."""
    before, digits = match[1], match[2].translate(_FROM_SUPERSCRIPT)
    if digits[-1] in "+-" and (before.isalpha() or before.isdecimal()):
        return before + digits.replace("-", "\u2212")
    return f"{before}^{digits}"


def _subscript(match: re.Match[str]) -> str:
    """Plain characters after a letter or a bracket (H₂O is H2O); marked after a digit (10₂ is 10_2)."""
    before, digits = match[1], match[2].translate(_FROM_SUBSCRIPT)
    return f"{before}_{digits}" if before.isdecimal() else before + digits
