"""Rewrites amounts in digits into one form: scale words multiplied out, money, and measures with one name of a unit.

    >>> canonical_measures(canonical_money("US$1.2 billion for 320 km/h or 5 kilos"))
    '1200000000 dollars for 320 kmh or 5 kg'

Units are not converted: 1 km and 1000 m stay different, and a dollar sign alone is a US dollar. Capitals stay.
Not here: numbers in words (canonical_numbers, which calls this module).
"""

import re
from decimal import Decimal

SCALES = {
    "hundred": 10**2, "thousand": 10**3, "lakh": 10**5, "million": 10**6, "crore": 10**7, "billion": 10**9,
    "trillion": 10**12, "dozen": 12,
}  # fmt: skip
_CURRENCIES = {
    "$": "dollars", "€": "euros", "£": "pounds", "¥": "yen", "₹": "rupees", "₩": "won", "₽": "rubles", "¢": "cents",
    "US$": "dollars", "A$": "aud", "AU$": "aud", "C$": "cad", "CA$": "cad", "NZ$": "nzd", "HK$": "hkd", "S$": "sgd",
    "SG$": "sgd", "R$": "brl", "MX$": "mxn", "NT$": "twd", "CN¥": "yuan", "RMB¥": "yuan", "JP¥": "yen",
}  # fmt: skip
_MONEY_SCALES = {"k": "thousand", "m": "million", "mn": "million", "bn": "billion", "b": "billion", "tn": "trillion"}
_UNITS = {
    "kmh": r"km ?/ ?hr?|km/hour|kmh|kph|kmph|kilomet(?:er|re)s? (?:per|an) hour",
    "mph": r"mph|mi ?/ ?hr?|miles? (?:per|an) hour",
    "kmps": r"km ?/ ?s(?:ec)?|kilomet(?:er|re)s? (?:per|a) second",
    "mps": r"m ?/ ?s|met(?:er|re)s? (?:per|a) second",
    "km2": r"km ?\^?2|sq\.? km|square kilomet(?:er|re)s?",
    "mi2": r"mi ?\^?2|sq\.? mi(?:les?)?|square miles?",
    "m2": r"m ?\^?2|sq\.? m|square met(?:er|re)s?",
    "m3": r"m ?\^?3|cubic met(?:er|re)s?",
    "km": r"kms?|kilomet(?:er|re)s?",
    "cm": r"cms?|centimet(?:er|re)s?",
    "mm": r"mm|millimet(?:er|re)s?",
    "m": r"(?-i:m)|met(?:er|re)s?",
    "mi": r"mi|miles?",
    "ft": r"ft\.?|feet|foot",
    "inch": r"inch(?:es)?",
    "kg": r"kgs?|kilos?|kilogram(?:me)?s?",
    "g": r"(?-i:g)|grams?",
    "lb": r"lbs?\.?",
    "milliwatt": r"(?-i:mW)|milliwatts?",
    "megawatt": r"(?-i:MW)|megawatts?",
    "kilowatt": r"kW|kilowatts?",
    "megabyte": r"(?-i:MB)|megabytes?",
    "megabit": r"(?-i:Mb)|megabits?",
    "gigabyte": r"(?-i:GB)|gigabytes?",
    "gigabit": r"(?-i:Gb)|gigabits?",
    "percent": r"%|percent|per cent",
    "celsius": r"° ?c|degrees? (?:c|celsius)|celsius",
    "fahrenheit": r"° ?f|degrees? (?:f|fahrenheit)|fahrenheit",
    "aud": r"aud|australian dollars?",
    "cad": r"cad|canadian dollars?",
    "nzd": r"nzd|new zealand dollars?",
    "hkd": r"hkd|hong kong dollars?",
    "sgd": r"sgd|singapore dollars?",
    "dollars": r"(?:us |u\. ?s\. |american )?dollars?|usd",
    "euros": r"euros?|eur",
    "pounds": r"pounds?(?: sterling)?|gbp",
    "yen": r"(?:japanese )?yen|jpy",
    "yuan": r"(?:chinese )?yuan|rmb|cny|renminbi",
    "rupees": r"(?:indian )?rupees?|inr",
    "rubles": r"(?:russian )?rou?bles?|rub",
    "years": r"years?|yrs?",
    "months": r"months?",
    "days": r"days?",
    "hours": r"hours?|hrs?|(?-i:h)",
    "minutes": r"minutes?|mins?",
    "seconds": r"seconds?|secs?",
}
_CURRENCY_CODES = "usd aud cad nzd hkd sgd eur gbp jpy cny rmb inr rub rs".split()
_UNIT_NAMES = list(_UNITS)

_I = re.IGNORECASE
_SCALE_WORDS = "|".join(SCALES)
_NUMBER_AND_SCALE = re.compile(rf"(?<![\w.])(\d{{1,15}}(?:\.\d{{1,12}})?)((?:[ -](?:{_SCALE_WORDS})s?)+)\b", _I)
_NUMBER = r"\d{1,30}(?:\.\d{1,30})?"
_SIGNS = "|".join(map(re.escape, sorted(_CURRENCIES, key=len, reverse=True)))
_CURRENCY_SIGN_FIRST = re.compile(
    rf"(?<![\w$])({_SIGNS}) ?({_NUMBER})"
    rf"(?: ?(k|mn?|bn?|tn)(?!\w)|[ -]({_SCALE_WORDS})\b)?",
    _I,
)
_CURRENCY_SIGN_LAST = re.compile(rf"(?<![\w.])({_NUMBER}) ?([$€£¥₹₩₽¢])(?! ?[\d])")
_CURRENCY_CODE_FIRST = re.compile(rf"(?<!\w)({'|'.join(_CURRENCY_CODES)})\.? ?({_NUMBER})(?![\w.])", _I)
_MEASURE = re.compile(
    rf"(?<![\w.])({_NUMBER})(?:[ -]?(?:" + "|".join(f"({spellings})" for spellings in _UNITS.values())
    + r")| ((?-i:s)))(?![\w/^])", _I
)  # fmt: skip
_TIMES = ("years", "months", "days", "hours", "minutes", "seconds")
_BEHIND_NUMBER = re.compile(
    rf" ?[$€£¥₹₩₽¢](?!\w)|(?:[ -](?:{_SCALE_WORDS})\b)*(?:[ -]?(?:"
    + "|".join(spellings for unit, spellings in _UNITS.items() if unit not in _TIMES)
    + r"| degrees?)(?![\w/^]))?", _I
)  # fmt: skip


def canonical_money(text: str) -> str:
    """The text with scale words multiplied out ("1.5 million") and amounts of money as digits and a currency. Reads
    digits without groups."""
    text = _NUMBER_AND_SCALE.sub(_multiply_by_scale, text)
    text = _CURRENCY_SIGN_FIRST.sub(_money, text)
    text = _CURRENCY_SIGN_LAST.sub(lambda m: f"{decimal_text(Decimal(m[1]))} {_CURRENCIES[m[2]]}", text)
    text = _CURRENCY_CODE_FIRST.sub(lambda m: f"{m[2]} {'rupees' if m[1].lower() == 'rs' else m[1]}", text)
    return _NUMBER_AND_SCALE.sub(_multiply_by_scale, text)


def canonical_measures(text: str) -> str:
    """The text with one name for each unit behind a number."""
    return _MEASURE.sub(_measure, text)


def end_of_amount(text: str, number: int) -> int:
    """Where an amount ends whose number ends at offset `number`: behind its scale words and its unit or currency
    ("5 million dollars"), without units of time, since "45 years" and "45" say the same."""
    behind = _BEHIND_NUMBER.match(text, number)
    return behind.end() if behind else number


def decimal_text(value: Decimal) -> str:
    """The number in digits, without an exponent and without trailing zeros of a fraction."""
    return f"{value.normalize():f}"


def _multiply_by_scale(match: re.Match[str]) -> str:
    value = Decimal(match[1])
    for scale in re.split("[ -]", match[2].strip(" -").lower()):
        value *= SCALES[scale.removesuffix("s")]
    return decimal_text(value) if value == int(value) and value < 10**30 else match[0]


def _money(match: re.Match[str]) -> str:
    scale = _MONEY_SCALES.get((match[3] or "").lower()) or (match[4] or "").lower()
    return f"{decimal_text(Decimal(match[2]) * SCALES.get(scale, 1))} {_CURRENCIES[match[1].upper()]}"


def _measure(match: re.Match[str]) -> str:
    unit = "seconds" if match[match.re.groups] else _UNIT_NAMES[(match.lastindex or 2) - 2]
    return f"{decimal_text(Decimal(match[1]))} {unit}"
