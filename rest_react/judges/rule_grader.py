"""Is the answer right, told by rules alone?

    >>> town = LabelledQuestion(Question("w1", "Where was Ada Mell born?"), ("Paris",))
    >>> rule_verdict(town, "According to [link_id=3], she was born in Paris.").verdict
    'correct'
    >>> rule_verdict(town, "She was born in Lyon, not Paris.").reason
    'the gold answer is denied or left open'

The rule looks for the gold answer at word boundaries, in a form of text that has one way to write a number, date or
unit (`canonicalise`). Where a question offers choices, naming the gold one is not enough: the answer must assert it and
no other, so yes/no needs an explicit yes or no, and "A was born in 1950 and B in 1960" asserts nothing. It prefers to
call a right answer wrong over the opposite; docs/metrics.md lists what it cannot see.
Not here: the one form of texts (canonical_text), graders and LLM judges (grader).
"""

import re
from collections.abc import Iterable, Sequence

from rest_react.judges.canonical_text import canonicalise
from rest_react.judges.metrics import strip_citations
from rest_react.records import LabelledQuestion, Verdict

# All patterns below read canonical text: lower case, one space between words and marks, "isn't" as "is not".
_END_OF_CLAUSE = r"[.,;:!?()]|but|until|only|and|because|since|as|although|while|which|who"
_DENIAL = re.compile(
    r"\b(?:not|never|neither|nor|rather than|instead of|unlike|other than|except|whether|either|might|may be|could be"
    r"|maybe|perhaps|possibly|unclear|unknown|unsure|wrong|incorrect|false)\b"
)
_DENIED_AFTER = re.compile(
    r" (?:is|was|are|were|does|did|has|can|could|would|seems)(?: \w+)? (?:not(?! only)|never|wrong|incorrect|false)\b"
)
# What only others hold: "although it is often said to be ...". A plain "although Paris is small, it is ..." asserts.
_CONCESSION = re.compile(r"\b(?:although|though|despite|in spite of|contrary to)\b")
_HEARSAY = re.compile(
    r"\b(?:said|says?|thought|thinks?|believed?|believes|beliefs?|claim(?:s|ed)?|assum(?:ed?|es|ptions?)"
    r"|suppos(?:ed|edly)|report(?:s|ed|edly)?|rumou?r(?:s|ed)?|mistak(?:en|enly))\b"
)
_UNDECIDED = re.compile(
    r"\b(?:not (?:sure|known|clear|certain|possible|enough|mentioned|stated|say)|(?:un|in)(?:sure|clear|known|certain)"
    r"|can not|could not (?:be|find|determine)|does not (?:say|mention|state|tell)|(?:do|does|did) not know"
    r"|insufficient|impossible to|maybe|perhaps|possibly|might|may be|could be|yes (?:or|and|/) no)\b"
)
_SAYS_YES = r"(?<!\S)(?<!not )yes(?!\S)"
# "no" counts as an answer, not as in "no link says so" or "No. 5".
_SAYS_NO = (
    r"(?:^|[.,;:!?(] |\b(?:is|was|answer|so|therefore|thus|hence|but) )no"
    r"(?= ?$| [.,;:!?)](?! \d)| (?:they|he|she|it|the|this|that|these|those|both|neither|only|because|since)\b)"
)
_LATER = {"more recently": "later", "more recent": "later", "most recently": "latest", "most recent": "latest"}
# What a comparison may turn on: two dimensions, each with its two directions.
_EARLY = "older oldest elder eldest earlier earliest first before sooner"
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
_CONTRASTED = re.compile(
    r"(?:, )?\b(?:(?P<cue>before|after)|(?:and |but )?not|rather than|instead of|unlike|as opposed to"
    r"|(?:as )?compared (?:to|with)|in contrast to|over|than|versus|vs)(?: (?:the|that of|of|in|by|for))* @\d+"
)
_CHOICE = re.compile(r"\b(?:between|of|comparing) (?:the )?@\d+ (?:and|or) (?:the )?@\d+")
_CLAUSES = re.compile(
    r" ?[.;!?](?= |$)| ?(?:, )?\b(so|therefore|thus|hence|consequently|meaning|making|which means|which makes|while"
    r"|whereas|but|however|and(?= @\d+ (?:is|was|has|had|did|never)))\b| ,(?= @\d+ (?:is|was|has|had)\b)"
)
_CONCLUDES = {"so", "therefore", "thus", "hence", "consequently", "meaning", "making", "which means", "which makes"}
_BARE = re.compile(
    r"^(?:.*\banswer (?:is|was|would be|:) |(?:it|that|this) (?:is|was) |answer : )?(?:the )?@\d+(?: ,)?"
    r"(?: (?:since|because|as|by|with)\b.*)?$"
)


def rule_verdict(question: LabelledQuestion, answer: str) -> Verdict:
    """The rule's opinion; pure, and linear in the answer's length."""
    said = canonicalise(strip_citations(answer))
    if not said:
        return Verdict("incorrect", "the answer is empty")
    golds = [gold for gold in map(_plain, question.answers) if gold]
    if not golds:
        return Verdict("unscored", "the question has no gold answer")
    if polarity := {"yes", "no"}.intersection(golds):
        return _polarity_verdict(said, polarity.pop())
    options = [_plain(option) for option in question.options] or _options_asked(question.question.text, golds)
    rivals = [option for option in options if option and option not in golds]
    if rivals and len(rivals) < len(options):
        return _choice_verdict(canonicalise(question.question.text), said, golds, rivals)
    return _mention_verdict(said, golds)


def _plain(text: str) -> str:
    """A gold answer or option as words alone, without a leading article ("A" itself stays)."""
    words = [word for word in canonicalise(text).split() if word not in ".,;:!?()"]
    return " ".join(words[1:] if len(words) > 1 and words[0] in ("the", "a", "an") else words)


def _pattern(texts: Iterable[str]) -> str:
    """Matches any of the plain texts at word boundaries, the longest first; a mark may stand between two words."""
    ordered = sorted(set(texts), key=lambda text: (-len(text), text))
    # As a number word, "one" is mostly a pronoun.
    words = [r"(?:1|(?<!the )(?<!no )one(?! of))" if t in ("1", "one") else _spaced(t) for t in ordered]
    return rf"(?<!\S)(?:{'|'.join(words)})(?!\S)"


def _spaced(text: str) -> str:
    return r" (?:[.,:] )?".join(map(re.escape, text.split()))


def _mention_verdict(said: str, golds: Sequence[str]) -> Verdict:
    """An open question: the last mention of a gold answer must be affirmed, those aside that a concession reports."""
    gold = _pattern(golds)
    said = re.sub(rf"{gold} (?:, )?or (?={gold})", "", said)
    mentions = list(re.finditer(gold, said))
    if not mentions:
        return Verdict("incorrect", "the gold answer is not mentioned")
    last = next((mention for mention in reversed(mentions) if not _is_hearsay(said, mention.start())), None)
    if last is None:
        return Verdict("incorrect", "the gold answer is only what others are said to hold")
    clause = re.split(rf"(?<!\S)(?:{_END_OF_CLAUSE})(?!\S)", said[max(0, last.start() - 300) : last.start()])[-1]
    after = said[last.end() : last.end() + 100]
    # "320 km/h or 200 mph" says one thing twice, "Paris or Lyon" does not.
    measured = re.search(r"\d", last[0]) and re.search(r"[a-z%]", last[0])
    open_choice = not measured and (after.startswith(" or ") or clause.endswith("or "))
    if open_choice or _DENIAL.search(clause) or _DENIED_AFTER.match(after):
        return Verdict("incorrect", "the gold answer is denied or left open")
    return Verdict("correct", f"mentions {last[0]!r}")


def _is_hearsay(said: str, at: int) -> bool:
    """Whether what stands there is part of a concession that reports an opinion."""
    part = re.split(r"[.,;:!?()]", said[max(0, at - 300) : at])[-1]
    concession = _CONCESSION.search(part)
    return concession is not None and _HEARSAY.search(part, concession.end()) is not None


def _polarity_verdict(said: str, gold: str) -> Verdict:
    """A yes/no question: exactly one of the two, said outright, and not after a confession of not knowing."""
    found = [(m.start(), "yes") for m in re.finditer(_SAYS_YES, said)]
    found += [(m.start(), "no") for m in re.finditer(_SAYS_NO, said)]
    if not found:
        return Verdict("incorrect", "asserts neither yes nor no")
    doubt = _UNDECIDED.search(said)
    if doubt and doubt.start() <= min(found)[0]:
        return Verdict("incorrect", f"undecided: {doubt[0]!r}")
    if len({word for _, word in found}) == 2:
        return Verdict("incorrect", "asserts both yes and no")
    asserted = found[0][1]
    return Verdict("correct" if asserted == gold else "incorrect", f"asserts {asserted}")


def _options_asked(question: str, golds: Sequence[str]) -> list[str]:
    """The two sides of "..., A or B?" if one of them is gold; otherwise nothing."""
    gold = "|".join(rf"(?:the )?{_spaced(g)}" for g in golds)
    asked = canonicalise(question)
    for pattern in (
        rf"(?:[,:]|\bbetween|\bis|\bwas|\bdid|\bdoes) (?P<rival>[^,:?]{{1,80}}?) (?:, )?or (?P<gold>{gold})(?!\S)",
        rf"(?<!\S)(?P<gold>{gold}) (?:, )?or (?P<rival>[^,:?]{{1,80}}?)(?= ?[,?]| ?$)",
    ):
        if match := re.search(pattern, asked):
            rival = re.split(rf" (?:(?:born|founded|built|opened|come|released) )?(?:{_CUE})\b", match["rival"])[0]
            return [_plain(match["gold"]), _plain(rival)]
    return []


def _choice_verdict(asked: str, said: str, golds: Sequence[str], rivals: Sequence[str]) -> Verdict:
    """A question that offers choices: the gold one must be asserted, and it alone."""
    names = {text: f"@{i}" for i, text in enumerate(["", *rivals]) if text} | dict.fromkeys(golds, "@0")
    choice = re.compile(_pattern(names))

    def mark(text: str) -> str:
        return choice.sub(lambda m: names.get(_plain(m[0]), "@0"), text)

    said = re.sub(r"\([^()]*\)", "", mark(said))
    if "@0" not in said.split():
        return Verdict("incorrect", "the gold answer is not mentioned")
    asserted = _assertions(said, _direction(mark(asked)), len(rivals))
    if asserted == {"@0"}:
        return Verdict("correct", "asserts the gold answer alone")
    if "@0" in asserted:
        return Verdict("incorrect", "asserts a competing answer as well")
    return Verdict("incorrect", "asserts a competing answer" if asserted else "mentions but does not assert the answer")


def _direction(text: str) -> tuple[int, int] | None:
    """Which dimension a question turns on, and which way."""
    for phrase, word in _LATER.items():
        text = text.replace(phrase, word)
    words = text.split()
    for dimension, pair in enumerate(_DIRECTIONS):
        for way, cues in enumerate(pair):
            if not cues.isdisjoint(words):
                return dimension, way
    return None


def _assertions(said: str, asked: tuple[int, int] | None, rivals: int) -> set[str]:
    """The choices that some clause puts forward. A choice named only for contrast ("than B", "not B") is left out."""
    said = _CHOICE.sub("", said)
    said = _CONTRASTED.sub(lambda m: f" {m['cue']}" if m["cue"] else "", said)
    alone = len(set(re.findall(r"@\d+", said))) == 1
    asserted: set[str] = set()
    parts = _CLAUSES.split(f"{said} ")
    for before, clause in zip([None, *parts[1::2]], parts[::2], strict=True):
        named = set(re.findall(r"@\d+", clause))
        if len(named) != 1 or _DENIAL.search(clause.replace("not only", "")):
            continue
        way = _way(clause, asked)
        if way == "against" and rivals == 1:
            asserted |= {"@0", "@1"} - named
        elif way == "with" or (way == "" and (alone or before in _CONCLUDES or _BARE.match(clause.strip(" ,")))):
            asserted |= named
    return asserted


def _way(clause: str, asked: tuple[int, int] | None) -> str:
    """Whether a clause speaks "with" the question's direction, "against" it, or of neither. A question that turns on
    no comparison takes every clause as speaking to it."""
    if asked is None:
        return "with"
    for phrase, word in _LATER.items():
        clause = clause.replace(phrase, word)
    words = set(re.sub(r"\bat (?:least|most)\b", "", clause).split())
    dimension, way = asked
    if words & _DIRECTIONS[dimension][way]:
        return "with"
    return "against" if words & _DIRECTIONS[dimension][1 - way] else ""
