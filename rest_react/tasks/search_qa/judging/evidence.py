"""The evidence of a trajectory of the search agent: its answer in short, its queries, and the results it selected.

    >>> short_answer("Where was Ada's teacher born?", "Her teacher is Bob Lin [link_id=1]. Bob Lin was born in Vell.")
    'Vell'

Not here: what is concluded from it (selection.trajectory_signals).
"""

import re
from collections.abc import Sequence
from itertools import pairwise

import regex

from rest_react.judges.answer_matching.assertion import admits_ignorance
from rest_react.judges.answer_matching.canonical_amounts import end_of_amount
from rest_react.metrics.text_match import cited_links, strip_citations
from rest_react.records import Hit
from rest_react.tasks.search_qa.actions import LinkSelection, Search, decision_of
from rest_react.trajectories.parsed import Evidence, ParsedStep, ParsedTrajectory

# Not behind an initial or an abbreviation: "J. Smith", "St. Malo", "No. 5".
_SHORT = r"\b(?:\p{Lu}|St|Mt|Ft|Dr|Mr|Mrs|Ms|Prof)\."
_ABBREVIATED = rf"(?<!{_SHORT})(?!(?<=\bNo\.)\s+\d)"
_NEXT_CLAIM = regex.compile(rf"(?<=[.;!?]){_ABBREVIATED}\s+(?=\w)")
_NEXT_SENTENCE = regex.compile(rf"(?<=[.!?]){_ABBREVIATED}\s+(?=\w)")
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
# "2,000", "C++" and "J." before a name are one word each.
_WORD = regex.compile(rf"(?:{_SHORT})+(?=\s?\p{{Lu}})|\w+(?:[-'’.]\w+|(?<=\d),\d{{3}}(?!\d))*(?:\+\+|\#(?!\w))?")
_SIGN_BEFORE = re.compile(r"(?:(?<!\w)[-\u2212+])?(?:(?<!\w)[A-Z]{0,3}[$€£¥₹])?$")  # of an amount: "-5", "US$5"
_BETWEEN_NAMES = re.compile(r",? | (?:of|of the|the|de|van|von|and|&) ")
_FUNCTION_WORDS = frozenset(
    "a an and are as at be been both but by did do does for from had has have he her his how i in is it its not now of "
    "on or she so that the their there they this to was we were what when where which who whom whose why with".split()
)


def evidence_of(trajectory: ParsedTrajectory) -> Evidence:
    """The evidence of a trajectory. Each result counts once, however often it was found; two texts of one source are
    two results."""
    queries: list[str] = []
    selected: dict[Hit, None] = {}
    retrieved: dict[Hit, None] = {}
    cited: dict[int, Hit] = {}
    links = cited_links(trajectory.trajectory.answer)
    for parsed in trajectory.steps:
        hits = dict(enumerate(parsed.step.hits, start=parsed.step.first_link))
        retrieved |= dict.fromkeys(hits.values())
        cited |= {i: hit for i, hit in hits.items() if i in links}
        match parsed.chosen.action if parsed.chosen else None:
            case Search(query=query):
                queries.append(query)
            case LinkSelection(selected_link_ids=ids):
                selected |= dict.fromkeys(hits[i] for i in ids if i in hits)
    whole = trajectory.trajectory
    return Evidence(
        whole.question,
        whole.answer,
        short_answer(whole.question, whole.answer),
        tuple(queries),
        tuple(selected),
        tuple(retrieved),
        tuple(cited.items()),
    )


def gathering_of(step: ParsedStep) -> tuple[str, ...]:
    """For each candidate a key of what it gathers: a query, or results selected from these results; empty for none."""
    sources = {i: hit.source for i, hit in enumerate(step.step.hits, start=step.step.first_link)}
    shown = " ".join(sorted(sources.values()))
    keys = []
    for parsed in step.actions:
        match parsed.action:
            case Search() as search:
                keys.append(decision_of(search))
            case LinkSelection(selected_link_ids=ids):
                keys.append(f"select {' '.join(sorted(sources[i] for i in ids if i in sources))} of {shown}")
            case _:
                keys.append("")
    return tuple(keys)


def short_answer(question: str, answer: str) -> str:
    """The part of a long-form answer that answers the question: `yes` or `no` where its first or last claim begins so;
    nothing where the last claim says that the answer is not known;
    the head of its last claim ("Red Sun: ...") where the question offers it as a choice; else the last name or number
    of its last claim that the question and the earlier claims do not have, or that the question does not have, and of
    these the last with a digit where the question asks for a time or a number. Where there is none: the first name, if
    the question offers a choice; the new words; the claim."""
    choice = bool(_CHOICE.search(question))
    # "Ada Mell was born first, in 1800; the other in 1806." is one claim about the choice.
    split = _NEXT_SENTENCE if choice else _NEXT_CLAIM
    claims = [claim for claim in split.split(strip_citations(answer)) if _WORD.search(claim)]
    if not claims:
        return ""
    unknown = admits_ignorance(claims[-1], question)
    for claim in claims[:1] if unknown else (claims[-1], claims[0]):
        if (found := _YES_OR_NO.match(claim)) and not admits_ignorance(claim, question):
            return found[0].lower()
    if unknown:
        return ""
    if choice and (head := _HEAD.match(claims[-1])) and _within(head[1], question):
        return head[1].strip()
    last = claims[-1].rstrip(" .;!?")
    words = [word for word in _WORD.finditer(last) if word[0].lower() not in _FUNCTION_WORDS]
    names = [word for word in words if word[0][0].isupper() or word[0][0].isdigit()]
    if choice and names and (first := _runs(last, names)[0]) and _is_choice(first, last, question):
        return first
    for known in (_words_of(question, *claims[:-1]), _words_of(question)):
        if new := [name for name in names if name[0].lower() not in known]:
            spans = _runs(last, _whole(last, names, new))
            numbers = [run for run in spans if _DIGIT.search(run)] if _ASKS_NUMBER.search(question) else []
            return (numbers or spans)[-1]
    if names and choice:
        return _runs(last, names)[0]
    new = [word for word in words if word[0].lower() not in _words_of(question)]
    return str(last[new[0].start() : new[-1].end()] if new else last)


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


def _runs(text: str, names: Sequence[regex.Match[str]]) -> list[str]:
    """Names that follow each other, as in "12 May 1890" and "University of Kent", and amounts with their signs and
    units, as in "-5 km"."""
    spans: list[tuple[int, int]] = []
    for name in names:
        if spans and _BETWEEN_NAMES.fullmatch(text[spans[-1][1] : name.start()]):
            spans[-1] = (spans[-1][0], name.end())
        else:
            spans.append(name.span())
    return [_amount(text, start, end) if text[end - 1].isdigit() else text[start:end] for start, end in spans]


def _amount(text: str, start: int, end: int) -> str:
    if sign := _SIGN_BEFORE.search(text[:start]):
        start = sign.start()
    return text[start : end_of_amount(text, end)]
