"""Grades yes/no questions: the answer must say exactly one of yes and no.

    >>> yes_no_verdict(cased_words("Yes, both are films."), ["yes"]).verdict
    'correct'
    >>> yes_no_verdict(cased_words("They are both films."), ["yes"]).reason
    'asserts neither yes nor no'

An answer that says first that it does not know is incorrect, whichever word follows.
Not here: questions with other choices (choice_questions).
"""

import re
from collections.abc import Sequence

from rest_react.judges.answer_matching.canonical_text import canonicalise, clauses_in_lower_case
from rest_react.records import Verdict

_POLARITY = {"yes": "yes", "true": "yes", "no": "no", "false": "no"}
_TRUE_OR_FALSE = re.compile(r"^(?:true|false)(?= ?$| [.,;:!])")
_OPEN_QUESTION = re.compile(r"(?:who|whom|whose|what|which|where|when|how)\b")

# All patterns below read canonical text: lower case, one space between words and marks, "isn't" as "is not".
_UNCERTAIN = re.compile(
    r"\b(?:not (?:sure|known|clear|certain|possible|enough|mentioned|stated|say)|(?:un|in)(?:sure|clear|known|certain)"
    r"|can not|could not (?:be|find|determine)|does not (?:say|mention|state|tell)|(?:do|does|did) not know"
    r"|insufficient|impossible to|maybe|perhaps|possibly|might|may be|could be|yes (?:or|and|/|nor) no"
    r"|(?<!not )(?<!not be )wrong to say (?:\w+ )?yes"
    r"|(?:only|just|merely|wild) (?:a )?guess|guessing(?! games?\b))\b"
)
_WORD_ITSELF = re.compile(r"^(?:[.,;:!?(] )?(?:(?:is|was|answer|so|therefore|thus|hence|but) )?(?:yes|no)")
_SAYS_YES = r"(?<!\S)(?<!not )yes(?!\S)"
# "no" as an answer, not as in "no link says so" or "No. 5".
_SAYS_NO = (
    r"(?:^|[.,;:!?(] |\b(?:is|was|answer|so|therefore|thus|hence|but) )no"
    r"(?= ?$| [.,;:!?)](?! \d)| (?:they|he|she|it|the|this|that|these|those|both|neither|only|because|since)\b)"
)

# "No, the results do not say ..." and "Yes, possibly" leave the question open.
_OPEN_AFTER = re.compile(
    r"(?: ?[,.;:!])? ?(?:but |since |as |because )?(?:i (?:can|could|do|did|am) not (?:\w+ )?"
    r"(?:determine|tell|say|know|confirm|verify|find|answer|sure|certain)"
    r"|there (?:is|was|are) (?:no|not enough|insufficient|not any) (?:\w+ ){0,2}?(?:information|evidence|data|mention)"
    r"|(?:the|these|those|my) (?:\w+ ){0,2}?(?:results?|sources?|links?|passages?|information|context|documents?"
    r"|snippets?|data) (?:do|does|did) not (?:\w+ )?(?:say|state|mention|provide|contain|specify|specifie|give"
    r"|indicate|include|tell|answer)|(?:not enough|insufficient) (?:information|evidence|data)"
    r"|i (?:am|was) (?:\w+ )?guessing|possibly|perhaps|maybe|not (?:sure|certain)|unsure)(?!\S)"
)

# "Yes?" as the last word, and "Yes is not the answer".
_TAKEN_BACK = re.compile(r" (?:\?(?= ?$)|(?:is|was|would be) (?:not|wrong|incorrect)(?!\S))")


def asks_yes_or_no(question: str, golds: Sequence[str]) -> bool:
    """Whether all gold answers (in canonical words) are yes or no and the question is not a who, what or where."""
    return all(gold in _POLARITY for gold in golds) and not _OPEN_QUESTION.match(canonicalise(question))


def yes_no_verdict(text: str, golds: Sequence[str]) -> Verdict:
    """Grades an answer in canonical words; `unscored` where the gold answers hold both yes and no."""
    text = _TRUE_OR_FALSE.sub(lambda match: _POLARITY[match[0]], clauses_in_lower_case(text))
    expected = {_POLARITY[gold] for gold in golds}
    if len(expected) > 1:
        return Verdict("unscored", "the gold answers say both yes and no")
    mentions = [(m.start(), "yes") for m in re.finditer(_SAYS_YES, text)]
    mentions += [(m.start(), "no") for m in re.finditer(_SAYS_NO, text)]
    if not mentions:
        return Verdict("incorrect", "asserts neither yes nor no")
    uncertain = _UNCERTAIN.search(text)
    if uncertain and uncertain.start() <= min(mentions)[0]:
        return Verdict("incorrect", f"undecided: {uncertain[0]!r}")
    if len({word for _, word in mentions}) == 2:
        return Verdict("incorrect", "asserts both yes and no")
    at, asserted = mentions[0]
    behind = _WORD_ITSELF.sub("", text[at:], count=1)
    if opened := _OPEN_AFTER.match(behind) or _TAKEN_BACK.match(behind):
        return Verdict("incorrect", f"undecided: {opened[0].strip(' ,.;:')!r}")
    return Verdict("correct" if asserted in expected else "incorrect", f"asserts {asserted}")
