"""How a judge's reply is read: a ranking, a yes or no, a right or wrong.

    >>> read_ranking("1. Output 3\\n2. Output 1\\n3. Output 2", 3)
    (2, 0, 1)
    >>> read_good("Yes, every element is filled in.")
    True
    >>> read_judgement("The answer is not correct: it names Lyon.").verdict
    'incorrect'

The form that the prompts ask for goes first, then JSON, then what chat models write in its place. What is thought
before `</think>` is no verdict. A reply that can be taken in two ways is not read: (), None or `unscored`, never a
guess.
Not here: asking a judge (reward, grader). Every function is linear in the reply's length.
"""

import ast
import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from rest_react.model_output.lenient_parser import Unreadable, span
from rest_react.model_output.thinking import after_thinking
from rest_react.prompts import STOP
from rest_react.records import Verdict

# A line's head may carry marks ("**BEST:**", "### BEST"), but none of JSON; what follows may stand on the next line.
_BEST = re.compile(r"^[^\w\n{\"']*BEST\b\W*[^\d\n]{0,20}(\d{1,3})\b([^\n]*)", re.IGNORECASE | re.MULTILINE)
_RANKING = re.compile(r"^[^\w\n{\"']*(?:FINAL |OVERALL )?RANKING\b[^\w\n]*(.*)$", re.IGNORECASE | re.MULTILINE)
_GOOD = re.compile(r"^[^\w\n{\"']*GOOD\W*(yes|no|true|false)\b", re.IGNORECASE | re.MULTILINE)
_MARKED = re.compile(r"[^\w\n]*(?:\w+ )?\w+[^\w\n]*[:=]")
_TWO = re.compile(r"^\s*(?:or|and|/|,|&|=)\s*(?:output\s*)?#?\s*\d", re.IGNORECASE)
_OUTPUT = r"(?:(?:the\s+)?(?:model\s+)?(?:output|candidate|response|option|answer|sample|action)s?\s*)?(?:#|no\.\s*)?"
# "1. Output 3", "2nd: #1", "Rank 3 - 2", "- Output 2"
_ITEM = re.compile(
    rf"^[\s>•-]*(?:(?:rank\s*)?#?(\d{{1,2}})(?:st|nd|rd|th)?(?:\s*(?:place|best))?\s*[.):–-]+\s*)?{_OUTPUT}(\d{{1,3}})\b(.*)$",
    re.IGNORECASE,
)
# A line with nothing on it but numbers of outputs.
_NUMBERS = re.compile(
    rf"^[\s\[(]*{_OUTPUT}\d{{1,3}}(?:[\s>,;=≻→-]+(?:then\s+)?{_OUTPUT}\d{{1,3}})*[\s\]).]*$", re.IGNORECASE
)
_RANKED_SO = re.compile(r"\brank(?:ing|ed|s)?\b[^\d\n#>]{0,40}?((?:(?:model )?output )?#?\d[^\n]*)$", re.IGNORECASE)
_ON_ONE_LINE = re.compile(r"\bBEST\s*[:=]\s*#?(\d{1,3})\W{1,6}RANKING\s*[:=]\s*([\d#>,;\s\[\]]+)\.?$", re.MULTILINE)
_BEST_SAID = re.compile(
    r"\bbest (?:(?:model )?(?:output|candidate|response|option|one|choice)) is (?:clearly |therefore )?"
    r"(?:(?:model )?(?:output|candidate|response|option|number)\s*)?#?(\d{1,3})\b"
    r"|\b(?:output|candidate|response|option)\s*#?(\d{1,3}) is (?:clearly |by far |therefore )?the best\b",
    re.IGNORECASE,
)
_MOST_OBJECTS = 5
_YES_OR_NO = re.compile(r"[\W_]*(yes|no)\b(?=\s*(?:$|[.,;:!\n—–-]))", re.IGNORECASE)
_ONLY_YES_OR_NO = re.compile(r"[\W_]*(yes|no)[\W_]*", re.IGNORECASE)
_SAID_GOOD = re.compile(r"\boutput is (not |n't )?(?:indeed |clearly )?good\b(?! except| but)", re.IGNORECASE)

# A judge's verdict, perhaps in bold, as code or quoted.
_JUDGED = re.compile(
    r"(?:=|->|→|\)\s*:|\breturn(?:s|ed)?|\bevaluates to|\bverdict is)\s*([*`'\"]+)?(true|false)\b(?(1)[*`'\"])",
    re.IGNORECASE,
)
_BARE = re.compile(r"[\W_]*(true|false|correct|incorrect)[\W_]*(?:#.*)?", re.IGNORECASE)
_LABELLED = re.compile(
    r"[\W_]*(?:(?:so|therefore|thus|hence),? )?(?:the )?(?:(?:final|overall|my) )?(?:verdict|judge?ment|assessment"
    r"|evaluation|result|correctness|is[_ ]correct|correct|decision|conclusion|final answer"
    r"|grade|therefore|thus|hence|so)\W{1,6}(true|false|correct|incorrect|right|wrong)[\W_]*",
    re.IGNORECASE,
)
_CORRECT_YES = re.compile(r"[\W_]*(?:is[_ ])?correct\W{1,4}(yes|no)[\W_]*", re.IGNORECASE)
_AS_BOOL = {"yes": "true", "no": "false"}
_ANSWER = r"(?<!reference )(?<!ref )(?<!gold )(?<!correct )(?<!right )(?<!true )\b(?:answer|response)\b"
_SAID_RIGHT = re.compile(
    rf"(?:{_ANSWER}(?: given| above)?|\b(?:so|therefore|thus|hence),? (?:it|this)|(?:^|(?<=\n))(?:it|this))"
    r"(?: is| was| should be)(?P<not> not|n['’]t)?"
    r"(?: indeed| clearly| therefore| thus| also| factually| considered| judged| deemed| marked)*"
    r" (?P<word>correct|incorrect|right|wrong)\b(?! that\b)"
    r"|\banswer (?P<implies>(?:clearly |therefore |thus )?implies|does imply|does not imply|doesn['’]t imply)"
    r" (?:the )?ref",
    re.IGNORECASE,
)
_HEDGED = re.compile(
    r"\b(?:partial|partially|partly|mostly|somewhat|technically|not (?:entirely|fully|completely|quite|wholly)"
    r"|might|may be|could be|would be|if the|if it|unless|unclear|unsure|not sure|cannot (?:say|tell|determine)"
    r"|hard to)\b",
    re.IGNORECASE,
)
_BUT = re.compile(r"\b(?:but|except|although|though|only)\b", re.IGNORECASE)
_QUOTED = re.compile(r"\"[^\"\n]*\"|“[^”\n]*”")
_NOT_CODE = ("#", "```", 'ORIGINAL_QUESTION = "', 'ANSWER = "', 'REF_ANSWER = "')  # fields that a judge repeats
_HEADING = re.compile(r"#{2,6}\s+(?!#)")
_NEXT_EXAMPLE = re.compile(r"^[^\w\n]*Example \d+[^\w\n]*$", re.MULTILINE)


# ── rankings ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def read_ranking(reply: str, count: int) -> tuple[int, ...]:
    """0-based places, best first. BEST goes first even where RANKING disagrees or is incomplete; places that were not
    ranked follow in their order. Empty where nothing can be read."""
    said = after_thinking(reply)
    if said is None:
        return ()
    said = re.sub(r"[*`]+", "", _unwrapped(said))
    best, ranking = _labelled_best(said), _labelled_ranking(said)
    if best is None and not ranking and (line := _ON_ONE_LINE.search(said)):
        best, ranking = int(line[1]), _numbers(line[2])
    if best is None and not ranking:
        best, ranking = _ranking_object(said)
    if best is None and not ranking:
        ranking = _bare_ranking(said, count)
    places: list[int] = []
    for number in ([] if best is None else [best]) + ranking:
        if 0 < number <= count and number - 1 not in places:
            places.append(number - 1)
    if not places:
        return ()
    return (*places, *(place for place in range(count) if place not in places))


def _unwrapped(said: str) -> str:
    """The reply without the tags and boxes that some models are trained to put around their verdicts."""
    return re.sub(r"\\boxed\{([^{}]*)\}", r"\1", re.sub(r"</?(?:answer|verdict|output|result|response)>", " ", said))


def _line(pattern: re.Pattern[str], said: str) -> re.Match[str] | None:
    """The last such line, one with a colon before any other: an explanation may begin "Best so far is 2"."""
    found = list(pattern.finditer(said))
    found = [match for match in found if _MARKED.match(match[0])] or found
    return found[-1] if found else None


def _labelled_best(said: str) -> int | None:
    best = _line(_BEST, said)
    return None if best is None or _TWO.match(best[2]) else int(best[1])


def _labelled_ranking(said: str) -> list[int]:
    ranking = _line(_RANKING, said)
    if ranking is None:
        return []
    if re.search(r"\d", ranking[1]):
        lines = said[ranking.start(1) :].splitlines()
        return _listed(lines) if _begins_list(lines) else _numbers(ranking[1])
    lines = [line for line in said[ranking.end() :].splitlines() if line.strip()]
    if _begins_list(lines):
        return _listed(lines)
    return _numbers(lines[0]) if lines and _NUMBERS.match(lines[0]) else []


def _begins_list(lines: list[str]) -> bool:
    """Whether the first line is the first of several items, between which there may be remarks."""
    items = [item for item in map(_ITEM.match, lines) if item]
    first = _ITEM.match(lines[0]) if lines else None
    return first is not None and len(items) > 1 and (first[1] is not None or _ITEM.match(lines[1]) is not None)


def _numbers(line: str) -> list[int]:
    """The outputs on one line; marks in brackets behind them ("3 (9/10)") are none."""
    bare = re.sub(r"\([^()]*\)", "", line)
    found = re.findall(r"\d+", bare) or re.findall(r"\d+", line)
    return [int(number) for number in found if len(number) < 4]


def _listed(lines: list[str]) -> list[int]:
    """The outputs of a list with one on each line, best first; none where the numbers may be those of the list."""
    items = [item for item in map(_ITEM.match, lines) if item]
    if items and items[0][1]:
        items = [item for item in items if item[1]]
    if len(items) < 2:
        return []
    outputs = [int(item[2]) for item in items]
    if all(item[1] for item in items):
        ranks = [int(item[1]) for item in items]
        return outputs if ranks == list(range(1, len(ranks) + 1)) else []
    if any(item[1] for item in items):
        return []
    counted = outputs == list(range(1, len(outputs) + 1)) and any(re.search(r"\w", item[3]) for item in items)
    return [] if counted else outputs


def _bare_ranking(said: str, count: int) -> list[int]:
    """Without labels: a line of numbers alone, a numbered list of all outputs, or one sentence on the best."""
    lines = [line for line in said.splitlines() if line.strip()]
    if lines and (sentence := _RANKED_SO.search(lines[-1])):
        lines = [sentence[1]]
    if lines and _NUMBERS.match(lines[-1]):
        found = _numbers(lines[-1])
        if len(found) > 1 or len(lines) == 1:
            return found
    for at in range(len(lines)):
        if at < 50 and _begins_list(lines[at:]):
            listed = _listed(lines[at:])
            in_order = listed == list(range(1, count + 1))  # may as well go through the outputs one by one
            return listed if len(set(listed)) == count and not in_order else []
    best = {int(match[1] or match[2]) for match in _BEST_SAID.finditer(said)}
    return list(best) if len(best) == 1 else []


def _ranking_object(said: str) -> tuple[int | None, list[int]]:
    for found in _objects(said):
        items = {str(key).lower().replace("_", ""): value for key, value in found.items()}
        best = next((items[key] for key in ("best", "bestoutput", "winner", "choice") if key in items), None)
        ranking = next((items[key] for key in ("ranking", "order", "rank", "rankings") if key in items), None)
        if best is not None or ranking is not None:
            numbers = _numbers(ranking) if isinstance(ranking, str) else _ranked(ranking)
            return _number(best), numbers
    return None, []


def _ranked(value: Any) -> list[int]:
    if not isinstance(value, list):
        return []
    if value and all(isinstance(one, dict) and isinstance(one.get("rank"), int) for one in value):
        value = sorted(value, key=lambda one: one["rank"])
    numbers = [_number(one) for one in value]
    return [] if None in numbers else [number for number in numbers if number is not None]


def _number(value: Any) -> int | None:
    """The output that a value of JSON names."""
    if isinstance(value, dict):
        named = [value[key] for key in ("output", "model_output", "candidate", "number", "id", "index") if key in value]
        value = named[0] if named else None
    found = re.findall(r"\d+", str(value)) if isinstance(value, (int, str)) and not isinstance(value, bool) else []
    return int(found[0]) if len(found) == 1 and len(found[0]) < 4 else None


def _objects(said: str) -> Iterator[dict[Any, Any]]:
    """The objects in a reply, of JSON or Python, the last one first."""
    found, at = [], said.find("{")
    for _ in range(_MOST_OBJECTS):
        if at < 0:
            break
        try:
            end = span(said, at)[0]
        except Unreadable:
            break
        value = _value(said[at:end])
        if isinstance(value, dict):
            found.append(value)
        at = said.find("{", end)
    yield from reversed(found)


def _value(source: str) -> Any:
    try:
        return json.loads(source, strict=False)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(source)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None


# ── yes or no ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def read_good(reply: str) -> bool | None:
    """Whether a candidate was called good; None where that cannot be read."""
    said = after_thinking(reply)
    if said is None:
        return None
    if line := _line(_GOOD, said):
        return line[1].lower() in ("yes", "true")
    for found in _objects(said):
        value = next((value for key, value in found.items() if str(key).lower() in ("good", "is_good")), None)
        if value is not None:
            return {"yes": True, "true": True, "no": False, "false": False}.get(str(value).lower())
    lines = [line for line in said.strip().splitlines() if line.strip()]
    opened = _YES_OR_NO.match(lines[0]) if lines else None
    closed = _ONLY_YES_OR_NO.fullmatch(lines[-1]) if lines else None
    words = {match[1].lower() for match in (opened, closed) if match}
    if opened and opened[1].lower() == "no" and re.search(r"\byes\b", said, re.IGNORECASE):
        return None
    if opened and opened[1].lower() == "yes" and re.search(r"\b(?:so|is|but|then|hence) no\b\W*$", said, re.IGNORECASE):
        return None
    if not words:
        words = {"no" if match[1] else "yes" for match in _SAID_GOOD.finditer(_QUOTED.sub("", said))}
    return words == {"yes"} if len(words) == 1 else None


# ── right or wrong ────────────────────────────────────────────────────────────────────────────────────────────────────


def read_judgement(reply: str) -> Verdict:
    """`... = True` or `... = False` outside the comments, the verdict on a line of its own, or in one plain sentence;
    the comments are the reason. A judge may run on: where it opens a further example, its opinion of this one ends."""
    said = after_thinking(reply)
    if said is None:
        return Verdict("unscored", f"the judge's reply ends inside its thoughts: {reply[:200]!r}")
    own = _NEXT_EXAMPLE.split(_unwrapped(said).split(STOP, 1)[0], maxsplit=1)[0]
    lines = [line.strip() for line in own.splitlines()]
    headings = [line for line in lines if _HEADING.match(line)]
    comments = " ".join(text for line in lines if line.startswith("#") and (text := line.lstrip("# ")))
    code = [line for line in lines if line and not line.startswith(_NOT_CODE)]
    found = _stated(code, headings) or _in_an_object(code) or _in_prose(code)
    if len(found) == 1:
        return Verdict("correct" if found.pop() else "incorrect", comments or " ".join(code)[:300])
    return Verdict("unscored", f"no verdict in the reply: {reply[:200]!r}")


def _stated(code: list[str], headings: list[str]) -> set[bool]:
    """What is set, returned, labelled, or stands on a line of its own."""
    words = {match[2] for match in _JUDGED.finditer("\n".join(code))}
    words |= {match[1] for match in map(_LABELLED.fullmatch, [*code, *headings]) if match}
    words |= {_AS_BOOL[match[1].lower()] for match in map(_CORRECT_YES.fullmatch, code) if match}
    bare = [match for match in map(_BARE.fullmatch, code) if match]
    # A word on a line of its own counts where it opens or closes the reply.
    if words or (bare and (_BARE.fullmatch(code[0]) or _BARE.fullmatch(code[-1]))):
        words |= {match[1] for match in bare}
    return {word.lower() in ("true", "correct", "right") for word in words}


def _in_an_object(code: list[str]) -> set[bool]:
    words = {"true": True, "correct": True, "false": False, "incorrect": False}
    for found in _objects("\n".join(code)):
        items = {str(key).lower().replace("_", ""): value for key, value in found.items()}
        for key in ("verdict", "correct", "iscorrect", "checkanswer", "judgement", "judgment", "result", "passed"):
            verdict = words.get(str(items.get(key)).lower())
            if verdict is not None:
                return {verdict}
    return set()


def _in_prose(code: list[str]) -> set[bool]:
    """What sentences say of the answer, quotes aside; nothing where one of them hedges or denies a denial."""
    said = _QUOTED.sub("", re.sub(r"[*`_]+", "", "\n".join(code)).replace("REFANSWER", "REF"))
    found: set[bool] = set()
    for match in islice(_SAID_RIGHT.finditer(said), 20):
        before = re.split(r"[.!?\n]", said[max(0, match.start() - 200) : match.start()])[-1]
        after = re.split(r"(?<=[.!?\n])", said[match.end() : match.end() + 200])[0]
        if _HEDGED.search(before + match[0] + after) or "?" in after or _BUT.search(after):
            return set()
        if match["implies"]:
            found.add("not" not in match["implies"] and "n't" not in match["implies"].replace("’", "'"))
        elif match["not"] and match["word"].lower() in ("incorrect", "wrong"):
            return set()
        else:
            found.add((match["word"].lower() in ("correct", "right")) != bool(match["not"]))
    return found
