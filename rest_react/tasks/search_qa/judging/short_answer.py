"""The answer in short: the part of a long-form answer that answers the question, so that answers can be compared.

    >>> short_answer("Where was Ada's teacher born?", "Her teacher is Bob Lin [link_id=1]. Bob Lin was born in Vell.")
    'Vell'
    >>> short_answer("Where was Ada's teacher born?", "Her teacher is Bob Lin. Where Bob Lin was born is unknown.")
    ''

Rules, in English: no model is asked. They look for names, numbers and dates; of "Ada Mell played the violin" where the
question names no player they take the name.
Not here: whether two answers are the same (selection.trajectory_signals.agreement).
"""

import re
from collections.abc import Collection, Sequence
from itertools import islice, pairwise

import regex

from rest_react.judges.answer_matching.assertion import admits_ignorance
from rest_react.judges.answer_matching.canonical_amounts import end_of_amount
from rest_react.metrics.text_match import strip_citations

# A sentence does not end behind "J." before a name, nor behind "St." and "No." before a number; but behind a numeral
# ("Edward V."), and before a word that begins a sentence, it does.
_INITIAL = (
    r"(?:(?<!\p{Lu}[\w.]* |\b(?:vitamin|hepatitis|plan) |\.)\b\p{Lu}"
    r"|(?<!\b(?:Serie|Group|Team|Vitamin|Hepatitis|U\.|D\.|A\.|B\.) ?)\b(?![IVX])\p{Lu}"
    r"|\b(?:St|Mt|Ft|Dr|Mr|Mrs|Ms|Prof))\."
)
_BEGINS = r"(?=\s+(?:Yes|No|He|She|It|They|The|An?|His|Her|This|That|In|But)\b)"
_NOT_AN_END = rf"(?:(?<!{_INITIAL})|{_BEGINS})(?!(?<=\bNo\.)\s+\d)"
_NEXT_CLAIM = regex.compile(rf"(?<=[.;!?]){_NOT_AN_END}\s+(?=\w)")
_NEXT_SENTENCE = regex.compile(rf"(?<=[.!?]){_NOT_AN_END}\s+(?=\w)")
# What may begin an aside that the answer does not depend on: "Ada Mell, but the links do not say when".
_ASIDE = re.compile(r",? \(?\b(?:but|though|although|however|while|whereas|and)\b|[;—(]|, (?=(?:the|no|I|it|whose)\b)")
_TURN = re.compile(r",? (?:but|though|although|however)\b")
_MOST_ASIDES = 20
_COMPARES = re.compile(
    r"\b(?:first|last|sooner|earlier|later|older|younger|more|less|fewer|\w+er than)\b", re.IGNORECASE
)
# "No" answers before punctuation or a pronoun; in "No. 1" and "No link says" it does not.
_YES_OR_NO = re.compile(
    r"yes\b|no(?=\s*(?:$|[,;:!–—-]|\.(?!\s*\d))|\s+(?:it|they|he|she|both|neither|only|not|there|the|these|this)\b)",
    re.IGNORECASE,
)
_CHOICE = re.compile(r"\bor\b|\bbetween\b", re.IGNORECASE)
_ASKS_NUMBER = re.compile(r"\b(?:when|how (?:many|much|old|long)|(?:what|which) (?:year|date|number))\b", re.IGNORECASE)
_DIGIT = re.compile(r"\d")
_HEAD = re.compile(r"([^:\[\]]{1,120}): ")  # "Red Sun: its date is 1971, that of the other is 2014."
# "2,000", "C++", and "J." or "St." before a name are one word each.
_BEFORE_NAME = r"(?:\b(?:\p{Lu}|St|Mt|Ft|Dr)\.)+(?=\s\p{Lu})"
_WORD = regex.compile(rf"{_BEFORE_NAME}|\w+(?:[-'’.]\w+|(?<=\d),\d{{3}}(?!\d))*(?:\+\+|\#(?!\w))?")
_SIGN_BEFORE = re.compile(r"(?:(?<!\w)[-\u2212+])?(?:(?<!\w)[A-Z]{0,3}[$€£¥₹])?$")  # of an amount: "-5", "US$5"
_LONGEST_SIGN = 6
_BETWEEN_NAMES = re.compile(r",? | (?:of|of the|the|de|van|von|and|&) ")
_FUNCTION_WORDS = frozenset(
    "a an and are as at be been both but by did do does for from had has have he her his how i in is it its not now of "
    "on or she so that the their there they this to was we were what when where which who whom whose why with".split()
)
# Capitalised at the beginning of a claim, and no names there: "Therefore, Ada Mell founded Vell."
_OPENERS = frozenset(
    "accordingly according altogether although based because consequently finally hence overall since therefore thus "
    "together ultimately".split()
)


def short_answer(question: str, answer: str) -> str:
    """The part of a long-form answer that answers the question.

    `yes` or `no` where its first or last claim begins so; nothing where the last claim says that the answer is not
    known; the head of its last claim ("Red Sun: ...") where the question offers it as a choice; else the last name or
    number of its last claim that the question and the earlier claims do not have, or that the question does not have,
    and of these the last with a digit where the question asks for a time or a number. Where there is none: the first
    name, if the question offers a choice; the new words; the claim."""
    choice = bool(_CHOICE.search(question))
    # "Ada Mell was born first, in 1800; the other in 1806." is one claim about the choice.
    split = _NEXT_SENTENCE if choice else _NEXT_CLAIM
    claims = [claim for claim in split.split(strip_citations(answer)) if _WORD.search(claim)]
    if not claims:
        return ""
    told = [_told(claim, question) for claim in claims]
    for claim in (told[-1], told[0]):
        if found := _YES_OR_NO.match(claim):
            return found[0].lower()
    if not told[-1]:
        return ""
    claims[-1] = told[-1]
    if choice and (head := _HEAD.match(claims[-1])) and _within(head[1], question):
        return head[1].strip()
    last = claims[-1].rstrip(" .;!?")
    words = [word for word in _WORD.finditer(last) if word[0].lower() not in _FUNCTION_WORDS]
    if words and words[0].start() == 0 and words[0][0].lower() in _OPENERS:
        del words[0]
    names = [word for word in words if word[0][0].isupper() or word[0][0].isdigit()]
    if choice and names and (first := _runs(last, names)[0]) and _is_choice(first, last, question):
        return first
    for known in (_words_of(question, *claims[:-1]), _words_of(question)):
        if new := [name for name in names if name[0].lower() not in known]:
            spans = _runs(last, _whole(last, names, new), _words_of(question))
            numbers = [run for run in spans if _DIGIT.search(run)] if _ASKS_NUMBER.search(question) else []
            return (numbers or spans)[-1]
    if names and choice:
        return _runs(last, names)[0]
    new = [word for word in words if word[0].lower() not in _words_of(question)]
    return str(last[new[0].start() : new[-1].end()] if new else last)


def _told(claim: str, question: str) -> str:
    """The claim without the aside that says that something is not known, and what follows it; empty if that is all of
    it, or all but a yes or no ("No, the links do not say")."""
    if not admits_ignorance(claim, question):
        return claim
    told = ""
    for aside in islice(_ASIDE.finditer(claim), _MOST_ASIDES):
        before = claim[: aside.start()]
        if admits_ignorance(before, question):
            break
        told = before
    turns = _TURN.match(claim[len(told) :]) is not None
    return told if turns or len(_WORD.findall(told)) > 1 else ""


def _is_choice(name: str, claim: str, question: str) -> bool:
    """Whether a claim that begins with this name chooses it: question and claim compare, and the question offers the
    name or only describes the choices."""
    named = re.escape(name)
    begins = re.match(rf"(?:the )?{named}", claim, re.IGNORECASE)
    if not begins or not _COMPARES.search(question) or not _COMPARES.search(claim):
        return False
    offered = (
        rf"\bor (?:the )?{named}\b|{named},? or\b|\bbetween (?:the )?{named} and\b|\bbetween .* and (?:the )?{named}\b"
    )
    return not _within(name, question) or re.search(offered, question) is not None


def _within(name: str, question: str) -> bool:
    """Whether the question has these words next to each other."""
    words, asked = (f" {' '.join(_WORD.findall(text.casefold()))} " for text in (name, question))
    return bool(words.strip()) and words in asked


def _words_of(*texts: str) -> set[str]:
    return {word.lower() for text in texts for word in _WORD.findall(text)}


def _whole(text: str, names: Sequence[regex.Match[str]], new: Sequence[regex.Match[str]]) -> list[regex.Match[str]]:
    """The new names and those that they touch: "Bob Mell" is whole where the question has Mell."""
    kept = set(new)
    for order in (names, names[::-1]):
        for one, other in pairwise(order):
            first, second = sorted((one, other), key=regex.Match.start)
            if one in kept and text[first.end() : second.start()] == " ":
                kept.add(other)
    return [name for name in names if name in kept]


def _runs(text: str, names: Sequence[regex.Match[str]], known: Collection[str] = ()) -> list[str]:
    """Names that follow each other, as in "12 May 1890" and "University of Kent", and amounts with their signs and
    units, as in "-5 km", but for units in words that are known."""
    spans: list[tuple[int, int]] = []
    for name in names:
        if spans and _BETWEEN_NAMES.fullmatch(text[spans[-1][1] : name.start()]):
            spans[-1] = (spans[-1][0], name.end())
        else:
            spans.append(name.span())
    runs: list[str] = []
    behind = 0
    for start, end in spans:
        if start >= behind:  # else a part of the amount before it, as in "40 °C"
            first, behind = _amount(text, start, end, known) if text[end - 1].isdigit() else (start, end)
            runs.append(text[first:behind])
    return runs


def _amount(text: str, start: int, end: int, known: Collection[str]) -> tuple[int, int]:
    sign = _SIGN_BEFORE.search(text, max(0, start - _LONGEST_SIGN), start)
    behind = end_of_amount(text, end)
    unit = _words_of(text[end:behind])
    return sign.start() if sign else start, end if unit and unit <= set(known) else behind
