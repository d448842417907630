"""Parses a judge's rating from 1 to 5.

    >>> read_rating("The tone is warm.\\nRATING: 4")
    4
    >>> read_rating("4/5") , read_rating("3 or 4") is None
    (4, True)

The last line `RATING: ...` counts first, then a JSON object, then a reply that is one whole number, alone or "of 5".
Any other reply gives None, never a guess; so does a number outside 1 to 5, or a half one.
Not here: other replies of judges (good_reply, verdict_reply, ranking_reply).
"""

import re

from rest_react.judges.reply_markup import last_labelled, parse_objects, strip_wrappers
from rest_react.model_output.thinking import after_thinking

LOWEST, HIGHEST = 1, 5
_LABELLED = re.compile(
    r"^[^\w\n]*RATING\W*?[:=]?[\s*\"'`]*(?<![:=]-)(?<![:=] -)(\d+(?:\.\d+)?)"
    r"(?!\s*(?:or|-|–|to)\s*\d)(?!\s*(?:/|out of|of)\s*(?!5\b)\d)\b",
    re.IGNORECASE | re.MULTILINE,
)
_ALONE = re.compile(r"[\s*\"'`(]*(\d+)(?:\s*(?:/|out of|of)\s*5)?[\s*\"'`.)]*", re.IGNORECASE)


def read_rating(reply: str) -> int | None:
    """The rating; None if the reply has none. Never raises."""
    body = after_thinking(reply)
    if body is None:
        return None
    body = strip_wrappers(body)
    if line := last_labelled(_LABELLED, body):
        return _whole(line[1])
    for value in parse_objects(body):
        given = next((item for key, item in value.items() if str(key).lower() == "rating"), None)
        if given is not None:
            return _whole(str(given))
    alone = _ALONE.fullmatch(body)
    return _whole(alone[1]) if alone else None


def _whole(number: str) -> int | None:
    return int(number) if re.fullmatch(f"[{LOWEST}-{HIGHEST}]", number) else None
