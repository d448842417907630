"""Compares the text of an answer with the gold answers: exact match, F1 and containment, without citations.

    >>> f1("The Rhine, according to [link_id=3].", ["Rhine river"])
    0.6666666666666666
    >>> exact_match("The Rhine [link_id=3].", ["rhine"]), contained("It is the Rhine.", ["Rhine"])
    (1.0, 1.0)

Source: the evaluation script of SQuAD (Rajpurkar et al. 2016).
Not here: whether an answer is correct (judges), and canonical numbers, names and dates (judges.answer_matching).
"""

import re
import string
from collections import Counter
from collections.abc import Iterable, Sequence

# `[link_id=3]` and how models write it: several ids, other separators and brackets, or the number alone.
_ID = r"(?:link[_ ]?ids?|links?)\s*[=:]?\s*[\"']?\d{1,9}[\"']?"
_LINK = (
    rf"[\[(【]\s*(?:(?:source|see)s?\s*:?\s*)?{_ID}(?:\s*(?:[,;&]|and)\s*(?:link_?ids?\s*[=:]\s*)?[\"']?\d{{1,9}}[\"']?)*"
    r"\s*[\])】]|\blink_id\s*=\s*\d{1,9}"
)
_LINKS = rf"(?:{_LINK})(?:\s*(?:,|and|&)?\s*(?:{_LINK}))*"
_NUMBERS = r"[\[【]\^?\d{1,3}(?:\s*[,;]\s*\d{1,3})*[\]】]"
_CITATION = re.compile(
    rf"\b(?:according to|based on|as stated in|per)\s+(?:{_LINKS}|{_NUMBERS})\s*[,:]?|{_LINKS}"
    rf"|(?<=[\w.,;:!?)\"'%])\s?{_NUMBERS}",
    re.IGNORECASE,
)
_ONE_LINK = re.compile(rf"{_LINK}|(?<=[\w.,;:!?)\"'%])\s?{_NUMBERS}", re.IGNORECASE)
_DIGITS = re.compile(r"(?<!\d)\d{1,9}(?!\d)")
_LOOSE = re.compile(r"(?:, ?| )(?=[.;:!?](?!\w))| (?=,)")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def strip_citations(text: str) -> str:
    """The text without `[link_id=3]` and without "According to [link_id=3],"."""
    # Collapse spaces first: on long runs of spaces the pattern takes quadratic time.
    bare = _CITATION.sub(" ", " ".join(text.split()))
    return _LOOSE.sub("", " ".join(bare.split())).strip(" ,")


def cited_links(text: str) -> frozenset[int]:
    """The link ids that a text cites, in each form of a citation: `[link_id=3]`, `[link_id=1, 2]`, `(link_id=4)`."""
    spaced = " ".join(text.split())  # as in strip_citations
    return frozenset(int(digits) for cited in _ONE_LINK.findall(spaced) for digits in _DIGITS.findall(cited))


def normalise(text: str) -> str:
    """SQuAD's normalisation: lower case, no ASCII punctuation, no articles, single spaces."""
    bare = text.lower().translate(_NO_PUNCTUATION)
    return " ".join(re.sub(r"\b(?:a|an|the)\b", " ", bare).split())


def exact_match(answer: str, golds: Iterable[str]) -> float:
    """1 if the answer without citations equals a gold answer after `normalise`, else 0."""
    said = normalise(strip_citations(answer))
    return float(any(said == normalise(gold) for gold in golds))


def contained(answer: str, golds: Iterable[str]) -> float:
    """1 if the answer contains a gold answer word for word after `normalise`, else 0; "not Paris" contains Paris."""
    said = f" {normalise(strip_citations(answer))} "
    return float(any(f" {words} " in said for gold in golds if (words := normalise(gold))))


def f1(answer: str, golds: Iterable[str]) -> float:
    """SQuAD's word-overlap F1 after `normalise`, without citations; the maximum over the gold answers."""
    said = normalise(strip_citations(answer)).split()
    return max((_overlap(said, normalise(gold).split()) for gold in golds), default=0.0)


def _overlap(said: Sequence[str], gold: Sequence[str]) -> float:
    if not said or not gold:
        return float(said == gold)
    common = sum((Counter(said) & Counter(gold)).values())
    return 2 * common / (len(said) + len(gold))
