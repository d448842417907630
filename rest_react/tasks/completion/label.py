"""Reads the label in an output: exact, but tolerant of case, quotes, marks and text after it.

    >>> read_label('"Credit card." because of the fee', ("Card", "Credit card"))
    'Credit card'

Which label an output names, in this order:

1. The first line is a label, or begins with one ("Mortgage, since ..."); a lead such as "Label:" or "The class is" is
   passed over. Of labels that begin at the same place the longest counts. "A" and "I" at the beginning of a line are no
   labels before a noun. What is named behind it does not count, but
   where a comma, a slash, "or" or "and" joins a second label, the line offers two and names none.
2. Another line is a label alone, with or without a lead; of several the last, since models think first.
3. The whole text names exactly one label, and no word of denial ("not", "nor") stands right before it.

An output without a label is wrong, and counted as an answer outside the label set.
Labels are compared without case, accents of width (NFKC), quotes and marks around them, and by whole words.
Not here: whether the label is right (task), and models' thoughts (model_output.thinking).
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

_AROUND = " \t.,:;!?*_#`'\"“”„\u2018’「」『』《》()[]{}<>"
_LEAD = re.compile(
    r"^(?:(?:the|its|my|correct|right|best|final|predicted)\s+)*"
    r"(?:label|class|category|topic|product|answer|classification|output)(?:\s+is|\s*[:=]|\s+would\s+be)+\s*",
)
_DENIED = re.compile(r"(?:\b(?:not|nor|neither|never|no|without)|n't)(?:\s+(?:a|an|the))?\s+[\"'“\u2018]?$")
# Behind an article or "I", not behind a label: "A because", "A is right" and "A or B" name it.
_BEFORE_NOUN = re.compile(
    r" (?!(?:and|as|because|but|for|has|if|instead|is|not|or|rather|seems|since|than|was|would)\b)[a-z]", re.ASCII
)
_UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u9fff"  # Thai, Lao, Burmese, Khmer, Japanese, Chinese
_PARTICLES = "입니다|이에요|예요|이다|이며|이고|이라고|라고|인|은|는|이|가|을|를|의|에|로|으로"  # behind a Korean noun
_LONGEST_DENIAL = 20  # characters: "without the “"
_JOINED = re.compile(r"""[\s"'”\u2019*]*(?:[,/&|+]|\b(?:or|and)\b)[\s"'“\u2018*]*(?:(?:a|an|the)\s)?""")


def label_key(text: str) -> str:
    """The normalised form of a label, for comparison."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().strip(_AROUND).split())


def alike_labels(labels: Iterable[str]) -> Iterator[str]:
    """One message for each group of labels that no output could tell apart: they differ in marks around them alone
    ("C" and "C#"), or have nothing but marks."""
    groups: dict[str, dict[str, str]] = {}
    for label in labels:
        spelled = " ".join(unicodedata.normalize("NFKC", label).casefold().split())
        groups.setdefault(label_key(label), {}).setdefault(spelled, label)
    for key, spellings in groups.items():
        named = " and ".join(map(repr, spellings.values()))
        if not key:
            yield f"{named} has no letter or digit, so no output can be read as it; name it in words"
        elif len(spellings) > 1:
            yield f"{named} differ in marks alone, which do not count when an output is read; name them differently"


def read_label(text: str, labels: Sequence[str]) -> str | None:
    """The label that the text names, in the spelling of `labels`; None if it names none, or two. Never raises."""
    keys: dict[str, str] = {}
    for label in labels:
        keys.setdefault(label_key(label), label)
    lines = [line for raw in text.splitlines() if (line := label_key(raw))]
    if not lines:
        return None
    pattern = _pattern(tuple(keys))
    first = lines[0] if pattern.match(lines[0]) else _without_lead(lines[0])
    begun = pattern.match(first)
    if begun and not (first == lines[0] and _is_article(begun, first)):
        joined = _JOINED.match(first, begun.end())
        second = pattern.match(first, joined.end()) if joined else None
        return None if second and second[0] != begun[0] else keys[begun[0]]
    alone = [key for line in lines for key in (line, _without_lead(line)) if key in keys]
    if alone:
        return keys[alone[-1]]
    named = {found[0] for line in lines for found in pattern.finditer(line) if not _is_denied(line, found.start())}
    return keys[named.pop()] if len(named) == 1 else None


def _is_article(found: re.Match[str], line: str) -> bool:
    """Whether a line begins with a label of one letter that is a word of English there: "A cell has ...", "I think"."""
    return found.start() == 0 and found[0] in ("a", "i") and _BEFORE_NOUN.match(line, found.end()) is not None


def _is_denied(line: str, start: int) -> bool:
    """Whether a word of denial stands right before `start`, in a line with single spaces."""
    return _DENIED.search(line, max(0, start - _LONGEST_DENIAL), start) is not None


def _without_lead(line: str) -> str:
    return _LEAD.sub("", line).strip(_AROUND)


@cache
def _pattern(keys: tuple[str, ...]) -> re.Pattern[str]:
    """Any of the keys, the longest first. A key is a whole word where words have spaces between them: not next to a
    letter or digit of a script with spaces. A Korean particle may stand behind it, as in "스포츠입니다"."""
    longest = sorted(filter(None, keys), key=lambda key: (-len(key), key))
    choices = "|".join(map(re.escape, longest)) or r"(?!)"
    word = rf"[^\W{_UNSPACED}]"
    return re.compile(rf"(?<!{word})(?:{choices})(?=(?:{_PARTICLES})?(?!{word}))")
