"""Grades questions that offer choices: the answer must assert the gold choice and no other.

    >>> older = LabelledQuestion(Question("w3", "Who is older, Ada or Bo?"), ("Ada",), options=("Ada", "Bo"))
    >>> choice_verdict(older, cased_words("Ada is older than Bo."), ["ada"], ["bo"]).verdict
    'correct'
    >>> choice_verdict(older, cased_words("Ada was born in 1950 and Bo in 1960."), ["ada"], ["bo"]).reason
    'mentions but does not assert the answer'

Choices are replaced by @0 (gold), @1, @2, ...; then each clause is read on its own. A clause that answers the question
in the opposite direction ("Bo is younger") asserts the other of two choices.
Not here: yes/no questions (yes_no_questions).
"""

import re
from collections.abc import Sequence
from typing import Literal

import regex

from rest_react.judges.answer_matching.assertion import DENIAL, corrected_to, why_not_asserted
from rest_react.judges.answer_matching.canonical_text import canonicalise, clauses_in_lower_case, lower_case
from rest_react.judges.answer_matching.gold_mentions import canonical_words, pattern_of
from rest_react.records import LabelledQuestion, Verdict

# All patterns below read canonical text: lower case, one space between words and marks, "isn't" as "is not".
_COMPARATIVES = {"more recently": "later", "more recent": "later", "most recently": "latest", "most recent": "latest"}
# What a question may compare: two dimensions (time, amount), each with two directions.
_EARLY = "older oldest elder eldest earlier earliest 1st before sooner"
_LATE = "younger youngest newer newest later latest after last"
_MORE = (
    "more most longer longest larger largest bigger biggest taller tallest higher highest greater greatest heavier "
    "heaviest faster fastest deeper deepest wider widest farther farthest further furthest"
)
_LESS = (
    "fewer fewest less least shorter shortest smaller smallest lower lowest lighter lightest slower slowest "
    "shallower shallowest narrower narrowest closer closest nearer nearest"
)
_DIRECTIONS = tuple(tuple(frozenset(cues.split()) for cues in pair) for pair in ((_EARLY, _LATE), (_MORE, _LESS)))
_CUE = "|".join(f"{_EARLY} {_LATE} {_MORE} {_LESS}".split())
_VERB_OF_CUE = "born|founded|formed|created|built|opened|published|come|released"
_CONTRAST = re.compile(
    r"(?:, )?\b(?:(?P<cue>before|after)|(?:and |but )?not|rather than|instead of|unlike|as opposed to"
    r"|(?:as )?compared (?:to|with)|in contrast to|over|than|versus|vs)(?: (?:the|that of|of|in|by|for))* @\d+"
)
_QUESTION = re.compile(r"(?:^|(?<=[.;!?]))[^.;!?]*\?(?= (?!(?:[,;]|(?:and|or|in|is|was|by)\b))|$)")
_NO_MORE = re.compile(rf"\bno (?:{_CUE})\b(?! than)")
_CHOICE = re.compile(r"\b(?:between|of|comparing) (?:the )?@\d+ (?:and|or) (?:the )?@\d+")
_CLAUSES = re.compile(
    r" ?[.;!?](?= |$)| ?(?:, )?\b(so|therefore|thus|hence|consequently|meaning|making|which means|which makes|while"
    r"|whereas|but|however|and(?= @\d+ (?:is|was|has|had|did|never)))\b| ,(?= @\d+ (?:is|was|has|had)\b)"
)
_CONCLUSION_WORDS = frozenset(
    ("so", "therefore", "thus", "hence", "consequently", "meaning", "making", "which means", "which makes")
)
_CHOICE_ALONE = re.compile(
    r"^(?:.*\banswer (?:is|was|would be|:) |(?:it|that|this) (?:is|was) |answer : )?(?:the )?@\d+(?: ,)?"
    r"(?: (?:since|because|as|by|with)\b.*)?$"
)


def options_in_question(question: str, golds: Sequence[str]) -> list[str]:
    """The two choices of "..., A or B?" in canonical words, the gold one first; empty if neither is gold."""
    gold = "|".join(rf"(?:the )?{re.escape(g)}" for g in golds)
    canonical_question = canonicalise(question)
    for pattern in (
        rf"(?:[,:]|\bbetween|\bis|\bwas|\bdid|\bdoes) (?P<rival>[^,:?]{{1,80}}?) (?:, )?or (?P<gold>{gold})(?!\S)",
        rf"(?<!\S)(?P<gold>{gold}) (?:, )?or (?P<rival>[^,:?]{{1,80}}?)(?= ?[,?]| ?$)",
    ):
        if match := re.search(pattern, canonical_question):
            before, *behind = re.split(rf" (?:(?:{_VERB_OF_CUE}) )?(?:{_CUE})\b", match["rival"])
            if re.fullmatch(_VERB_OF_CUE, before) and behind and behind[-1].strip():
                before = behind[-1].strip()  # "born first A or B?"
            rival = match["rival"] if before in ("", "the", "a", "an") else before
            return [canonical_words(match["gold"]), canonical_words(rival)]
    return []


def choice_verdict(question: LabelledQuestion, text: str, golds: Sequence[str], rivals: Sequence[str]) -> Verdict:
    """Grades an answer (`text`, a result of `cased_words`) to a question that offers choices.

    `golds` and `rivals` are the right and the wrong choices in canonical words; both must hold at least one.
    """
    choices = [*((gold, 0) for gold in golds), *((rival, i) for i, rival in enumerate(rivals, start=1))]
    choices.sort(key=lambda choice: (-len(choice[0]), choice[0]))  # "New York City" before "New York"
    pattern = regex.compile("|".join(f"({pattern_of([choice])})" for choice, _ in choices))

    def mark(text: str) -> str:
        return str(pattern.sub(lambda m: f"@{choices[(m.lastindex or 1) - 1][1]}", text))

    marked = re.sub(r"\([^()]*\)", "", mark(clauses_in_lower_case(text)))
    mentioned = {word for word in marked.split() if word.startswith("@")}
    if "?" not in "".join((*question.answers, *question.options, question.question.text.rstrip()[:-1])):
        marked = _QUESTION.sub(" ", marked)  # a title may have a question mark of its own
    if "@0" not in mentioned:
        return Verdict("incorrect", "the gold answer is not mentioned")
    direction = _direction(mark(canonicalise(question.question.text)))
    asserted = _asserted_choices(marked, direction, len(rivals))
    if asserted == {"@0"}:
        mentions = [
            match.span() for match in pattern.finditer(lower_case(text)) if choices[(match.lastindex or 1) - 1][1] == 0
        ]
        start, end = mentions[-1]
        if any(gold.rstrip().endswith("?") for gold in question.answers) and text.startswith(" ?", end):
            end += 2  # a title's own question mark
        if mentioned == {"@0"}:
            reason = why_not_asserted(text, start, end, question.question.text, question.answers)
        else:
            taken_back = _names_rival(corrected_to(mark(lower_case(text[end:]))), direction)
            reason = "the answer gives another answer as well" if taken_back else ""
        return Verdict("incorrect", reason) if reason else Verdict("correct", "asserts the gold answer alone")
    if "@0" in asserted:
        return Verdict("incorrect", "asserts a competing answer as well")
    return Verdict("incorrect", "asserts a competing answer" if asserted else "mentions but does not assert the answer")


def _names_rival(correction: str, direction: tuple[int, int] | None) -> bool:
    """Whether a clause of a correction asserts another choice than the gold one: it names it alone, or compares."""
    for clause in _CLAUSES.split(f"{_CONTRAST.sub(lambda m: m['cue'] or '', correction)} ")[::2]:
        named = set(re.findall(r"@\d+", clause))
        alone = _CHOICE_ALONE.match(clause.strip(" ,().:")) is not None
        if named and "@0" not in named and (alone or _stance(clause, direction) == "same"):
            return True
    return False


def _direction(question: str) -> tuple[int, int] | None:
    """The comparison in a question: (dimension, direction), indices into `_DIRECTIONS`; None if it compares nothing."""
    words = _comparatives(question)
    for dimension, pair in enumerate(_DIRECTIONS):
        for direction, cues in enumerate(pair):
            if not cues.isdisjoint(words):
                return dimension, direction
    return None


def _comparatives(text: str) -> set[str]:
    """The words of a text, with one word for "more recent"; without "at least" and "at most", which compare nothing."""
    for phrase, word in _COMPARATIVES.items():
        text = text.replace(phrase, word)
    return set(re.sub(r"\bat (?:least|most)\b", "", text).split())


def _asserted_choices(text: str, direction: tuple[int, int] | None, rivals: int) -> set[str]:
    """The choices that at least one clause asserts, without those named for contrast only ("than B", "not B")."""
    text = _CHOICE.sub("", text)
    text = _CONTRAST.sub(lambda m: f" {m['cue']}" if m["cue"] else "", text)
    only_one_named = len(set(re.findall(r"@\d+", text))) == 1
    asserted: set[str] = set()
    parts = _CLAUSES.split(f"{text} ")
    for conjunction, clause in zip([None, *parts[1::2]], parts[::2], strict=True):
        named = set(re.findall(r"@\d+", clause))
        if len(named) != 1 or DENIAL.search(clause.replace("not only", "")) or _NO_MORE.search(clause):
            continue
        stance = _stance(clause, direction)
        concludes = conjunction in _CONCLUSION_WORDS or _CHOICE_ALONE.match(clause.strip(" ,")) is not None
        if stance == "opposite" and rivals == 1:
            asserted |= {"@0", "@1"} - named
        elif stance == "same" or (stance == "none" and (only_one_named or concludes)):
            asserted |= named
    return asserted


def _stance(clause: str, direction: tuple[int, int] | None) -> Literal["same", "opposite", "none"]:
    """Which direction a clause speaks of, compared with the question's. Without a comparison in the question, every
    clause counts as "same"."""
    if direction is None:
        return "same"
    words = _comparatives(clause)
    dimension, way = direction
    if words & _DIRECTIONS[dimension][way]:
        return "same"
    return "opposite" if words & _DIRECTIONS[dimension][1 - way] else "none"
