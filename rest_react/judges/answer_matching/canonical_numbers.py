"""Rewrites numbers, ordinals, amounts of money, measures, years and dates in a text into one canonical form each.

    >>> canonical_numbers("Louis XIV paid US$1.2 billion on March 12th, 1931, the twenty-first time since 44 BCE.")
    'Louis 14 paid 1200000000 dollars on 1931 March 12, the 21st time since 44 bc.'

Capitals stay. A date is written year first, so that a gold answer of "1931" or "1931 March" is part of every longer
date. A date of three numbers is read as day, month, year where both orders are possible.
Not here: letters, accents, signs and words (canonical_text, which calls this module).
"""

import re
from decimal import Decimal

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_CARDINALS = {word: n for n, word in enumerate(_SMALL)} | {word: 10 * n for n, word in enumerate(_TENS, start=2)}
_SCALES = {
    "hundred": 10**2, "thousand": 10**3, "lakh": 10**5, "million": 10**6, "crore": 10**7, "billion": 10**9,
    "trillion": 10**12, "dozen": 12,
}  # fmt: skip
_ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fifth": 5, "eighth": 8, "ninth": 9, "twelfth": 12, "hundredth": 100,
    "thousandth": 1000,
    **{f"{word}th": n for word, n in _CARDINALS.items() if n in (4, 6, 7, 10, 11) or 12 < n < 20},
    **{f"{word[:-1]}ieth": n for word, n in _CARDINALS.items() if n >= 20},
}  # fmt: skip
_MONTHS = "January February March April May June July August September October November December".split()
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
_SCALE_WORDS = "|".join(_SCALES)
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
_NUMBER_AND_SCALE = re.compile(rf"(?<![\w.])(\d{{1,15}}(?:\.\d{{1,12}})?)((?:[ -](?:{_SCALE_WORDS})s?)+)\b", _I)
_NUMBER = r"\d{1,30}(?:\.\d{1,30})?"
_CURRENCY_SIGN_FIRST = re.compile(
    rf"(?<![\w$])((?:US|AU?|CA?|NZ|HK|SG?|R|MX|NT|CN|RMB|JP)?[$€£¥₹₩₽¢]) ?({_NUMBER})"
    rf"(?: ?(k|mn?|bn?|tn)(?!\w)|[ -]({_SCALE_WORDS})\b)?",
    _I,
)
_CURRENCY_SIGN_LAST = re.compile(rf"(?<![\w.])({_NUMBER}) ?([$€£¥₹₩₽¢])(?! ?[\d])")
_CURRENCY_CODE_FIRST = re.compile(rf"(?<!\w)({'|'.join(_CURRENCY_CODES)})\.? ?({_NUMBER})(?![\w.])", _I)
_MEASURE = re.compile(
    rf"(?<![\w.])({_NUMBER})(?:[ -]?(?:" + "|".join(f"({spellings})" for spellings in _UNITS.values())
    + r")| ((?-i:s)))(?![\w/^])", _I
)  # fmt: skip
# "may" is a month only if a number follows it.
_MONTH = (
    r"(?P<month>"
    + "|".join(f"{m}|{m[:3]}t?(?![a-z])" if m != "May" else r"(?-i:May)|may(?=,? \d)" for m in _MONTHS)
    + r")\b\.?"
)
_DAY = r"(?<![\w.])(?P<day>[0-3]?\d)(?:st|nd|rd|th)?(?!\w)"
_YEAR = r"(?P<year>[12]\d{3})(?![\d\w])"
_DATES = [
    re.compile(
        rf"{_DAY}[ -](?:day )?(?:of )?{_MONTH}(?:(?:,? |-){_YEAR}| (?P<early>[1-9]\d{{2}})(?!\w|[.,]\d| people))?", _I
    ),
    re.compile(rf"(?<!\d{{4}} )\b{_MONTH}[ -](?:the )?{_DAY}(?:,? {_YEAR})?", _I),
    re.compile(rf"(?<!\d{{4}} )\b{_MONTH}(?:,? (?:of )?|-){_YEAR}", _I),
]
_ISO_DATE = re.compile(r"(?<![\d-])([12]\d{3})([-/.])(0?[1-9]|1[0-2])\2([0-3]?\d)(?![\d-]|[./]\d)")
_DATE_OF_NUMBERS = re.compile(r"(?<![\d./-])([0-3]?\d)([-/.])([0-3]?\d)\2([12]\d{3})(?![\d/-]|\.\d)")
_FROM_TO = re.compile(r"\b(?:from|between) (\d{1,12}) (?:to|until|till|through|and) (?=\d)", _I)
_RANGE = re.compile(r"(?<![\w.,-])(\d{1,12}(?:\.\d{1,9})?s?)(?: ?- ?| to )(\d{1,12}(?:\.\d{1,9})?)(?![.,]?\d|-\d)")
_BC = re.compile(r"(?<=\d|h|s|y) ?(?:b\. ?c\.(?: ?e\.)?|bce?)(?!\w)", _I)
_AD_LAST = re.compile(r"(?<=\d|h|s|y) ?(?:a\. ?d\.|c\. ?e\.|AD|CE)(?!\w)")
_AD_FIRST = re.compile(r"(?<!\w)(?:[aA]\. ?[dD]\.|AD|CE) ?(\d{1,4})(?!\w)")
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
    text = _MIXED_FRACTION.sub(lambda m: _decimal_text(Decimal(m[1]) + Decimal(m[2]) / Decimal(m[3])), text)
    text = _NUMBER_AND_SCALE.sub(_multiply_by_scale, text)
    text = _CURRENCY_SIGN_FIRST.sub(_money, text)
    text = _CURRENCY_SIGN_LAST.sub(lambda m: f"{_decimal_text(Decimal(m[1]))} {_CURRENCIES[m[2]]}", text)
    text = _CURRENCY_CODE_FIRST.sub(lambda m: f"{m[2]} {'rupees' if m[1].lower() == 'rs' else m[1]}", text)
    text = _NUMBER_AND_SCALE.sub(_multiply_by_scale, text)
    text = _canonical_dates(text)
    text = _MEASURE.sub(_measure, text)
    text = _FROM_TO.sub(r"\1 to ", text)
    text = _RANGE.sub(_range, text)
    text = _AD_FIRST.sub(r"\1 ad", text)
    return _AD_LAST.sub(" ad", _BC.sub(" bc", text))


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
    if words == ["one"] or (len(words) == 1 and words[0] in _SCALES):
        return match[0]
    if words == ["second"] and _TIME_BEFORE.search(match.string, max(0, match.start() - 8), match.start()):
        return match[0]
    numbers: list[str] = []
    total, group, started = 0, 0, False
    for word in words:
        value = _CARDINALS.get(word, _ORDINALS.get(word))
        if value is None:
            scale = _SCALES[word]
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


def _decimal_text(value: Decimal) -> str:
    """The number in digits, without an exponent and without trailing zeros of a fraction."""
    return f"{value.normalize():f}"


def _multiply_by_scale(match: re.Match[str]) -> str:
    value = Decimal(match[1])
    for scale in re.split("[ -]", match[2].strip(" -").lower()):
        value *= _SCALES[scale.removesuffix("s")]
    return _decimal_text(value) if value == int(value) and value < 10**30 else match[0]


def _money(match: re.Match[str]) -> str:
    scale = _MONEY_SCALES.get((match[3] or "").lower()) or (match[4] or "").lower()
    return f"{_decimal_text(Decimal(match[2]) * _SCALES.get(scale, 1))} {_CURRENCIES[match[1].upper()]}"


def _measure(match: re.Match[str]) -> str:
    unit = "seconds" if match[match.re.groups] else _UNIT_NAMES[(match.lastindex or 2) - 2]
    return f"{_decimal_text(Decimal(match[1]))} {unit}"


def _range(match: re.Match[str]) -> str:
    """Two numbers as "a to b"; 1914-18 ends in 1918."""
    first, last = match[1], match[2]
    if len(first) == 4 and first.isdigit() and len(last) == 2 and last.isdigit() and last > first[2:]:
        last = first[:2] + last
    return f"{first} to {last}"


def _canonical_dates(text: str) -> str:
    text = _ISO_DATE.sub(lambda m: _date(m[1], int(m[3]), int(m[4])) or m[0], text)
    text = _DATE_OF_NUMBERS.sub(_day_month_year, text)
    for pattern in _DATES:
        text = pattern.sub(_year_first, text)
    return text


def _date(year: str, month: int, day: int) -> str:
    return f"{year} {_MONTHS[month - 1]} {day}" if 1 <= month <= 12 and 1 <= day <= 31 else ""


def _day_month_year(match: re.Match[str]) -> str:
    day, month = int(match[1]), int(match[3])
    return _date(match[4], month, day) or _date(match[4], day, month) or match[0]


def _year_first(match: re.Match[str]) -> str:
    parts = match.groupdict()
    month = next(name for name in _MONTHS if name.lower().startswith(parts["month"][:3].lower()))
    day = str(int(parts["day"])) if parts.get("day") else ""
    return " ".join(part for part in (parts["year"] or parts.get("early") or "", month, day) if part)
