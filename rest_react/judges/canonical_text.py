"""One form for texts that are compared word by word: numbers, dates, units and accents.

    >>> canonicalise("She wasn't born on March 12th, 1931 (1,204 metres up).")
    'she was not born on 1931 march 12 ( 1204 m up ) .'

Dates run from year to day, so that a gold answer of "1931" or "March 1931" is part of any fuller date.
Not here: SQuAD's normalisation for EM and F1 (metrics), and whether an answer is right (rule_grader).
"""

import re
import unicodedata
from decimal import Decimal

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
# Not "one", which is mostly a pronoun.
_NUMBER_WORDS = {word: str(number) for number, word in enumerate(_SMALL) if word != "one"}
_UNITS_OF_TENS = {word: number for number, word in enumerate(_SMALL[:10]) if number > 0}
_TENS = {
    word: 10 * i for i, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), start=2)
}
_SCALES = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_MONTHS = "january february march april may june july august september october november december".split()
_UNITS = {
    "kmh": r"km ?/ ?hr?|km/hour|kmh|kph|kmph|kilomet(?:er|re)s? (?:per|an) hour",
    "mph": r"mph|mi ?/ ?hr?|miles? (?:per|an) hour",
    "mps": r"m ?/ ?s|met(?:er|re)s? (?:per|a) second",
    "km2": r"km ?2|km\^2|sq\.? km|square kilomet(?:er|re)s?",
    "m2": r"m ?2|m\^2|sq\.? m|square met(?:er|re)s?",
    "km": r"kms?|kilomet(?:er|re)s?",
    "cm": r"cms?|centimet(?:er|re)s?",
    "mm": r"mm|millimet(?:er|re)s?",
    "m": r"m|met(?:er|re)s?",
    "mi": r"mi|miles?",
    "ft": r"ft\.?|feet|foot",
    "kg": r"kgs?|kilos?|kilogram(?:me)?s?",
    "g": r"g|grams?",
    "percent": r"%|percent|per cent",
    "celsius": r"° ?c|degrees? (?:c|celsius)|celsius",
    "fahrenheit": r"° ?f|degrees? (?:f|fahrenheit)|fahrenheit",
    "dollars": r"dollars?|usd",
    "euros": r"euros?|eur",
    "years": r"years?|yrs?",
    "months": r"months?",
    "days": r"days?",
    "hours": r"hours?|hrs?|h",
    "minutes": r"minutes?|mins?",
    "seconds": r"seconds?|secs?|s(?= )",
}
_UNIT = [(name, re.compile(rf"(?<=\d)[ -]?(?:{spellings})(?![\w/^])")) for name, spellings in _UNITS.items()]

# Curly quotes, then hyphens, the dash and the minus sign; a long dash parts clauses.
_MARKS = str.maketrans("\u2018\u2019\u201c\u201d\u2010\u2011\u2013\u2212\u2014", "''\"\"----;")
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:[,\u00a0\u2009\u202f]\d{3})+(?!\d)")
_COMPOUND = re.compile(rf"\b({'|'.join(_TENS)})(?:[ -]({'|'.join(_UNITS_OF_TENS)}))?\b")
_NUMBER_WORD = re.compile(rf"\b(?:{'|'.join(_NUMBER_WORDS)})\b")
_CURRENCY = re.compile(rf"([$€]) ?(\d[\d.]{{0,30}}(?<!\.)(?: (?:{'|'.join(_SCALES)})\b)?)")
_SCALED = re.compile(rf"(?<![\d.])(\d{{1,12}}(?:\.\d{{1,12}})?)[ -]({'|'.join(_SCALES)})\b")
_TRAILING_ZEROS = re.compile(r"(?<![\d.])(\d{1,20})\.(\d{0,20}?)0{1,20}(?![\d.]\d|\d)")
_MONTH = r"(?P<month>" + "|".join(f"{m}|{m[:3]}t?(?=[ .,])" if m != "may" else m for m in _MONTHS) + r")\b\.?"
_DAY = r"(?<![\d.])(?P<day>[0-3]?\d)(?:st|nd|rd|th)?(?![\w])"
_YEAR = r"(?P<year>[12]\d{3})(?![\d\w])"
_DATES = [
    re.compile(rf"{_DAY} (?:day )?(?:of )?{_MONTH}(?:,? {_YEAR})?"),
    re.compile(rf"\b{_MONTH} {_DAY}(?:,? {_YEAR})?"),
    re.compile(rf"\b{_MONTH},? (?:of )?{_YEAR}"),
]
_ISO_DATE = re.compile(r"(?<![\d-])([12]\d{3})-(0[1-9]|1[0-2])-([0-3]\d)(?![\d-])")
_INITIALS = re.compile(r"\b(?:[a-z]\. ?){1,8}[a-z]\.")
_WORD = re.compile(r"\d+(?:st|nd|rd|th|s)\b|(?<![\w.])-?\d+(?:\.\d+)*|[^\W\d_]+[+#]*|[.,;:!?()/]")


def canonicalise(text: str) -> str:
    """The text in the one form; empty if it holds no word at all. Linear in the text's length."""
    text = _THOUSANDS.sub(lambda m: re.sub(r"\D", "", m[0]), text.translate(_MARKS))
    text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    text = " ".join(text.casefold().lower().split())  # Cherokee folds to capitals
    text = re.sub(r"n't\b", " not", text).replace("cannot", "can not")
    text = re.sub(r"'s\b", "", text).replace("'", "")
    text = _canonical_dates(_canonical_numbers(text))
    text = _INITIALS.sub(lambda m: m[0].replace(".", "").replace(" ", "") + " ", text)
    words = _WORD.findall(text)
    return " ".join(words) if any(word not in ".,;:!?()/" for word in words) else ""


def _canonical_numbers(text: str) -> str:
    text = re.sub(r"\bminus (?=\d)", "-", text)
    text = _COMPOUND.sub(lambda m: str(_TENS[m[1]] + _UNITS_OF_TENS.get(m[2] or "", 0)), text)
    text = _NUMBER_WORD.sub(lambda m: _NUMBER_WORDS[m[0]], text)
    text = _CURRENCY.sub(lambda m: f"{m[2]} {'dollars' if m[1] == '$' else 'euros'}", text)
    text = _SCALED.sub(_scaled, text)
    text = _TRAILING_ZEROS.sub(lambda m: f"{m[1]}.{m[2]}".rstrip("."), text)
    for name, unit in _UNIT:
        text = unit.sub(f" {name}", text)
    return text


def _scaled(match: re.Match[str]) -> str:
    value = Decimal(match[1]) * _SCALES[match[2]]
    return str(int(value)) if value == int(value) else match[0]


def _canonical_dates(text: str) -> str:
    text = _ISO_DATE.sub(lambda m: f"{m[1]} {_MONTHS[int(m[2]) - 1]} {int(m[3])}", text)
    for pattern in _DATES:
        text = pattern.sub(_year_first, text)
    return text


def _year_first(match: re.Match[str]) -> str:
    parts = match.groupdict()
    month = next(name for name in _MONTHS if name.startswith(parts["month"][:3]))
    day = str(int(parts["day"])) if parts.get("day") else ""
    return " ".join(part for part in (parts["year"] or "", month, day) if part)
