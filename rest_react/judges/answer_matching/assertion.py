"""Does an answer stand by what it mentions, or deny it, leave it open, or only list it?

    >>> said = cased_words("I doubt it is Paris.")
    >>> objection(said, said.index("Paris"), said.index("Paris") + 5, "Where was she born?", ["Paris"])
    'the answer says that it does not know'

The words of denial are read in the clause before the mention, some of them right behind it; a confession of not knowing
counts anywhere. Words that stand in the same company in the question or a gold answer belong to a title (Never Let Me
Go, The Wrong Man) and deny nothing. The rules are English, with the commonest denials of some other languages.
Not here: several answers in a list (listed_answers), choices that the question offers (rule_grader).
"""

import re
from collections.abc import Iterable

from rest_react.judges.answer_matching.canonical_text import canonicalise, cased_words, lower_case
from rest_react.judges.answer_matching.listed_answers import is_listed

# All patterns below read canonical text: lower case, one space between words and marks, "isn't" as "is not".
_END_OF_CLAUSE = r"[.,;:!?()—]|but|until|only|and|because|since|as|although|while|which|who"
_OPEN = (
    r"whether|either|conceivably|almost|nearly|might|may be|may have|could be|could have|maybe"
    r"|perhaps|possibly|unclear|unknown|unsure|uncertain"
)
DENIAL = re.compile(
    rf"\b(?:not|never|neither|nor|rather than|instead of|unlike|other than|except|{_OPEN}|wrong|wrongly|incorrect"
    r"|incorrectly|false|falsely|doubt|doubts|doubted|doubtful|hardly|scarcely|barely|unlikely|improbable|impossible"
    r"|far from|nowhere near|rule out|rules out|ruled out|ruling out|excludes?|excluded|excluding|exclude|denies|denied"
    r"|deny|refuted?|refutes|disproved?|rejects?|rejected|dismissed|mistaken|mistakenly|erroneously|confused with|myth"
    r"|misconception|opposed to|used to be|no longer|fails? to|failed to|refused? to|refuses to|wanted to"
    r"|hoped to|unproven|untrue|nobody|no one|none)\b"
)
_DENIAL_HERE = re.compile(
    rf"{DENIAL.pattern}|(?<!\S)(?:no|if|unless|few|contrary to|apart from|aside from|lack of|absence of"
    r"|nicht|kein|keine|oder|vielleicht|pas|ou|peut etre|jamais|nunca|quiza|quizas|tal vez|talvez|nao|non|forse"
    r"|не|ни|нет|вряд|возможно|может быть|или|либо|кроме|नहीं|शायद|या|ليس|ليست|لا|لم|لن|غير|ربما|أو"
    r"|아마|혹시|또는|혹은|\S+[과와]|\S+이나)(?!\S)"
)
# Beside the mention these name something else; the question may ask with the same word.
_BESIDE = re.compile(
    r"(?<!\S)(after|before|than|near|nearby|like|outside|beyond|besides|beside|without|versus|vs|close to|next to"
    r"|similar to|compared (?:to|with)|(?:north|south|east|west) of|minus)(?: the| a| an| that of)? $"
)
_NAMED_AFTER = re.compile(r"\b(?:named|called|titled|modell?ed|patterned|takes|took|christened|dubbed|looks?) after ")
_NO_DENIAL = re.compile(
    r"\b(?:no doubt|without (?:a |any )?doubt|beyond (?:a |any )?doubt|not only|not just|not merely|none other than"
    r"|no other than|not until|not surprisingly|no wonder|never before)\b"
)
_ALL_BUT = re.compile(r"\b(?:any|every)(?:where|one|thing|body)?(?: \w+)? but\b|\ball but\b")
# Said of the whole answer, wherever it stands.
_CONFESSION = re.compile(
    r"\b(?:not (?:\w+ )?(?:sure|certain)|unsure|(?:am|are) uncertain|if anything|no idea|no clue|i (?:\w+ )?doubt"
    r"|(?:just|only|merely|wild) (?:a )?guess(?:ing)?"
    r"|(?:i|we) (?:\w+ )?(?:do|can|could|did) not (?:\w+ )?(?:know|say|tell|find|determine|confirm|verify|be sure|think"
    r"|believe)|(?:hard|impossible|difficult) to (?:say|tell|know|determine)|who knows|anyone guess"
    r"|can not be (?:\w+ )?(?:determined|verified|confirmed|established|known|said|ruled out)"
    r"|not enough (?:information|evidence)|insufficient (?:information|evidence))\b"
)
_WRONG = (
    r"not|never|wrong|incorrect|false|untrue|unlikely|doubtful|questionable|impossible"
    r"|ruled out|excluded|insufficient|out of"
)
_DENIED_AFTER = re.compile(
    rf" (?:is|was|are|were|does|did|has|had|can|could|would|seems|might|may|should|must)(?: \w+){{0,2}}? "
    rf"(?:{_WRONG}|possible|disputed|debatable|uncertain|unclear|unproven|hardly)\b"
    rf"| (?:, )?(?:perhaps|maybe|possibly|not|oder|ou|или|либо|أو|या)(?: \?| \.| ,|$)"
    r"| [,(] (?:or|maybe|perhaps|possibly) (?!as |also |otherwise |formerly |simply |better )"
    r"|(?: ,| but| ;| \.)+ (?:that|this|it|which)(?: \w+)? (?:is|was|would be|turned out)(?: \w+)? "
    r"(?:wrong|incorrect|false|untrue|unlikely|doubtful|impossible|a myth|not(?: \.| ,|$)"
    r"|not (?:true|right|correct|so|the case|confirmed|certain))(?!\S)"
    r"| \( (?:wrong|incorrect|not|false|untrue|unlikely|unconfirmed|doubtful|disputed|\?)(?!\S)"
    r"| (?:[,.] )?(?:is|was) (?:only |just |merely )?(?:a|one|an)(?: \w+)? (?:possibility|option|candidate|guess)\b"
    r"| (?:नहीं|아니|아닙|않|없|ليس)"
)
_CORRECTED = re.compile(
    r"(?<!\S)(?:no wait|wait no|wait , no|no , wait|actually|correction|scratch that|on second thought|i mean"
    r"|or rather)\b|(?<!\S)no [,:;] \w"
)
_ASKED = re.compile(r"[^.;!?|]{0,200}\?")
_SOME_OTHERS = re.compile(r"\bsome\b[^.;!?|]{0,200}\bothers?\b")
_DENIED_THEN = re.compile(r"\b(?:not|never|hardly|neither) , [^.;!?|]{0,80}, $|\b(?:not|never|hardly) , \w+ , ")
_CONCLUSION = re.compile(r"\banswer (?:is|was|would be|should be|:)(?= )")
# What only others hold: "although it is often said to be ...". A plain "although Paris is small, it is ..." asserts.
_CONCESSION = re.compile(r"\b(?:although|though|despite|in spite of|contrary to)\b")
_HEARSAY = re.compile(
    r"\b(?:said|says?|thought|thinks?|believed?|believes|beliefs?|claim(?:s|ed)?|assum(?:ed?|es|ptions?)"
    r"|suppos(?:ed|edly)|report(?:s|ed|edly)?|rumou?r(?:s|ed)?|mistak(?:en|enly))\b"
)
# Scripts without spaces: what denies before and after the mention, within its clause.
_UNSPACED_BEFORE = re.compile(
    r"[不非没沒未無]|可能|也许|也許|或|大概|难道|難道|除|たぶん|多分|おそらく|恐らく|もしか|ไม่|มิ|อาจ|หรือ|ยกเว้น|นอกจาก"
)
_UNSPACED_AFTER = re.compile(
    r"ではな|じゃな|ではあり|じゃあり|でな|でない|違|ちが|ません|なかった|かもしれ|だろうか|でしょうか|かどうか|以外|とは限|から?ない"
    r"|之外|吗|嗎|还是|還是|或|不对|不對|错|錯|不是|หรือ|ไม่|아니|아닙|않|없|모르"
)
_FUNCTION = frozenset(
    "the a an in on at of to for from by with as is was are were be been it he she they i you that this".split()
)
_VERBS = frozenset("was is by were has had did does are , ;".split())


_YET = re.compile(r"(?: [,;.])? (?:but|however|yet|in fact|in reality|in truth)\b")


def objection(said: str, start: int, end: int, question: str, golds: Iterable[str]) -> str:
    """Why the mention at `start` to `end` of what `cased_words` returned is not asserted; empty if it is."""
    golds = list(golds)
    low = _without_titles(said, question, golds)
    before, after = low[max(0, start - 300) : start], low[end : end + 300]
    asked = canonicalise(question).split()
    clause = re.split(rf"(?<!\S)(?:{_END_OF_CLAUSE})(?!\S)", before)[-1]
    beside = _BESIDE.search(clause)
    if _CONFESSION.search(low):
        return "the answer says that it does not know"
    if _DENIAL_HERE.search(clause.rstrip(" ") + " ") or _DENIED_THEN.search(before) or _DENIED_AFTER.match(after):
        return "the gold answer is denied or left open"
    if beside and beside[1] not in asked and not _NAMED_AFTER.search(clause):
        return f"the gold answer is named for comparison only ({beside[1]!r})"
    if not said[start:end].isascii() and _denied_unspaced(before, after):
        return "the gold answer is denied or left open"
    if _ASKED.match(after):
        return "the gold answer stands in a question"
    if _HEARSAY.search(clause) and _YET.match(after):
        return "the gold answer is only what others are said to hold"
    if _SOME_OTHERS.search(before[-200:] + said[start:end] + after[:200]) or _CORRECTED.search(after):
        return "the answer gives another one as well"
    if any(match.start() > end for match in _CONCLUSION.finditer(low, end)):
        return "the answer concludes with another one"
    return "the gold answer stands in a list of candidates" if is_listed(said, start, end, golds) else ""


def is_hearsay(low: str, at: int) -> bool:
    """Whether what stands there is part of a concession that reports an opinion."""
    part = re.split(r"[.,;:!?()—]", low[max(0, at - 300) : at])[-1]
    concession = _CONCESSION.search(part)
    return concession is not None and _HEARSAY.search(part, concession.end()) is not None


def _denied_unspaced(before: str, after: str) -> bool:
    own = re.split("[.,;:!?|]|而是", before)[-1]
    rest = re.split("[.,;:!|]", after)[0]
    return _UNSPACED_BEFORE.search(own) is not None or _UNSPACED_AFTER.search(rest) is not None


def _without_titles(said: str, question: str, golds: Iterable[str]) -> str:
    """The answer in lower case, of the same length, with words that deny nothing crossed out: parts of titles, "no
    doubt"; "anywhere but" becomes "except"."""
    low = lower_case(said)
    known = [cased_words(text) for text in (question, *golds)]
    flat = " | ".join(lower_case(text) for text in known)
    named = {word.lower() for text in known[:1] for word in text.split()[1:] if word[0].isupper()}

    def cross_out(match: re.Match[str]) -> str:
        word = match[0]
        # A few words before and after, whichever marks stand between them.
        before = low[max(0, match.start() - 60) : match.start()].split()[-2:]
        after = low[match.end() : match.end() + 120].split()[:2]
        if after and f" {word} {after[0]} " in f" {flat} " and (after[0] not in _FUNCTION or _holds(flat, word, after)):
            return "_" * len(word)
        if before and before[-1].isalpha() and f" {' '.join(before)} {word} " in f" {flat} ":
            return "_" * len(word)
        if before and before[-1].isalpha() and before[-1] not in _FUNCTION and f" {before[-1]} {word} " in f" {flat} ":
            return "_" * len(word)
        if (stem := _REFUSAL.match(word)) and f" {stem[0]}" in f" {flat}":
            return "_" * len(word)
        start = match.start()
        opens = start == 0 or said[start - 2] in ".!?|"
        if word in named and said[start].isupper() and (not opens or (after and after[0] in _VERBS)):
            return "_" * len(word)
        return word

    plain = _NO_DENIAL.sub(lambda m: "_" * len(m[0]), _MAYBE_TITLE.sub(cross_out, low))
    return _ALL_BUT.sub(lambda m: f"except {'_' * (len(m[0]) - 7)}", plain)


_MAYBE_TITLE = re.compile(
    rf"{DENIAL.pattern}|\b(?:no|if|unless|few|except|without|after|before|near|like|beyond|than|only|but"
    rf"|actually|some|may|might)\b"
)


# "Which team did she reject?"
_REFUSAL = re.compile("reject|exclud|den[iy]|refus|dismis")


def _holds(flat: str, word: str, after: list[str]) -> bool:
    return len(after) == 2 and f" {word} {after[0]} {after[1]} " in f" {flat} "
