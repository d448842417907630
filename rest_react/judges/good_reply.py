"""Parses a judge's reply to "is this output good?".

    >>> read_good("GOOD: no")
    False
    >>> read_good("Yes, every element is filled in.")
    True
    >>> read_good("Yes and no.") is None
    True

The line `GOOD: ...` counts first, then a JSON object, then a yes or no that opens or closes the reply, then one plain
sentence. An ambiguous reply gives None, never a guess.
Not here: rankings (ranking_reply).
"""

import re

from rest_react.judges.reply_markup import QUOTATION, last_labelled, parse_objects, without_quotations
from rest_react.model_output.thinking import after_thinking

# "no" is no verdict before a noun: "good: no errors found".
_WORD = r"(yes|true|false|no(?![ \t]+(?!(?:or|because|since|as|it|the|this)\b)\w))\b"
_GOOD_LABEL = re.compile(rf"^[^\w\n{{\"']*GOOD\W*{_WORD}", re.IGNORECASE | re.MULTILINE)
_GOOD_IN_LINE = re.compile(
    rf"\bGOOD\W{{0,4}}[:=]\W{{0,4}}{_WORD}(\s*(?:/|\bor\b)\s*(?:yes|no|true|false)\b)?", re.IGNORECASE
)
_STARTS_WITH_WORD = re.compile(r"[\W_]*(yes|no)\b(?=\s*(?:$|[.,;:!\n—–-]))", re.IGNORECASE)
_WORD_ALONE = re.compile(r"[\W_]*(yes|no)[\W_]*", re.IGNORECASE)
_GOOD_SENTENCE = re.compile(r"\boutput is (not |n't )?(?:indeed |clearly )?good\b(?! except| but)", re.IGNORECASE)


def read_good(reply: str) -> bool | None:
    """Whether the judge calls the output good; None if the reply cannot be parsed. Never raises; linear in length."""
    body = after_thinking(reply)
    if body is None:
        return None
    if labelled := _GOOD_IN_LINE.findall("\n".join(map(without_quotations, body.splitlines()))):
        said = {word.lower() in ("yes", "true") for word, _ in labelled}
        return said.pop() if len(said) == 1 and not any(other for _, other in labelled) else None
    if line := last_labelled(_GOOD_LABEL, body):
        return line[1].lower() in ("yes", "true")
    for value in parse_objects(body):
        good = next((item for key, item in value.items() if str(key).lower() in ("good", "is_good")), None)
        if good is not None:
            return {"yes": True, "true": True, "no": False, "false": False}.get(str(good).lower())
    lines = [line for line in body.strip().splitlines() if line.strip()]
    first_word = _STARTS_WITH_WORD.match(lines[0]) if lines else None
    last_word = _WORD_ALONE.fullmatch(lines[-1]) if lines else None
    words = {match[1].lower() for match in (first_word, last_word) if match}
    starts_with = first_word[1].lower() if first_word else ""
    if starts_with == "no" and re.search(r"\byes\b", body, re.IGNORECASE):
        return None
    if starts_with == "yes" and re.search(r"\b(?:so|is|but|then|hence) no\b\W*$", body, re.IGNORECASE):
        return None
    if not words:
        words = {"no" if match[1] else "yes" for match in _GOOD_SENTENCE.finditer(QUOTATION.sub("", body))}
    return words == {"yes"} if len(words) == 1 else None
