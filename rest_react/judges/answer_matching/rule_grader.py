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
Not here: the one form of texts (canonical_text), what counts as a mention (gold_mentions), denials (assertion),
lists (listed_answers), graders and LLM judges (grader).
"""

import re
from collections.abc import Sequence

import regex

from rest_react.judges.answer_matching.assertion import DENIAL, is_hearsay, objection
from rest_react.judges.answer_matching.canonical_text import canonicalise, cased_words, lower_case
from rest_react.judges.answer_matching.gold_mentions import find_mentions, pattern_of, plain_words
from rest_react.judges.answer_matching.listed_answers import mark_lines
from rest_react.metrics.text_match import strip_citations
from rest_react.records import LabelledQuestion, Verdict

_POLARITY = {"yes": "yes", "true": "yes", "no": "no", "false": "no"}
_OPEN_QUESTION = re.compile(r"(?:who|whom|whose|what|which|where|when|how)\b")

# All patterns below read canonical text: lower case, one space between words and marks, "isn't" as "is not".
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
    said = cased_words(strip_citations(mark_lines(answer)))
    if not said:
        return Verdict("incorrect", "the answer is empty")
    golds = [gold for gold in map(_plain, question.answers) if gold]
    if not golds:
        return Verdict("unscored", "the question has no gold answer")
    asked = canonicalise(question.question.text)
    if all(gold in _POLARITY for gold in golds) and not _OPEN_QUESTION.match(asked):
        return _polarity_verdict(_one_line(said), {_POLARITY[gold] for gold in golds})
    options = [_plain(option) for option in question.options] or _options_asked(question.question.text, golds)
    rivals = [option for option in options if option and option not in golds]
    if rivals and len(rivals) < len(options):
        return _choice_verdict(question, said, golds, rivals)
    return _mention_verdict(said, question)


def _one_line(said: str) -> str:
    """In lower case, with lines and long dashes as semicolons."""
    return re.sub("[|—]", ";", lower_case(said))


def _plain(text: str) -> str:
    return lower_case(plain_words(text))


def _mention_verdict(said: str, question: LabelledQuestion) -> Verdict:
    """An open question: the last mention of a gold answer must be asserted, those aside that a concession reports."""
    mentions = find_mentions(said, question.answers, question.question.text)
    if not mentions:
        return Verdict("incorrect", "the gold answer is not mentioned")
    low = lower_case(said)
    last = next((mention for mention in reversed(mentions) if not is_hearsay(low, mention[0])), None)
    if last is None:
        return Verdict("incorrect", "the gold answer is only what others are said to hold")
    # "Mumbai or Bombay" is one answer where both are gold.
    start, end = last
    for first, until in reversed(mentions):
        if until < start and re.fullmatch(r" (?:[,(] )?(?:or|and|/) ", low[until:start]):
            start = first
    objections = objection(said, start, end, question.question.text, question.answers)
    if objections:
        return Verdict("incorrect", objections)
    return Verdict("correct", f"mentions {low[last[0] : end]!r}")


def _polarity_verdict(said: str, golds: set[str]) -> Verdict:
    """A yes/no question: exactly one of the two, said outright, and not after a confession of not knowing."""
    if len(golds) > 1:
        return Verdict("unscored", "the gold answers say both yes and no")
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
    return Verdict("correct" if asserted in golds else "incorrect", f"asserts {asserted}")


def _options_asked(question: str, golds: Sequence[str]) -> list[str]:
    """The two sides of "..., A or B?" if one of them is gold; otherwise nothing."""
    gold = "|".join(rf"(?:the )?{re.escape(g)}" for g in golds)
    asked = canonicalise(question)
    for pattern in (
        rf"(?:[,:]|\bbetween|\bis|\bwas|\bdid|\bdoes) (?P<rival>[^,:?]{{1,80}}?) (?:, )?or (?P<gold>{gold})(?!\S)",
        rf"(?<!\S)(?P<gold>{gold}) (?:, )?or (?P<rival>[^,:?]{{1,80}}?)(?= ?[,?]| ?$)",
    ):
        if match := re.search(pattern, asked):
            cut = re.split(rf" (?:(?:born|founded|built|opened|come|released) )?(?:{_CUE})\b", match["rival"])[0]
            rival = match["rival"] if cut in ("", "the", "a", "an") else cut
            return [_plain(match["gold"]), _plain(rival)]
    return []


def _choice_verdict(question: LabelledQuestion, said: str, golds: Sequence[str], rivals: Sequence[str]) -> Verdict:
    """A question that offers choices: the gold one must be asserted, and it alone."""
    texts = [*((gold, 0) for gold in golds), *((rival, i) for i, rival in enumerate(rivals, start=1))]
    texts.sort(key=_longest)
    choice = regex.compile("|".join(f"({pattern_of([text])})" for text, _ in texts))

    def mark(text: str) -> str:
        return str(choice.sub(lambda m: f"@{texts[(m.lastindex or 1) - 1][1]}", text))

    marked = re.sub(r"\([^()]*\)", "", mark(_one_line(said)))
    named = {word for word in marked.split() if word.startswith("@")}
    if "@0" not in named:
        return Verdict("incorrect", "the gold answer is not mentioned")
    asserted = _assertions(marked, _direction(mark(canonicalise(question.question.text))), len(rivals))
    if asserted == {"@0"}:
        start, end = list(choice.finditer(lower_case(said)))[-1].span()
        if any(text.rstrip().endswith("?") for text in question.answers) and said.startswith(" ?", end):
            end += 2  # a title's own question mark
        if named == {"@0"} and (why := objection(said, start, end, question.question.text, question.answers)):
            return Verdict("incorrect", why)
        return Verdict("correct", "asserts the gold answer alone")
    if "@0" in asserted:
        return Verdict("incorrect", "asserts a competing answer as well")
    return Verdict("incorrect", "asserts a competing answer" if asserted else "mentions but does not assert the answer")


def _longest(named: tuple[str, int]) -> tuple[int, str]:
    return -len(named[0]), named[0]


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
        if len(named) != 1 or DENIAL.search(clause.replace("not only", "")):
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
