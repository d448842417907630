"""Where a gold answer stands in an answer, both as `cased_words` writes them.

    >>> said = cased_words("She reigned after Louis the Fourteenth.")
    >>> [said[start:end] for start, end in find_mentions(said, ["Louis XIV"], "")]
    ['Louis the 14th']

A mention is the whole gold answer between word boundaries. Three kinds of text are no mention although they hold its
letters: a number inside a range, a date or an amount ("1914 to 1918", "March 12", "5 percent" for 5); a name that goes
on with a number ("Rocky 2" for Rocky); and a word such as "it", "no" or "May" that also is an alias, unless it is the
whole answer or written with the alias's own capitals.
Not here: whether the answer asserts what it mentions (assertion).
"""

from collections.abc import Iterable, Sequence

import regex

from rest_react.judges.answer_matching.canonical_numbers import ordinal, roman_value
from rest_react.judges.answer_matching.canonical_text import MARKS, canonicalise, cased_words, lower_case
from rest_react.judges.answer_matching.place_names import place_level
from rest_react.judges.answer_matching.word_forms_by_script import left_end, right_end, word_pattern

_FUNCTION_WORDS = frozenset(
    "a about after all also am an and any are as at be been before being both but by can could did do does each "
    "either for from had has have he her here him his how i if in into is it its let may me might more most must my "
    "neither no nor not of off oh ok on once one only or other our out over own same shall she should so some such "
    "than that the their them then there these they this those to too under until up us very was we were what when "
    "where which while who whom whose why will with would yes you your".split()
)
_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_MONEY = "dollars|euros|pounds|yen|yuan|rupees|won|rubles|aud|cad|nzd|hkd|sgd|brl|mxn|twd|cents"
_ASKS_MONEY = regex.compile(
    r"\b(?:cost|costs|price|prices|paid|pay|sold|worth|much|salary|budget|gross|grossed|earn)\b"
)
_PART_OF_A_NUMBER = regex.compile(rf"(?:\d to |\bwar |\b(?P<month>{_MONTHS}) )$")
_GOES_ON = regex.compile(rf" (?:to -?\d|bc(?!\S)|(?P<unit>percent|{_MONEY})(?!\S))")
_SEQUEL = regex.compile(
    r" \d{1,3}(?!\S)(?! (?:years|months|days|hours|minutes|seconds|km|m|mi|ft|kmh|mph|percent|times|and)\b)"
)
_FURTHER_WORD = regex.compile(r" (\p{Lu}\p{Ll}+)(?!\S)")
_SAME_THING = frozenset(
    "river city county province state island region company corporation club football band junior senior inc ltd "
    "university was is in on the".split()
)
_ORDINAL = regex.compile(r"(\d{1,4})(?:st|nd|rd|th)")
_IS_WHOLE = regex.compile(r"(?:.{0,200}\b(?:answer|it|this|that) (?:is|was|would be|:) )?(?:: )?(?:the |an? )?")


def plain_words(text: str) -> str:
    """A gold answer or option with its capitals as words alone, without a leading article ("A" itself stays)."""
    words = [word for word in cased_words(text).split() if word not in MARKS or word in "/|"]
    return " ".join(words[1:] if len(words) > 1 and words[0].lower() in ("the", "a", "an") else words)


def find_mentions(said: str, golds: Sequence[str], question: str) -> list[tuple[int, int]]:
    """Start and end of each mention of a gold answer (as it is written, not yet canonical) in the answer."""
    low = lower_case(said)
    asked = canonicalise(question)
    found: dict[int, int] = {}
    by_plain = {plain: gold for gold in golds if (plain := plain_words(gold))}
    function_words = {plain for plain in by_plain if set(lower_case(plain).split()) <= _FUNCTION_WORDS}
    for plain in function_words:
        found |= _alias_mentions(said, low, plain)
    if ordinary := [gold for plain, gold in by_plain.items() if plain not in function_words]:
        for match in regex.finditer(pattern_of(ordinary), low):
            if _stands_alone(low, match.start(), match.end(), asked) and not _name_goes_on(said, *match.span()):
                found[match.start()] = max(match.end(), found.get(match.start(), 0))
    return sorted(found.items())


def _alias_mentions(said: str, low: str, plain: str) -> dict[int, int]:
    """A function word as an alias: the whole answer, or with the alias's own capitals inside a sentence."""
    alias = lower_case(plain)
    found = {}
    shouted = said == said.upper()
    for match in regex.finditer(rf"(?<!\S){regex.escape(alias)}(?!\S)", low):
        start, end = match.span()
        whole = low[end:].strip(" .!") == "" and _IS_WHOLE.fullmatch(low, 0, start)
        own = said[start:end] == plain and plain != alias and not shouted and plain != "I"
        opens = start == 0 or said[start - 2] in ".!?|:"
        if whole or (own and (not opens or (len(plain) > 1 and plain.isupper()))):
            found[start] = end
    return found


def pattern_of(texts: Iterable[str]) -> str:
    """Matches any of the texts in canonical lower case, the longest first."""
    ordered = sorted(set(texts), key=lambda text: (-len(text), text))
    return "|".join(_pattern(text) for text in ordered)


def _pattern(gold: str) -> str:
    """Matches one text in canonical lower case, marks inside it or not, without a leading article."""
    tokens = lower_case(cased_words(gold)).split()
    words = [token for token in tokens if token not in MARKS or token in "/|"]
    if len(words) > 1 and words[0] in ("the", "a", "an"):
        tokens = tokens[tokens.index(words.pop(0)) + 1 :]
    if words in (["1"], ["one"]):  # as a number word, "one" is mostly a pronoun
        return r"(?<!\S)(?:1|(?<!the )(?<!no )one(?! of))(?!\S)"
    pattern, marks, before = left_end(words[0][0]), "", ""
    for i, token in enumerate(tokens):
        following = tokens[i + 1] if i + 1 < len(tokens) else ""
        if token in MARKS and token not in "/|":
            marks += f"{regex.escape(token)} "
        elif not (
            _is_name(before) and token == "the" and _ORDINAL.fullmatch(following)
        ):  # part of the ordinal's own pattern
            if before:
                pattern += _joint(before, token, marks)
            pattern += _word(token, before, last=not following)
            before, marks = token, ""
    return pattern + right_end(words[-1][-1]) + (f"(?: {marks.strip()})?" if marks else "")


def _joint(before: str, word: str, marks: str) -> str:
    """What may stand between two words: the marks that the gold answer has there, or one that parts no clauses. A code
    may be written together or apart: MI 6."""
    between = rf" (?:{marks}|[.,:|—] )?" if marks else " (?:[.,:|—] )?"
    return f"(?:{between})?" if before.isalpha() and len(before) <= 4 and word.isdecimal() and not marks else between


def _is_name(word: str) -> bool:
    """Whether a number behind the word may be written in several ways: Louis XIV, but not "of the 14th"."""
    return word.isalpha() and word not in _FUNCTION_WORDS


def _word(word: str, before: str, last: bool) -> str:
    numbered = _is_name(before)
    if word.isdecimal() and numbered:
        return rf"(?:{word}|(?:the )?{ordinal(int(word[-18:]))})" if len(word) < 5 else word
    if numbered and (n := _ORDINAL.fullmatch(word)):
        letter = {"1": "|i", "5": "|v", "10": "|x"}.get(n[1], "") if last else ""
        return rf"(?:{n[1]}|(?:the )?{word}{letter})"
    value = roman_value(word.upper()) if numbered and set(word) <= set("ivx") else 0
    if value and len(word) > 1:
        return rf"(?:{word}|{value}|(?:the )?{ordinal(value)})"
    if value and last:
        return rf"(?:{word}|the {ordinal(value)})"
    if code := regex.fullmatch(r"([b-hj-z]|[a-z]{2,4})(\d+)", word):
        return rf"{code[1]} ?{code[2]}"
    return word_pattern(word)


def _name_goes_on(said: str, start: int, end: int) -> bool:
    """Whether a name has a further word: Paris Hilton for Paris. A place behind it, a kind of thing (Hudson River) or a
    title (Junior) leaves it the same, and in an answer that has capitals everywhere they say nothing."""
    further = _FURTHER_WORD.match(said, end)
    if (
        further is None
        or not said[start].isupper()
        or said[end - 1].isdigit()
        or (said == said.title() and said.count(" ") > 4)
    ):
        return False
    return lower_case(further[1]) not in _SAME_THING and place_level(further[1]) == 0


def _stands_alone(low: str, start: int, end: int, asked: str) -> bool:
    """Whether what is matched there is no part of a longer number, date, amount or title."""
    said = low[start:end]
    goes_on = _GOES_ON.match(low, end)
    if goes_on and goes_on[0].startswith(" bc"):
        return False
    if not regex.fullmatch(r"[-+]?\d+(?:[.,]\d+)*s?", said):
        return said[-1].isdigit() or _SEQUEL.match(low, end) is None
    before = _PART_OF_A_NUMBER.search(low, max(0, start - 12), start)
    if before and (not before["month"] or (said.isdigit() and int(said[:9]) <= 31)):
        return False
    if goes_on is None:
        return True
    unit = goes_on["unit"]
    if unit == "percent":
        return "percent" in asked
    return bool(unit) and (unit in asked.split() or _ASKS_MONEY.search(asked) is not None)
