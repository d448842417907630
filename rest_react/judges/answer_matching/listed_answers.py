"""Decides whether a mention is one of several answers in a list ("Paris, Lyon or Nice").

    >>> answer = cased_words("Paris, Lyon or Nice.")
    >>> is_listed(answer, 0, 5, ["Paris"])
    True
    >>> answer = cased_words("Paris, the capital of France, which was founded by the Parisii.")
    >>> is_listed(answer, 0, 5, ["Paris"])
    False

A further answer (a candidate, below) is a short sequence of words of the same kind (names with capitals, numbers, words
in lower case) beside the mention, separated from it by a comma, a slash, "and", "or" or a line break. A larger place
after a comma is an address ("Paris, France"); a role, a title or a date after a name is not a candidate.
Not here: choices that the question offers (choice_questions).
"""

import re
from collections.abc import Sequence

from rest_react.judges.answer_matching.canonical_text import canonicalise, lower_case
from rest_react.judges.answer_matching.place_names import place_level

_SEPARATOR = re.compile(
    r"(?<!\S)([,;/|?!.—]|and|or|nor|versus|vs|plus|as well as|along with|together with|[+>→]|oder|und|ou"
    r"|et|или|и)(?!\S)"
)
_AND = frozenset(("and", "und", "et", "и"))
_OR = frozenset(("or", "oder", "или"))
_CONJUNCTIONS = _AND | _OR
_NOT_A_CANDIDATE = frozenset(
    "the a an in on at of to for from by with as since until during after before near it he she they we i you this "
    "that these those his her its their which who whom whose where when while because although though however but so "
    "then also not no yes born founded built located situated known called named formerly now today there here one "
    "both each according based if is was are were has had been being".split()
)
_VERB = re.compile(
    r"(?<!\S)(?:is|was|are|were|be|been|has|had|have|did|does|do|became|becomes|will|would|can|could|lived|lives|died|"
    r"won|wrote|came|made|took|went|gave|stands|lies|began|\w{2,}ed)(?!\S)"
)
# "Mayor of Lund" and "Junior" after a name are not candidates; "Mayor Tarn" and "New York City" are.
_ROLES_OF = frozenset(
    "president king queen emperor empress pope minister mayor governor director author founder chairman ceo capital "
    "city town duke earl baron count prince princess bishop archbishop secretary chancellor home seat".split()
)
_TITLES_AFTER_NAME = frozenset(
    "president director author writer singer actor actress founder chairman ceo minister mayor governor secretary "
    "chancellor professor junior senior phd md esq inc ltd llc corp co ii iii".split()
)
_NAME_PARTICLES = frozenset("of the de la le du del di da van von der and al el in on at for a y e o".split())
_OTHER_NAME_OF_SAME = re.compile(r" (?:as|also|otherwise|formerly|better known|simply|in other words)\b")
_REST_OF_DATE = re.compile(
    "^ (?:January|February|March|April|May|June|July|August|September|October|November|December)(?: \\d{1,2})?(?!\\S)"
)
_LAST_NUMBER = re.compile(r"(?<!\S)[-+]?\d\S*(?: [A-Z][a-z]+(?: \d{1,2})?)?$")
_COPULA = re.compile(r"(?<!\S)(?:is|was|are|were|be|in|by|at|:)(?!\S)")
_STATES_ANSWER = re.compile(r"(?i)\s*(?:it|this|that|the answer|candidates) (?:is|was|are|were)\b")
_AMOUNT = re.compile(r"(?<!\S)[-+]?\d[\d.]* [a-z]+\d?(?!\S)")
_BULLET = re.compile(r"^[ \t]*[-*•‣·–—▪◦+][ \t]+")
_MARKER = re.compile(
    r"(?:(?<=\s)|^)(?:\(?(\d{1,2})[.):]|#(\d)[.:)]?|\(?([a-h])[):]|(?-i:([a-h]|i{1,3})\.)|\(?(i{1,3})\)"
    r"|([①-⑳])|(?:option|candidate|choice|answer) ([\da-h])[.:)])"
    r"\s*(?=\D)",
    re.IGNORECASE,
)
_ADVERB_BEFORE = re.compile(r"(?:then|also|maybe|perhaps|possibly|even) ")


def mark_lines(answer: str) -> str:
    """The answer on one line, with " | " for each line break and for each number of a numbered list."""
    answer = "\n".join(_BULLET.sub("", line) for line in answer.splitlines())
    numbers = {next(filter(None, match.groups())).lower() for match in _MARKER.finditer(answer)}
    if any(numbers >= set(first_two) for first_two in (("1", "2"), ("a", "b"), ("i", "ii"), ("①", "②"))):
        answer = _MARKER.sub(" | ", answer)
    # Each run of blanks is read once, from its beginning.
    return re.sub(r"(?<!\s)\s*[\n\t|][\s|]*|(?<=\w) {2,}(?=\w)", " | ", answer.strip()).strip(" |")


def is_listed(answer: str, start: int, end: int, golds: Sequence[str]) -> bool:
    """Whether another candidate is beside the mention `answer[start:end]` (character offsets).

    `answer` is a result of `cased_words`; `golds` are raw texts, none of which counts as another candidate.
    """
    mention = answer[start:end]
    before = re.sub(r"\([^()]*(?:\)|$)", "", answer[max(0, start - 300) : start])
    after = re.sub(r"\([^()]*(?:\)|$)", "", answer[end : end + 300])
    after = _REST_OF_DATE.sub("", re.sub(r"^ [.,;] \|", " |", after))
    before = re.sub(r"[,;] \| $", "| ", before)
    gold_forms = {canonicalise(gold) for gold in golds}
    left = [part.strip() for part in _SEPARATOR.split(before)]
    right = [part.strip() for part in _SEPARATOR.split(after)]
    prefix, suffix = left[-1], right[0]
    if "|" in (*left[-2:-1], *(right[1:2] if suffix == "" else ())):
        return suffix == "" and _lines_are_candidates(mention, prefix, before, after, gold_forms)
    to_the_right = _neighbours(right[1::2], right[2::2], gold_forms) if suffix == "" else []
    to_the_left = _neighbours(left[-2::-2], left[-3::-2], gold_forms)
    if _right_is_candidate(mention, prefix, to_the_right):
        return True
    left_prefix = prefix if lower_case(prefix) not in ("the", "a", "an") or left[-2:-1] == [","] else ""
    return _left_is_candidate(mention, left_prefix, suffix, to_the_left)


def _neighbours(separators: list[str], items: list[str], gold_forms: set[str]) -> list[tuple[str, str]]:
    """(separator, item) for each item on one side of the mention, the nearest first, without gold answers.

    The separator is the one between the item and the mention.
    """
    neighbours: list[tuple[str, str]] = []
    carried = ""
    for separator, item in zip(separators, items, strict=False):
        carried = separator if separator in _CONJUNCTIONS or not carried else carried  # ", and"
        if item == "":
            continue
        if not {canonicalise(item), canonicalise(_COPULA.split(item)[-1])} & gold_forms:
            neighbours.append((carried, item))
        carried = ""
    return neighbours


def _right_is_candidate(mention: str, prefix: str, neighbours: list[tuple[str, str]]) -> bool:
    if not neighbours:
        return False
    separator, item = neighbours[0]
    if separator in _OR and not _OTHER_NAME_OF_SAME.match(f" {item}"):
        return not _same_amount(mention, item)
    if not _is_candidate(item, mention, prefix, separator) or _is_address(mention, neighbours):
        return False
    if separator in (".", "!"):
        return len(item.split()) <= 4
    # "She was born in Paris and Bo Tarn was born in Lyon"
    return not (separator in _AND and _VERB.search(prefix) and _VERB.search(item))


def _left_is_candidate(mention: str, prefix: str, suffix: str, neighbours: list[tuple[str, str]]) -> bool:
    if not neighbours or prefix:
        return False
    separator, item = neighbours[0]
    if separator in _OR:
        return not _same_amount(mention, item)
    if separator == "—" and [other for other, _ in neighbours].count("—") < 2:
        return False  # "Capital — Paris"
    if separator == "?" and " " in item and _VERB.search(item) and not _STATES_ANSWER.match(item):
        return False  # a question, and its answer
    tail = _COPULA.split(item)[-1].strip()
    if separator == "," and place_level(mention) > place_level(tail):
        return False  # "Toronto, Ontario, Canada"
    if separator in (",", ";", "."):
        return suffix == "" and _is_candidate(tail, mention, "", separator)
    if suffix and _VERB.search(suffix.split()[0]) and _VERB.search(item):
        return False  # "She left Lyon and Paris became her home"
    if _starts_with_digit(mention) and (number := _LAST_NUMBER.search(item)):
        return _is_candidate(number[0], mention, "", separator)
    return _is_candidate(item.split()[-1], mention, "", separator)


def _lines_are_candidates(mention: str, prefix: str, before: str, after: str, gold_forms: set[str]) -> bool:
    """Whether the line above or below could be another answer: it is short and not a sentence. After a sentence that
    ends in the mention, it must also look like the mention."""
    line = (before.split("|")[-2:-1] or [""])[0].strip()
    # A whole sentence followed by the answer alone is not a list.
    above = "" if line.endswith(".") and _COPULA.search(line) else _COPULA.split(line)[-1].strip(" .,;")
    below = (after.split("|")[1:2] or [""])[0].strip(" .,;")
    if lower_case(prefix) not in ("", "the", "a", "an"):
        return _is_candidate(below, mention, prefix, "|") and canonicalise(below) not in gold_forms
    return any(_is_short(line) and canonicalise(line) not in gold_forms for line in (above, below))


def _is_short(line: str) -> bool:
    words = line.split()
    return 0 < len(words) <= 8 and ":" not in words and not _VERB.search(line)


def _same_amount(mention: str, item: str) -> bool:
    """Whether two amounts may be the same in two units: "320 km/h or 200 mph", but not "5 km or 7 km"."""
    other = _AMOUNT.search(item)
    return _AMOUNT.fullmatch(mention) is not None and other is not None and other[0].split()[1] != mention.split()[1]


def _is_candidate(item: str, mention: str, prefix: str, separator: str) -> bool:
    """Whether `item` could be another answer of the same kind as the mention (name, number, word)."""
    words = _ADVERB_BEFORE.sub("", item, count=1).split()
    if not words or len(words) > 7:
        return False
    lowered = [lower_case(word) for word in words]
    number = _starts_with_digit(mention)
    if number != _starts_with_digit(words[0]):
        return separator == "/" and len(words) <= 4
    if number:
        return not any(_VERB.search(word) for word in lowered) or len(words) == 1
    article = lowered[0] in ("a", "an", "the") and bool(set(prefix.lower().split()[-1:]) & {"a", "an", "the"})
    if article:
        words, lowered = words[1:], lowered[1:]
    if not words or lowered[0] in _NOT_A_CANDIDATE or (_is_role(lowered) and not _is_role(lower_case(mention).split())):
        return False
    if any(map(_is_caseless, words)):
        return len(words) <= 3 and not re.search("[のはがをにです是的在]", item)
    if not mention[0].isupper():
        return len(words) <= 3 and not any(word in _NOT_A_CANDIDATE or _VERB.search(word) for word in lowered)
    if separator == "and" and not _VERB.search(prefix) and words[0][0].isupper() and _VERB.search(item):
        return True  # "Ada Mell and Bo Tarn wrote it"
    return all(
        word[0].isupper() or word[0].isdigit() or lower in _NAME_PARTICLES
        for word, lower in zip(words, lowered, strict=True)
    )


def _starts_with_digit(text: str) -> bool:
    return text.lstrip("-+<>")[:1].isdigit()


def _is_role(words: list[str]) -> bool:
    return words[-1] in _TITLES_AFTER_NAME or ("of" in words and words[0] in _ROLES_OF)


def _is_caseless(word: str) -> bool:
    return word[0].isalpha() and word.upper() == word.lower()


def _is_address(mention: str, neighbours: list[tuple[str, str]]) -> bool:
    """ "Paris, France" and "Austin, Texas, United States", but not "France, Spain"."""
    names: list[str] = []
    for separator, item in neighbours[:3]:
        if separator not in (",", "—", "/") or (names and place_level(item) == 0 and place_level(names[-1]) > 0):
            break
        names.append(item)
    levels = [place_level(name) for name in names] or [0]
    return max(levels) > place_level(mention) and levels == sorted(set(levels))
