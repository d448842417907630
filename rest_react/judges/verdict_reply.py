"""Parses an LLM judge's verdict on an answer (the paper's auto-eval, section 4).

    >>> read_judgement("# Both name Lyon.\\nCheck_Answer(ORIGINAL_QUESTION, ANSWER, REF_ANSWER) = True").verdict
    'correct'
    >>> read_judgement("The answer is not correct: it names Lyon.").verdict
    'incorrect'
    >>> read_judgement("The answer is partially correct.").verdict
    'unscored'

The form of the prompt (`... = True`) counts first, then a JSON object, then plain sentences. An ambiguous reply is
`unscored`, never a guess.
Not here: asking the judge (grader).
"""

import re
from itertools import islice

from rest_react.judges.reply_markup import QUOTATION, parse_objects, strip_wrappers, without_quotations
from rest_react.model_output.thinking import after_thinking
from rest_react.prompts import STOP
from rest_react.records import Verdict

# A verdict that may be in bold, in backquotes or in quotation marks.
_ASSIGNS = r"(?:=|->|→|\)\s*:|\breturn(?:s|ed)?|\bevaluates to|\bverdict is)\s*"
_VERDICT_ASSIGNED = re.compile(rf"{_ASSIGNS}([*`'\"]+)?(true|false)\b(?(1)[*`'\"])", re.IGNORECASE)
# A line that decides nothing: "= True or False", "return True if ..., else return False".
_UNDECIDED = re.compile(
    rf"^.*{_ASSIGNS}[*`'\"]*(?:true|false)\b[*`'\"]*[^\S\n]{{0,3}}(?:if\b|(?:or\b|[/|])[^\S\n]{{0,3}}(?:true|false)\b).*$",
    re.IGNORECASE | re.MULTILINE,
)
_VERDICT_ALONE = re.compile(r"[\W_]*(true|false|correct|incorrect)[\W_]*(?:#.*)?", re.IGNORECASE)
_VERDICT_LABEL = re.compile(
    r"[\W_]*(?:(?:so|therefore|thus|hence),? )?(?:the )?(?:(?:final|overall|my) )?(?:verdict|judge?ment|assessment"
    r"|evaluation|result|correctness|is[_ ]correct|correct|decision|conclusion|final answer"
    r"|grade|therefore|thus|hence|so)\W{1,6}(true|false|correct|incorrect|right|wrong)[\W_]*",
    re.IGNORECASE,
)
# A first sentence of one word; "Correct: Lyon" and "Correct, in part" are none.
_VERDICT_FIRST = re.compile(
    r"[\W_]*(true|false|correct|incorrect)[*_`]*(?:[.!]|,? (?:because|since)\b)(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_CORRECT_LABEL = re.compile(r"[\W_]*(?:is[_ ])?correct\W{1,4}(yes|no)[\W_]*", re.IGNORECASE)
_AS_BOOL = {"yes": "true", "no": "false"}
_ANSWER_NOUN = r"(?<!reference )(?<!ref )(?<!gold )(?<!correct )(?<!right )(?<!true )\b(?:answer|response)\b"
_VERDICT_SENTENCE = re.compile(
    rf"(?:{_ANSWER_NOUN}(?: given| above)?|\b(?:so|therefore|thus|hence),? (?:it|this)|(?:^|(?<=\n))(?:it|this))"
    r"(?: is| was| should be)(?P<not> not|n['’]t)?"
    r"(?: indeed| clearly| therefore| thus| also| factually| considered| judged| deemed| marked)*"
    r" (?P<word>correct|incorrect|right|wrong)\b(?! that\b)"
    r"|\banswer (?P<implies>(?:clearly |therefore |thus )?implies|does imply|does not imply|doesn['’]t imply)"
    r" (?:the )?ref",
    re.IGNORECASE,
)
_HEDGE = re.compile(
    r"\b(?:partial|partially|partly|mostly|somewhat|technically|not (?:entirely|fully|completely|quite|wholly)"
    r"|might|may be|could be|would be|if the|if it|unless|unclear|unsure|not sure|cannot (?:say|tell|determine)"
    r"|hard to)\b",
    re.IGNORECASE,
)
_VERDICT_WORD = re.compile(r"\b(true|false|correct|incorrect|right|wrong)\b", re.IGNORECASE)
_OTHER_ANSWER = re.compile(r"\b(?:correct|right|true) (?:answer|response)\b", re.IGNORECASE)
_TURN = re.compile(r"\?|\b(?:however|yet|actually|wait|missing|hmm)\b", re.IGNORECASE)
_TURN_BEHIND = re.compile(r"[.!;\n]\s*(?:however|yet|actually|wait|hmm)\b|\bmissing\b", re.IGNORECASE)
_NOTHING_MISSING = re.compile(r"\b(?:nothing|none|no \w+) (?:is|are) missing\b", re.IGNORECASE)
_NEGATION = re.compile(r"\b(?:no|not|never|differs?|lacks?|fails?)\b|n['’]t\b", re.IGNORECASE)
_CLAUSE_END = re.compile(r"[,;:]|\b(?:and|so|because|therefore|thus|hence)\b", re.IGNORECASE)
_DENIAL = re.compile(rf"{_NEGATION.pattern}|\b(?:nothing|nobody|none|neither|hardly|false|untrue)\b", re.IGNORECASE)
_RESTRICTION = re.compile(r"\b(?:but|except|although|though|only)\b", re.IGNORECASE)
_NOT_CODE = ("#", "```", 'ORIGINAL_QUESTION = "', 'ANSWER = "', 'REF_ANSWER = "')  # fields that a judge repeats
_HEADING = re.compile(r"#{2,6}\s+(?!#)")
_NEXT_EXAMPLE = re.compile(r"^[^\w\n]*Example \d+[^\w\n]*$", re.MULTILINE)


def read_judgement(reply: str) -> Verdict:
    """The verdict in a judge's reply, with the reply's comments as its reason.

    The text counts up to the end mark, or up to the next example if the judge begins one. Never raises; linear in the
    reply's length.
    """
    body = after_thinking(reply)
    if body is None:
        return Verdict("unscored", f"the judge's reply ends inside its thoughts: {reply[:200]!r}")
    own_reply = _NEXT_EXAMPLE.split(strip_wrappers(body).split(STOP, 1)[0], maxsplit=1)[0]
    lines = [line.strip() for line in own_reply.splitlines()]
    headings = [line for line in lines if _HEADING.match(line)]
    comments = " ".join(text for line in lines if line.startswith("#") and (text := line.lstrip("# ")))
    code = [line for line in lines if line and not line.startswith(_NOT_CODE)]
    verdicts = (
        _stated_verdicts(code, headings) or _object_verdict(code) or _opening_verdict(code) or _prose_verdicts(code)
    )
    if len(verdicts) == 1:
        return Verdict("correct" if verdicts.pop() else "incorrect", comments or " ".join(code)[:300])
    return Verdict("unscored", f"no verdict in the reply: {reply[:200]!r}")


def _stated_verdicts(code: list[str], headings: list[str]) -> set[bool]:
    """The verdicts that are assigned, returned, labelled, or alone on a line."""
    decided, undecided = _UNDECIDED.subn("", "\n".join(map(without_quotations, code)))
    words = {match[2] for match in _VERDICT_ASSIGNED.finditer(decided)}
    words |= {match[1] for match in map(_VERDICT_LABEL.fullmatch, [*code, *headings]) if match}
    words |= {_AS_BOOL[match[1].lower()] for match in map(_CORRECT_LABEL.fullmatch, code) if match}
    alone = [match for match in map(_VERDICT_ALONE.fullmatch, code) if match]
    # Without another verdict, a word alone on a line counts only on the first or the last line.
    if words or (alone and (_VERDICT_ALONE.fullmatch(code[0]) or _VERDICT_ALONE.fullmatch(code[-1]))):
        words |= {match[1] for match in alone}
    if undecided and not words:
        return {True, False}
    return {word.lower() in ("true", "correct", "right") for word in words}


def _object_verdict(code: list[str]) -> set[bool]:
    words = {"true": True, "correct": True, "false": False, "incorrect": False}
    for value in parse_objects("\n".join(code)):
        items = {str(key).lower().replace("_", ""): item for key, item in value.items()}
        for key in ("verdict", "correct", "iscorrect", "checkanswer", "judgement", "judgment", "result", "passed"):
            verdict = words.get(str(items.get(key)).lower())
            if verdict is not None:
                return {verdict}
    return set()


def _opening_verdict(code: list[str]) -> set[bool]:
    """The verdict of a first sentence of one word. Both verdicts, so that none counts, if something behind it may take
    it back: another verdict, a question, a restriction, or behind a good one a negation."""
    first = _VERDICT_FIRST.fullmatch("\n".join(code))
    if first is None:
        return set()
    good, rest = first[1].lower() in ("true", "correct"), _OTHER_ANSWER.sub("", first["rest"])
    said = {word.lower() in ("true", "correct", "right") for word in _VERDICT_WORD.findall(rest)}
    taken_back = _HEDGE.search(rest) or _RESTRICTION.search(rest) or _TURN.search(rest)
    if taken_back or said - {good} or (good and _NEGATION.search(rest)):
        return {True, False}
    return {good}


def _prose_verdicts(code: list[str]) -> set[bool]:
    """The verdicts of sentences about the answer, without quotations; empty if one of them hedges, is denied by the
    words before it, or is a double negation."""
    body = QUOTATION.sub("", re.sub(r"[*`_]+", "", "\n".join(code)).replace("REFANSWER", "REF"))
    verdicts: set[bool] = set()
    for match in islice(_VERDICT_SENTENCE.finditer(body), 20):
        before = re.split(r"[.!?\n]", body[max(0, match.start() - 200) : match.start()])[-1]
        after = re.split(r"(?<=[.!?\n])", body[match.end() : match.end() + 200])[0]
        if _HEDGE.search(before + match[0] + after) or "?" in after or _RESTRICTION.search(after):
            return set()
        if _DENIAL.search(_CLAUSE_END.split(before)[-1]):  # "I do not think the answer is correct"
            return set()
        rest = _NOTHING_MISSING.sub("", body[match.end() : match.end() + 300])
        good = not match["not"] and match["word"] and match["word"].lower() in ("correct", "right")
        if good and _TURN_BEHIND.search(rest):
            return set()  # "However, the year is missing."
        if match["implies"]:
            verdicts.add("not" not in match["implies"] and "n't" not in match["implies"].replace("’", "'"))
        elif match["not"] and match["word"].lower() in ("incorrect", "wrong"):
            return set()
        else:
            verdicts.add((match["word"].lower() in ("correct", "right")) != bool(match["not"]))
    return verdicts
