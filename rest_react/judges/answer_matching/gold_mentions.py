"""Finds the mentions of a gold answer in an answer, both in canonical words (`cased_words`).

    >>> answer = cased_words("She reigned after Louis the Fourteenth.")
    >>> [answer[start:end] for start, end in find_mentions(answer, ["Louis XIV"], "")]
    ['Louis the 14th']

A mention is the whole gold answer between word boundaries. Three kinds of text contain its letters and are no mention:
a number inside a range, a date or an amount ("1914 to 1918", "March 12", "5 percent" for 5); a name that continues
with a number ("Rocky 2" for Rocky); and an alias that is also a function word ("it", "no", "May"), unless it is the
whole answer or has the alias's own capitals.
Not here: whether the answer asserts what it mentions (assertion).
"""

from collections.abc import Iterable, Sequence

import regex

from rest_react.judges.answer_matching.canonical_numbers import ordinal, roman_numeral, roman_value
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
_NUMBER_BEFORE = regex.compile(rf"(?:\d to |\bwar |\b(?P<month>{_MONTHS}) )$")
_CONTINUATION = regex.compile(rf" (?:to -?\d|bc(?!\S)|(?P<unit>percent|{_MONEY})(?!\S))")
_UNIT = "percent|years|months|weeks|days|hours|minutes|seconds|km|cm|mm|m|mi|ft|kmh|mph|kg|g|lb|people"
_AMOUNT = regex.compile(rf"[-+]?\d[\d.]* (?P<unit>{_UNIT})")
_RANGE_BEFORE = regex.compile(rf"(?<!\S)(?!1[0-9]{{3}} |20[0-9]{{2}} )-?\d[\d.]*(?: (?:{_UNIT}))? to $")
_CHANGES = regex.compile(
    r"\b(?:rose|risen|fell|fallen|grew|grown|climbed|dropped|(?:extend|rais|increas|decreas|lengthen|widen|reduc)ed)\b"
)
_SAME_PLACE = frozenset(  # as the shorter name, or a part of it
    ("great britain", "western australia", "south australia", "north macedonia", "south korea", "north korea")
)
_MONTH_OF_YEAR = regex.compile(rf"\d+ (?:{_MONTHS})")  # a day behind it is part of the same date
_SEQUEL = regex.compile(
    r" \d{1,3}(?!\S)(?! (?:years|months|days|hours|minutes|seconds|km|m|mi|ft|kmh|mph|percent|times|and)\b)"
)
_NEXT_NAME_WORD = regex.compile(r" (\p{Lu}\p{Ll}+)(?!\S)")
_GENERIC_WORDS = frozenset(
    "river city county province state island region company corporation club football band junior senior inc ltd "
    "university was is in on the".split()
)
_ORDINAL = regex.compile(r"(\d{1,4})(?:st|nd|rd|th)")
_WHOLE_ANSWER = regex.compile(r"(?:.{0,200}\b(?:answer|it|this|that) (?:is|was|would be|:) )?(?:: )?(?:the |an? )?")


def answer_words(text: str) -> str:
    """A gold answer or option as canonical words with its capitals, without punctuation and without a leading article.

    "A" alone stays.
    """
    words = [word for word in cased_words(text).split() if word not in MARKS or word in "/|"]
    return " ".join(words[1:] if len(words) > 1 and words[0].lower() in ("the", "a", "an") else words)


def canonical_words(text: str) -> str:
    """`answer_words` in lower case."""
    return lower_case(answer_words(text))


def find_mentions(answer: str, golds: Sequence[str], question: str) -> list[tuple[int, int]]:
    """(start, end) of each mention in the answer, by character offsets, in order.

    `answer` is a result of `cased_words`; `golds` and `question` are raw texts.
    """
    lowered = lower_case(answer)
    question_text = canonicalise(question)
    mentions: dict[int, int] = {}
    by_form = {form: gold for gold in golds if (form := answer_words(gold))}
    function_words = {form for form in by_form if set(lower_case(form).split()) <= _FUNCTION_WORDS}
    for form in function_words:
        mentions |= _alias_mentions(answer, lowered, form)
    if ordinary := [gold for form, gold in by_form.items() if form not in function_words]:
        for match in regex.finditer(pattern_of(ordinary), lowered):
            start, end = match.span()
            longer = _name_continues(answer, start, end) or _ends_a_longer_place(answer, start, end)
            if _stands_alone(lowered, start, end, question_text) and not longer:
                mentions[start] = max(end, mentions.get(start, 0))
    return sorted(mentions.items())


def _alias_mentions(answer: str, lowered: str, form: str) -> dict[int, int]:
    """Mentions of an alias that is a function word: it is the whole answer, or has the alias's own capitals inside a
    sentence."""
    alias = lower_case(form)
    mentions = {}
    all_capitals = answer == answer.upper()
    for match in regex.finditer(rf"(?<!\S){regex.escape(alias)}(?!\S)", lowered):
        start, end = match.span()
        is_whole_answer = lowered[end:].strip(" .!") == "" and _WHOLE_ANSWER.fullmatch(lowered, 0, start)
        own_capitals = answer[start:end] == form and form != alias and not all_capitals and form != "I"
        starts_sentence = start == 0 or answer[start - 2] in ".!?|:"
        if is_whole_answer or (own_capitals and (not starts_sentence or (len(form) > 1 and form.isupper()))):
            mentions[start] = end
    return mentions


def pattern_of(texts: Iterable[str]) -> str:
    """A regular expression for any of the texts in canonical lower case, the longest first."""
    ordered = sorted(set(texts), key=lambda text: (-len(text), text))
    return "|".join(_text_pattern(text) for text in ordered)


def _text_pattern(gold: str) -> str:
    """A regular expression for one text in canonical lower case, without a leading article; punctuation inside it is
    optional."""
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
            continue
        if not (_is_name(before) and token == "the" and _ORDINAL.fullmatch(following)):  # the ordinal's pattern has it
            if before:
                pattern += _between_words(before, token, marks)
            pattern += _word_forms(token, before, last=not following)
            before, marks = token, ""
    return pattern + right_end(words[-1][-1]) + (f"(?: {marks.strip()})?" if marks else "")


def _between_words(before: str, word: str, marks: str) -> str:
    """A regular expression for what may be between two words: the punctuation that the gold answer has there, or one
    mark that separates no clauses. A code may have a space or none: MI6, MI 6."""
    between = rf" (?:{marks}|[.,:|—] )?" if marks else " (?:[.,:|—] )?"
    return f"(?:{between})?" if before.isalpha() and len(before) <= 4 and word.isdecimal() and not marks else between


def _is_name(word: str) -> bool:
    """Whether a number after the word has several forms: Louis XIV, but not "of the 14th"."""
    return word.isalpha() and word not in _FUNCTION_WORDS


def _word_forms(word: str, before: str, last: bool) -> str:
    numbered = _is_name(before)
    if word.isdecimal() and numbered:
        return rf"(?:{word}|(?:the )?{ordinal(int(word))}{_lower_roman(int(word))})" if len(word) < 5 else word
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


def _lower_roman(value: int) -> str:
    """The Roman numeral in lower case as another form ("george vi"), if it is more than a letter: those are words."""
    numeral = roman_numeral(value).lower() if 0 < value < 4000 else ""
    return f"|{numeral}" if len(numeral) > 1 else ""


def _name_continues(answer: str, start: int, end: int) -> bool:
    """Whether the next word belongs to the name: Paris Hilton for Paris.

    A place, a kind of thing (Hudson River) or a title (Junior) does not change the name. If every word of the answer
    has a capital, capitals say nothing.
    """
    next_word = _NEXT_NAME_WORD.match(answer, end)
    if (
        next_word is None
        or not answer[start].isupper()
        or answer[end - 1].isdigit()
        or (answer == answer.title() and answer.count(" ") > 4)
    ):
        return False
    return lower_case(next_word[1]) not in _GENERIC_WORDS and place_level(next_word[1]) == 0


def _ends_a_longer_place(answer: str, start: int, end: int) -> bool:
    """Whether the mention ends the name of another place: West Virginia for Virginia."""
    before = answer[max(0, start - 60) : start].split()[-2:]
    names = [" ".join(before[-count:]) for count in range(1, len(before) + 1)]
    longer = [f"{name} {answer[start:end]}" for name in names if name[0].isupper()]
    return any(place_level(name) > 0 and lower_case(name) not in _SAME_PLACE for name in longer)


def _stands_alone(lowered: str, start: int, end: int, question_text: str) -> bool:
    """Whether the match is not part of a longer number, date, amount or title."""
    answer = lowered[start:end]
    continuation = _CONTINUATION.match(lowered, end)
    if continuation and continuation[0].startswith(" bc"):
        return False
    if not regex.fullmatch(r"[-+]?\d+(?:[.,]\d+)*s?", answer):
        amount = _AMOUNT.fullmatch(answer)
        changes = _CHANGES.search(lowered, max(0, start - 80), start)  # "It rose from 5 to 7 km"
        if (
            amount
            and not changes
            and (
                _RANGE_BEFORE.search(lowered, max(0, start - 30), start)
                or regex.compile(rf" to -?\d[\d.]* {amount['unit']}(?!\S)").match(lowered, end)
            )
        ):
            return False  # "5 to 7 km" for 7 km
        continues = _SEQUEL.match(lowered, end) and not _MONTH_OF_YEAR.fullmatch(answer)
        return answer[-1].isdigit() or not continues
    before = _NUMBER_BEFORE.search(lowered, max(0, start - 12), start)
    if before and (not before["month"] or (answer.isdigit() and int(answer[:9]) <= 31)):
        return False
    if continuation is None:
        return True
    unit = continuation["unit"]
    if unit == "percent":
        return "percent" in question_text
    return bool(unit) and (unit in question_text.split() or _ASKS_MONEY.search(question_text) is not None)
