"""Rewrites dates into one form, year first, and the marks of an era into "bc" and "ad".

    >>> canonical_dates("March 12th, 1931; the 12th of Mar. 1931; 1931-03-12; 12.3.1931; 12 March")
    '1931 March 12; the 1931 March 12; 1931 March 12; 1931 March 12; March 12'
    >>> canonical_eras("44 B.C.E. or AD 79")
    '44 bc or 79 ad'

Year first, so that a gold answer of "1931" or "1931 March" is part of every longer date. A date of three numbers is
read as day, month, year where both orders are possible. Capitals stay.
Not here: numbers in words, and ranges of years (canonical_numbers, which calls this module).
"""

import re

_MONTHS = "January February March April May June July August September October November December".split()

_I = re.IGNORECASE
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
_BC = re.compile(r"(?<=\d|h|s|y) ?(?:b\. ?c\.(?: ?e\.)?|bce?)(?!\w)", _I)
_AD_LAST = re.compile(r"(?<=\d|h|s|y) ?(?:a\. ?d\.|c\. ?e\.|AD|CE)(?!\w)")
_AD_FIRST = re.compile(r"(?<!\w)(?:[aA]\. ?[dD]\.|AD|CE) ?(\d{1,4})(?!\w)")


def canonical_dates(text: str) -> str:
    """The text with its dates as year, month and day, as far as each has them. A date of three numbers
    that cannot be one stays."""
    text = _ISO_DATE.sub(lambda m: _date(m[1], int(m[3]), int(m[4])) or m[0], text)
    text = _DATE_OF_NUMBERS.sub(_day_month_year, text)
    for pattern in _DATES:
        text = pattern.sub(_year_first, text)
    return text


def canonical_eras(text: str) -> str:
    """The text with "bc" or "ad" behind each year that has an era."""
    text = _AD_FIRST.sub(r"\1 ad", text)
    return _AD_LAST.sub(" ad", _BC.sub(" bc", text))


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
