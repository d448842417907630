"""Rewrites numbers, ordinals, amounts of money, measures, years and dates in a text into one canonical form each.

    >>> canonical_numbers("Louis XIV paid US$1.2 billion on March 12th, 1931, the twenty-first time since 44 BCE.")
    'Louis 14 paid 1200000000 dollars on 1931 March 12, the 21st time since 44 bc.'

This module writes number words, ordinals, Roman numerals and digit groups in plain digits and ranges as "a to b", and
sets the order in which the parts of a text are rewritten. Capitals stay.
Not here: money and measures (canonical_amounts), dates and eras (canonical_dates), letters, accents, signs and words
(canonical_text, which calls this module).
"""

import re
from decimal import Decimal

from rest_react.judges.answer_matching.canonical_amounts import (
    SCALES,
    canonical_measures,
    canonical_money,
    decimal_text,
)
from rest_react.judges.answer_matching.canonical_dates import canonical_dates, canonical_eras

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_CARDINALS = {word: n for n, word in enumerate(_SMALL)} | {word: 10 * n for n, word in enumerate(_TENS, start=2)}
_ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fifth": 5, "eighth": 8, "ninth": 9, "twelfth": 12, "hundredth": 100,
    "thousandth": 1000,
    **{f"{word}th": n for word, n in _CARDINALS.items() if n in (4, 6, 7, 10, 11) or 12 < n < 20},
    **{f"{word[:-1]}ieth": n for word, n in _CARDINALS.items() if n >= 20},
}  # fmt: skip

_I = re.IGNORECASE
_SCALE_WORDS = "|".join(SCALES)
_SIMPLE = "|".join(sorted(_CARDINALS, key=len, reverse=True))
_CARDINAL = rf"(?:{_SIMPLE}|{_SCALE_WORDS})"
_ORDINAL = rf"(?:{'|'.join(sorted(_ORDINALS, key=len, reverse=True))})"
_NUMBER_JOIN = r"(?:[ -]|(?<=hundred|housand|million|billion|rillion) and )"
_NUMBER_WORDS = re.compile(
    rf"(?<![\w.,-])(?:(?:{_SIMPLE})(?:{_NUMBER_JOIN}{_CARDINAL}){{0,12}}(?:{_NUMBER_JOIN}{_ORDINAL})?|{_ORDINAL})(?![\w])",
    _I,
)
# "second" as a measure of time, no ordinal: "5 seconds" is rewritten as a unit, "a second" and "per second" stay.
_TIME_BEFORE = re.compile(r"(?:\d[ -]|\b(?:per|an?|each|every|split) )$", _I)
_ARTICLE_BEFORE_SCALE = re.compile(rf"(?<!of )\b(half )?an? (?={_SCALE_WORDS})", _I)
_DIGIT_GROUPS = re.compile(
    r"(?<![\d.,'])(?:\d{1,3}(?:[,\u00a0\u2009\u202f']\d{3})+|\d{1,2}(?:,\d{2})+,\d{3}|\d{1,3}(?:\.\d{3}){2,})(?![\d]|[.,']\d{3}(?!\d))"
)
_MIXED_FRACTION = re.compile(r"(?<![\w.,/])(\d{1,12}) ([1-9])/([2458])(?![\w/])")
_FROM_TO = re.compile(r"\b(?:from|between) (\d{1,12}) (?:to|until|till|through|and) (?=\d)", _I)
_RANGE = re.compile(r"(?<![\w.,-])(\d{1,12}(?:\.\d{1,9})?s?)(?: ?- ?| to )(\d{1,12}(?:\.\d{1,9})?)(?![.,]?\d|-\d)")
_ROMAN = re.compile(r"(?<![\w&.-])(?=[IVXLCDM]{2})(M{0,3})(CM|CD|D?C{0,3})(XC|XL|L?X{0,3})(IX|IV|V?I{0,3})(?![\w&-])")
_NUMBERED_NOUN = re.compile(
    r"\b(war|part|type|act|book|volume|vol\.|chapter|phase|class|grade|level|title|article|section|mark) (I|V|X)(?!\w)",
    _I,
)
_WORLD_WAR = re.compile(r"\b(?:WW ?|world war )(I{1,2}|[12]|one|two)(?!\w)|\b(first|second) world war\b", _I)
_ROMAN_LETTERS = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


def canonical_numbers(text: str) -> str:
    """The text with its numbers, amounts and dates in canonical form.

    Expects ASCII digits and hyphens and single spaces, as `canonical_text` prepares them. Never raises; linear in the
    text's length.
    """
    text = _DIGIT_GROUPS.sub(lambda m: re.sub(r"\D", "", m[0]), text)
    text = _WORLD_WAR.sub(_world_war, text)
    text = _NUMBERED_NOUN.sub(lambda m: f"{m[1]} {roman_value(m[2])}", text)
    text = _ROMAN.sub(_roman, text)
    text = _ARTICLE_BEFORE_SCALE.sub(lambda m: "0.5 " if m[1] else "1 ", text)
    text = _NUMBER_WORDS.sub(_number_words, text)
    text = re.sub(r"\b(\d{1,18})(?:st|nd|rd|th)(?!\w)", lambda m: ordinal(int(m[1])), text, flags=_I)
    text = re.sub(r"\b(\d{1,2}) (?=centur)", lambda m: f"{ordinal(int(m[1]))} ", text)
    text = re.sub(r"\b(?:minus|negative) (?=\d)", "-", text, flags=_I)
    text = _MIXED_FRACTION.sub(lambda m: decimal_text(Decimal(m[1]) + Decimal(m[2]) / Decimal(m[3])), text)
    text = canonical_money(text)
    text = canonical_dates(text)
    text = canonical_measures(text)
    text = _FROM_TO.sub(r"\1 to ", text)
    return canonical_eras(_RANGE.sub(_range, text))


def ordinal(n: int) -> str:
    """The number with its ordinal suffix: 1st, 2nd, 3rd, 11th."""
    suffix = "th" if 10 < n % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{suffix}"


def roman_value(numeral: str) -> int:
    """The value of a well-formed Roman numeral in capitals; 0 for any other text."""
    if not numeral or not re.fullmatch("M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})", numeral):
        return 0
    values = [_ROMAN_LETTERS[letter] for letter in numeral]
    return sum(-v if v < max(values[i:]) else v for i, v in enumerate(values))


def roman_numeral(value: int) -> str:
    """The Roman numeral in capitals of a number from 1 to 3999."""
    numeral = ""
    for letters in ("M", "CM", "D", "CD", "C", "XC", "L", "XL", "X", "IX", "V", "IV", "I"):
        times, value = divmod(value, roman_value(letters))
        numeral += times * letters
    return numeral


def _roman(match: re.Match[str]) -> str:
    """The value of a Roman numeral. Two letters count only if both are I, V or X, since DC, CD or MD are usually
    abbreviations."""
    numeral = match[0]
    if not numeral or (len(numeral) == 2 and set(numeral) - set("IVX")):
        return numeral
    return str(roman_value(numeral))


def _world_war(match: re.Match[str]) -> str:
    word = (match[1] or match[2]).lower()
    return f"World War {1 if word in ('i', '1', 'one', 'first') else 2}"


def _number_words(match: re.Match[str]) -> str:
    """Number words as digits. Words that do not form one number ("twelve fifteen") become several numbers; "one" alone
    is usually a pronoun and stays."""
    words = [word for word in re.split("[ -]", match[0].lower()) if word != "and"]
    if words == ["one"] or (len(words) == 1 and words[0] in SCALES):
        return match[0]
    if words == ["second"] and _TIME_BEFORE.search(match.string, max(0, match.start() - 8), match.start()):
        return match[0]
    numbers: list[str] = []
    total, group, started = 0, 0, False
    for word in words:
        value = _CARDINALS.get(word, _ORDINALS.get(word))
        if value is None:
            scale = SCALES[word]
            group = max(group, 1) * scale
            if scale > 100:
                total, group = total + group, 0
        elif value >= 100 and word in _ORDINALS:
            group = max(group, 1) * value
        elif started and not _can_follow(group, value):
            if total == 0 and 16 <= group <= 20 and value >= 10:  # nineteen eighty-four
                group = group * 100 + value
            else:
                numbers.append(str(total + group))
                total, group = 0, value
        else:
            group += value
        started = True
    numbers.append(ordinal(total + group) if words[-1] in _ORDINALS else str(total + group))
    return " ".join(numbers)


def _can_follow(group: int, value: int) -> bool:
    return group % 100 == 0 if value >= 10 else group % 10 == 0 and group % 100 != 10


def _range(match: re.Match[str]) -> str:
    """Two numbers as "a to b"; 1914-18 ends in 1918."""
    first, last = match[1], match[2]
    if len(first) == 4 and first.isdigit() and len(last) == 2 and last.isdigit() and last > first[2:]:
        last = first[:2] + last
    return f"{first} to {last}"
