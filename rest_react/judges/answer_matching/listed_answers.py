"""Is a mention one of several candidates that an answer lists?

    >>> said = cased_words("Paris, Lyon or Nice.")
    >>> is_listed(said, 0, 5, ["Paris"])
    True
    >>> said = cased_words("Paris, the capital of France, which was founded by the Parisii.")
    >>> is_listed(said, 0, 5, ["Paris"])
    False

A candidate is a short run of words of the same kind (names with capitals, numbers, bare words in lower case) beside the
mention, parted from it by a comma, a slash, "and", "or" or a line. A comma and a larger place is an address ("Paris,
France"), and a role, a title or a date behind a name is no candidate.
Not here: choices that the question offers (rule_grader), and lists in the raw answer's lines (mark_lines makes one line
of them).
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
_WORDS_THAT_PART = _AND | _OR
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
# "Mayor of Lund" and "Junior" behind a name are no further candidate, "Mayor Tarn" and "New York City" are.
_ROLES_OF = frozenset(
    "president king queen emperor empress pope minister mayor governor director author founder chairman ceo capital "
    "city town duke earl baron count prince princess bishop archbishop secretary chancellor home seat".split()
)
_BEHIND_A_NAME = frozenset(
    "president director author writer singer actor actress founder chairman ceo minister mayor governor secretary "
    "chancellor professor junior senior phd md esq inc ltd llc corp co ii iii".split()
)
_SMALL = frozenset("of the de la le du del di da van von der and al el in on at for a y e o".split())
_ALSO_NAMED = re.compile(r" (?:as|also|otherwise|formerly|better known|simply|in other words)\b")
_REST_OF_DATE = re.compile(
    "^ (?:January|February|March|April|May|June|July|August|September|October|November|December)(?: \\d{1,2})?(?!\\S)"
)
_LAST_NUMBER = re.compile(r"(?<!\S)[-+]?\d\S*(?: [A-Z][a-z]+(?: \d{1,2})?)?$")
_COPULA = re.compile(r"(?<!\S)(?:is|was|are|were|be|in|by|at|:)(?!\S)")
_AMOUNT = re.compile(r"(?<!\S)[-+]?\d[\d.]* [a-z]+\d?(?!\S)")
_BULLET = re.compile(r"^[ \t]*[-*•‣·–—▪◦+][ \t]+")
_MARKER = re.compile(
    r"(?:(?<=\s)|^)(?:\(?(\d{1,2})[.):]|#(\d)[.:)]?|\(?([a-h])[):]|(?-i:([a-h]|i{1,3})\.)|\(?(i{1,3})\)"
    r"|([①-⑳])|(?:option|candidate|choice|answer) ([\da-h])[.:)])"
    r"\s*(?=\D)",
    re.IGNORECASE,
)
_ALSO = re.compile(r"(?:then|also|maybe|perhaps|possibly|even) ")


def mark_lines(answer: str) -> str:
    """The answer in one line, with " | " for each line and for the numbers of a numbered list."""
    answer = "\n".join(_BULLET.sub("", line) for line in answer.splitlines())
    numbers = {next(filter(None, match.groups())).lower() for match in _MARKER.finditer(answer)}
    if any(numbers >= set(first_two) for first_two in (("1", "2"), ("a", "b"), ("i", "ii"), ("①", "②"))):
        answer = _MARKER.sub(" | ", answer)
    return re.sub(r"\s*[\n\t|][\s|]*|(?<=\w) {2,}(?=\w)", " | ", answer.strip()).strip(" |")


def is_listed(said: str, start: int, end: int, golds: Sequence[str]) -> bool:
    """Whether another candidate stands beside the mention at `start` to `end` of what `cased_words` returned."""
    mention = said[start:end]
    before = re.sub(r"\([^()]*(?:\)|$)", "", said[max(0, start - 300) : start])
    after = re.sub(r"\([^()]*(?:\)|$)", "", said[end : end + 300])
    after = _REST_OF_DATE.sub("", re.sub(r"^ [.,;] \|", " |", after))
    before = re.sub(r"[,;] \| $", "| ", before)
    own = {canonicalise(gold) for gold in golds}
    left = [part.strip() for part in _SEPARATOR.split(before)]
    right = [part.strip() for part in _SEPARATOR.split(after)]
    lead, rest = left[-1], right[0]
    if "|" in (*left[-2:-1], *(right[1:2] if rest == "" else ())):
        return rest == "" and _lines_are_candidates(mention, lead, before, after, own)
    to_the_right = _others(right[1::2], right[2::2], own) if rest == "" else []
    to_the_left = _others(left[-2::-2], left[-3::-2], own)
    if _right_candidate(mention, lead, to_the_right):
        return True
    own_words = lead if lower_case(lead) not in ("the", "a", "an") or left[-2:-1] == [","] else ""
    return _left_candidate(mention, own_words, rest, to_the_left)


def _others(separators: list[str], items: list[str], own: set[str]) -> list[tuple[str, str]]:
    """What stands beside the mention, the nearest first, each with the separator towards it; gold answers left out."""
    found: list[tuple[str, str]] = []
    carried = ""
    for separator, item in zip(separators, items, strict=False):
        carried = separator if separator in _WORDS_THAT_PART or not carried else carried  # ", and"
        if item == "":
            continue
        if not {canonicalise(item), canonicalise(_COPULA.split(item)[-1])} & own:
            found.append((carried, item))
        carried = ""
    return found


def _right_candidate(mention: str, lead: str, others: list[tuple[str, str]]) -> bool:
    if not others:
        return False
    separator, item = others[0]
    if separator in _OR and not _ALSO_NAMED.match(f" {item}"):
        return not _same_amount(mention, item)
    if not _is_candidate(item, mention, lead, separator) or _is_address(mention, others):
        return False
    if separator in (".", "!"):
        return len(item.split()) <= 4
    # "She was born in Paris and Bo Tarn was born in Lyon"
    return not (separator in _AND and _VERB.search(lead) and _VERB.search(item))


def _left_candidate(mention: str, lead: str, rest: str, others: list[tuple[str, str]]) -> bool:
    if not others or lead:
        return False
    separator, item = others[0]
    if separator in _OR:
        return not _same_amount(mention, item)
    if separator == "—" and [other for other, _ in others].count("—") < 2:
        return False  # "Capital — Paris"
    if separator == "?" and " " in item and _VERB.search(item):
        return False  # a question, and its answer
    tail = _COPULA.split(item)[-1].strip()
    if separator in (",", ";", "."):
        return rest == "" and _is_candidate(tail, mention, "", separator)
    if rest and _VERB.search(rest.split()[0]) and _VERB.search(item):
        return False  # "She left Lyon and Paris became her home"
    if _starts_with_digit(mention) and (number := _LAST_NUMBER.search(item)):
        return _is_candidate(number[0], mention, "", separator)
    return _is_candidate(item.split()[-1], mention, "", separator)


def _lines_are_candidates(mention: str, lead: str, before: str, after: str, own: set[str]) -> bool:
    """Whether a line beside the mention's own could be another answer: short, and no sentence. Behind a sentence that
    ends in the mention it must look like the mention."""
    line = (before.split("|")[-2:-1] or [""])[0].strip()
    # A whole sentence and then the answer alone is no list.
    above = "" if line.endswith(".") and _COPULA.search(line) else _COPULA.split(line)[-1].strip(" .,;")
    below = (after.split("|")[1:2] or [""])[0].strip(" .,;")
    if lower_case(lead) not in ("", "the", "a", "an"):
        return _is_candidate(below, mention, lead, "|") and canonicalise(below) not in own
    return any(_is_short(line) and canonicalise(line) not in own for line in (above, below))


def _is_short(line: str) -> bool:
    words = line.split()
    return 0 < len(words) <= 8 and ":" not in words and not _VERB.search(line)


def _same_amount(mention: str, item: str) -> bool:
    """ "320 km/h or 200 mph" says one thing twice; "Paris or Lyon" does not."""
    return _AMOUNT.fullmatch(mention) is not None and _AMOUNT.search(item) is not None


def _is_candidate(item: str, mention: str, lead: str, separator: str) -> bool:
    """Whether the words could be another answer of the mention's kind."""
    words = _ALSO.sub("", item, count=1).split()
    if not words or len(words) > 7:
        return False
    low = [lower_case(word) for word in words]
    number = _starts_with_digit(mention)
    if number != _starts_with_digit(words[0]):
        return separator == "/" and len(words) <= 4
    if number:
        return not any(_VERB.search(word) for word in low) or len(words) == 1
    article = low[0] in ("a", "an", "the") and bool(set(lead.lower().split()[-1:]) & {"a", "an", "the"})
    if article:
        words, low = words[1:], low[1:]
    if not words or low[0] in _NOT_A_CANDIDATE or (_is_role(low) and not _is_role(lower_case(mention).split())):
        return False
    if any(map(_is_caseless, words)):
        return len(words) <= 3 and not re.search("[のはがをにです是的在]", item)
    if not mention[0].isupper():
        return len(words) <= 3 and not any(word in _NOT_A_CANDIDATE or _VERB.search(word) for word in low)
    if separator == "and" and not _VERB.search(lead) and words[0][0].isupper() and _VERB.search(item):
        return True  # "Ada Mell and Bo Tarn wrote it"
    return all(
        word[0].isupper() or word[0].isdigit() or lower in _SMALL for word, lower in zip(words, low, strict=True)
    )


def _starts_with_digit(text: str) -> bool:
    return text.lstrip("-+<>")[:1].isdigit()


def _is_role(words: list[str]) -> bool:
    return words[-1] in _BEHIND_A_NAME or ("of" in words and words[0] in _ROLES_OF)


def _is_caseless(word: str) -> bool:
    return word[0].isalpha() and word.upper() == word.lower()


def _is_address(mention: str, others: list[tuple[str, str]]) -> bool:
    """ "Paris, France" and "Austin, Texas, United States", but not "France, Spain"."""
    names: list[str] = []
    for separator, item in others[:3]:
        if separator not in (",", "—", "/") or (names and place_level(item) == 0 and place_level(names[-1]) > 0):
            break
        names.append(item)
    levels = [place_level(name) for name in names] or [0]
    return max(levels) > place_level(mention) and levels == sorted(set(levels))
