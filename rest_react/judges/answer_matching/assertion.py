"""Decides whether an answer asserts the gold answer that it mentions, or denies it, hedges, or only lists it.

    >>> answer = cased_words("I doubt it is Paris.")
    >>> why_not_asserted(answer, answer.index("Paris"), answer.index("Paris") + 5, "Where was she born?", ["Paris"])
    'the answer says that it does not know'

Words of denial count in the clause before the mention, some of them also directly after it; "I do not know" counts
anywhere. Such words deny nothing when the same phrase is in the question or in a gold answer, since they are then part
of a title (Never Let Me Go, The Wrong Man). The rules are English, with the most frequent denials of some other
languages.
Not here: several answers in a list (listed_answers), choices that the question offers (rule_grader).
"""

import re
from collections.abc import Iterable

from rest_react.judges.answer_matching.canonical_text import canonicalise, cased_words, lower_case
from rest_react.judges.answer_matching.listed_answers import is_listed

# All patterns below read canonical text: lower case, one space between words and marks, "isn't" as "is not".
_END_OF_CLAUSE = r"[.,;:!?()—]|but|until|only|and|because|since|as|although|while|which|who"
_UNCERTAIN = (
    r"whether|either|conceivably|almost|nearly|might|may be|may have|could be|could have|maybe"
    r"|perhaps|possibly|unclear|unknown|unsure|uncertain"
)
DENIAL = re.compile(
    rf"\b(?:not|never|neither|nor|rather than|instead of|unlike|other than|except|{_UNCERTAIN}|wrong|wrongly|incorrect"
    r"|incorrectly|false|falsely|doubt|doubts|doubted|doubtful|hardly|scarcely|barely|unlikely|improbable|impossible"
    r"|far from|nowhere near|rule out|rules out|ruled out|ruling out|excludes?|excluded|excluding|exclude|denies|denied"
    r"|deny|refuted?|refutes|disproved?|rejects?|rejected|dismissed|mistaken|mistakenly|erroneously|confused with|myth"
    r"|misconception|opposed to|used to be|no longer|fails? to|failed to|refused? to|refuses to|wanted to"
    r"|hoped to|unproven|untrue|nobody|no one|none)\b"
)
_DENIAL_BEFORE = re.compile(
    rf"{DENIAL.pattern}|(?<!\S)(?:no|if|unless|few|contrary to|apart from|aside from|lack of|absence of"
    r"|nicht|kein|keine|oder|vielleicht|pas|ou|peut etre|jamais|nunca|quiza|quizas|tal vez|talvez|nao|forse"
    r"|non(?= (?:e|era|fu|ha|si|sono|lo|la|il|in|a|da)\b| $)"  # not as in non-fiction
    r"|не|ни|нет|вряд|возможно|может быть|или|либо|кроме|नहीं|शायद|या|ليس|ليست|لا|لم|لن|غير|ربما|أو"
    r"|아마|혹시|또는|혹은|\S+[과와]|\S+이나)(?!\S)"
)
# Before the mention, these words make it a point of comparison, unless the question uses the same word.
_COMPARISON = re.compile(
    r"(?<!\S)(after|before|than|near|nearby|like|outside|beyond|besides|beside|without|versus|vs|close to|next to"
    r"|similar to|compared (?:to|with)|(?:north|south|east|west) of|minus)(?: the| a| an| that of)? $"
)
_NAMED_AFTER = re.compile(r"\b(?:named|called|titled|modell?ed|patterned|takes|took|christened|dubbed|looks?) after ")
_NOT_A_DENIAL = re.compile(
    r"\b(?:no doubt|without (?:a |any )?doubt|beyond (?:a |any )?doubt|not only|not just|not merely|none other than"
    r"|no other than|not until|not surprisingly|no wonder|never before)\b"
)
_ALL_BUT = re.compile(r"\b(?:any|every)(?:where|one|thing|body)?(?: \w+)? but\b|\ball but\b")
# The answer says that it does not know. This counts anywhere in the answer.
_ADMITS_IGNORANCE = re.compile(
    r"\b(?:not (?:\w+ )?(?:sure|certain)|unsure|(?:am|are) uncertain|if anything|no idea|no clue|i (?:\w+ )?doubt"
    r"|(?:just|only|merely|wild) (?:a )?guess(?:ing)?"
    r"|(?:i|we) (?:\w+ )?(?:do|can|could|did) not (?:\w+ )?(?:know|say|tell|find|determine|confirm|verify|be sure|think"
    r"|believe)|(?:hard|impossible|difficult) to (?:say|tell|know|determine)|who knows|anyone guess"
    r"|can not be (?:\w+ )?(?:determined|verified|confirmed|established|known|said|ruled out)"
    r"|not (?:\w+ )?enough (?:information|evidence|data|context)|insufficient (?:information|evidence|data|context)"
    r"|(?:more|further|additional) (?:information|evidence|data|context) (?:is|are|would be)"
    r" (?:needed|required|necessary)"
    r"|there (?:is|was) not any (?:\w+ )?(?:information|evidence|mention|data))\b"
)
# The same without a person. This counts before the mention only: behind it, it is often about something else ("She was
# born in Paris. It is not known when she died").
_SOURCE = r"(?:link|result|source|page|passage|document|snippet|text|article|action|information|context|data)s?"
_SAYS = r"(?:say|state|mention|tell|give|specify|specifie|provide|contain|indicate|name|include|answer)s?"
_ASKED = r"(?= (?:who|whom|whose|what|which|when|where|how|why|whether|if|in the|from the|by the|[.,;:!?()—])(?!\S))"
_TOLD = r"(?:known|clear|given|stated|specified|mentioned|available|found|named|provided|identified|listed)"
_ADMITS_BEFORE = re.compile(
    rf"\b(?:(?:can|could) not be (?:\w+ )?(?:found|identified|determined|verified|confirmed|established|answered)"
    rf"|(?:is|are|was|were|remains?) (?:not (?:\w+ )?{_TOLD}|unknown|unclear){_ASKED}"
    rf"|{_SOURCE} (?:do|does|did) not (?:\w+ )?{_SAYS}|{_SOURCE} lacks? (?:\w+ )?(?:information|details|data)"
    rf"|no {_SOURCE} (?:\w+ )?{_SAYS}|none of the (?:\w+ )?{_SOURCE}"
    rf"|no information (?:\w+ )?(?:about|on|is|was)|no (?!one)\w+ (?:is|was) {_TOLD}"
    r"|nothing (?:is|was|could be) (?:found|said|stated|known))\b"
)
_UNKNOWN_ALONE = re.compile(r"(?:the answer is )?(?:unknown|not known)(?: [.!])*")
_WRONG = (
    r"not|never|wrong|incorrect|false|untrue|unlikely|doubtful|questionable|impossible"
    r"|ruled out|excluded|insufficient|out of"
)
_DENIAL_AFTER = re.compile(
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
_CORRECTION_AFTER = re.compile(
    r"(?<!\S)(?:no wait|wait no|(?<=[.,;:!?(—] )wait(?= ,)|no , wait|actually|correction|scratch that"
    r"|on second thought|i mean|or rather)\b|(?<!\S)no [,:;] \w"
)
# What is denied behind the mention is its answer where the verb is the question's: "Ada never founded it", who founded?
_ASKS_FOR_NONE = re.compile(rf"{DENIAL.pattern}|\b(?:no|without)\b")
_DENIED_VERB_AFTER = re.compile(r" (?:never|hardly|(?:was|is) (?:\w+ )?falsely) (\w+)")
_QUESTION_MARK_AFTER = re.compile(r"[^.;!?|]{0,200}\?")
_SOME_OTHERS = re.compile(r"\bsome\b[^.;!?|]{0,200}\bothers?\b")
_DENIAL_EARLIER = re.compile(r"\b(?:not|never|hardly|neither) , [^.;!?|]{0,80}, $|\b(?:not|never|hardly) , \w+ , ")
# Words between two commas in what is denied: "no evidence that she , a singer , was born", "not , as some say , born".
_INSERTION = re.compile(
    r"(\b(?:no|not|never|untrue|false|myth|doubt\w*)(?: \w+){0,3} that\b[^.,;:!?()—|]{0,60}|\b(?:not|never))"
    r" , (?!but\b)[^,.;:!?()—|]{1,80} , (?=(?:is|was|are|were|has|had|did|born|written|founded|built|directed)\b)"
)
_OPINION_OF_SOME = re.compile(r"(?:\b(?:but|while|whereas)|\() (?:some|many|others?|several)\b[^.,;:!?()—|]{0,80}$")
_CONCLUSION = re.compile(r"\banswer (?:is|was|would be|should be|:)(?= )")
# An opinion of others: "although it is often said to be ...". But "although Paris is small, it is ..." asserts Paris.
_CONCESSION = re.compile(r"\b(?:although|though|despite|in spite of|contrary to)\b")
_HEARSAY = re.compile(
    r"\b(?:said|says?|thought|thinks?|believed?|believes|beliefs?|claim(?:s|ed)?|assum(?:ed?|es|ptions?)"
    r"|suppos(?:ed|edly)|report(?:s|ed|edly)?|rumou?r(?:s|ed)?|mistak(?:en|enly))\b"
)
# Scripts without spaces between words: denials before and after the mention, within its clause.
_UNSPACED_BEFORE = re.compile(
    r"[不非没沒未無]|可能|也许|也許|或|大概|难道|難道|除|たぶん|多分|おそらく|恐らく|もしか|ไม่|มิ|อาจ|หรือ|ยกเว้น|นอกจาก"
)
_UNSPACED_AFTER = re.compile(
    r"ではな|じゃな|ではあり|じゃあり|でな|でない|違|ちが|ません|なかった|かもしれ|だろうか|でしょうか|かどうか|以外|とは限|から?ない"
    r"|之外|吗|嗎|还是|還是|或|不对|不對|错|錯|不是|หรือ|ไม่|아니|아닙|않|없|모르"
)
_FUNCTION_WORDS = frozenset(
    "the a an in on at of to for from by with as is was are were be been it he she they i you that this".split()
)
_VERBS = frozenset("was is by were has had did does are , ;".split())
_CONTRAST_AFTER = re.compile(r"(?: [,;.])? (?:but|however|yet|in fact|in reality|in truth)\b")
_MAY_BE_IN_TITLE = re.compile(
    rf"{DENIAL.pattern}|\b(?:no|if|unless|few|except|without|after|before|near|like|beyond|than|only|but"
    rf"|actually|some|may|might)\b"
)
# A verb of denial that the question itself uses: "Which team did she reject?"
_DENYING_VERB = re.compile("reject|exclud|den[iy]|refus|dismis")
HEARSAY_REASON = "the gold answer is only reported as an opinion of others"


def why_not_asserted(answer: str, start: int, end: int, question: str, golds: Iterable[str]) -> str:
    """The reason why the mention is not asserted; an empty text if it is asserted.

    `answer` is a result of `cased_words`; the mention is `answer[start:end]` (character offsets). Never raises; linear
    in the answer's length.
    """
    golds = list(golds)
    lowered = _mask_harmless_words(answer, question, golds)
    before, after = lowered[max(0, start - 300) : start], lowered[end : end + 300]
    question_words = canonicalise(question).split()
    clause = _clause(before)
    comparison = _COMPARISON.search(clause)
    asked = lower_case(cased_words(question))
    if _ADMITS_IGNORANCE.search(lowered) or any(
        admission[0] not in asked for admission in _ADMITS_BEFORE.finditer(lowered, 0, start)
    ):
        return "the answer says that it does not know"
    whole_clause = _clause(_INSERTION.sub(r"\1 ", before))
    if (
        _DENIAL_BEFORE.search(whole_clause.rstrip(" ") + " ")
        or _DENIAL_EARLIER.search(before)
        or _DENIAL_AFTER.match(after)
        or (
            (denied := _DENIED_VERB_AFTER.match(after))
            and denied[1] in question_words
            and not _ASKS_FOR_NONE.search(asked)
        )
    ):
        return "the gold answer is denied or left open"
    if comparison and comparison[1] not in question_words and not _NAMED_AFTER.search(clause):
        return f"the gold answer is named for comparison only ({comparison[1]!r})"
    if not answer[start:end].isascii() and _is_denied_unspaced(before, after):
        return "the gold answer is denied or left open"
    if _QUESTION_MARK_AFTER.match(after):
        return "the gold answer is part of a question"
    some = _OPINION_OF_SOME.search(before)
    if (_HEARSAY.search(clause) and _CONTRAST_AFTER.match(after)) or (some and _HEARSAY.search(some[0])):
        return HEARSAY_REASON
    if _SOME_OTHERS.search(before[-200:] + answer[start:end] + after[:200]) or _CORRECTION_AFTER.search(after):
        return "the answer gives another answer as well"
    if any(match.start() > end for match in _CONCLUSION.finditer(lowered, end)):
        return "the answer concludes with another answer"
    return "the gold answer is one of several answers in a list" if is_listed(answer, start, end, golds) else ""


def admits_ignorance(claim: str, question: str) -> bool:
    """Whether a claim says that the answer is not known ("No link says who"), in words that the question does not
    have."""
    cased, asked = (f"{cased_words(text)} ." for text in (claim, question))
    said, asked = lower_case(cased), lower_case(asked)
    found = (match for pattern in (_ADMITS_IGNORANCE, _ADMITS_BEFORE) for match in pattern.finditer(said))
    return _UNKNOWN_ALONE.fullmatch(said) is not None or any(
        match[0] not in asked and not _is_title(cased[match.start() : match.end()]) for match in found
    )


def _is_title(words: str) -> bool:
    """Whether a capital begins one of the words behind the first: "I Don't Know How to Love Him"."""
    return any(word[0].isupper() for word in words.split()[1:])


def corrected_to(behind: str) -> str:
    """What follows behind a mention and words that take it back ("wait , no : it is ..."); empty without such words."""
    correction = _CORRECTION_AFTER.search(behind)
    return behind[correction.end() :] if correction else ""


def _clause(before: str) -> str:
    """The last clause."""
    return re.split(rf"(?<!\S)(?:{_END_OF_CLAUSE})(?!\S)", before)[-1]


def is_hearsay(lowered: str, at: int) -> bool:
    """Whether the word at offset `at` is in a concession that reports an opinion ("although some say Paris, ...").

    `lowered` is the answer in canonical lower case.
    """
    part = re.split(r"[.,;:!?()—]", lowered[max(0, at - 300) : at])[-1]
    concession = _CONCESSION.search(part)
    return concession is not None and _HEARSAY.search(part, concession.end()) is not None


def _is_denied_unspaced(before: str, after: str) -> bool:
    clause_before = re.split("[.,;:!?|]|而是", before)[-1]
    clause_after = re.split("[.,;:!|]", after)[0]
    return _UNSPACED_BEFORE.search(clause_before) is not None or _UNSPACED_AFTER.search(clause_after) is not None


def _mask_harmless_words(answer: str, question: str, golds: Iterable[str]) -> str:
    """The answer in lower case with underscores over words that deny nothing: parts of titles, "no doubt".

    "anywhere but" becomes "except". The length stays the same, so offsets stay valid.
    """
    lowered = lower_case(answer)
    known = [cased_words(text) for text in (question, *golds)]
    flat = f" {' | '.join(lower_case(text) for text in known)} "
    title_words = {word.lower() for text in known[:1] for word in text.split()[1:] if word[0].isupper()}

    def denies_nothing(match: re.Match[str]) -> bool:
        word, start = match[0], match.start()
        # Some words before and after, with any punctuation between them.
        before = lowered[max(0, start - 60) : start].split()[-2:]
        after = lowered[match.end() : match.end() + 120].split()[:2]
        if after and f" {word} {after[0]} " in flat:
            function_word = after[0] in _FUNCTION_WORDS
            if not function_word or (len(after) == 2 and f" {word} {after[0]} {after[1]} " in flat):
                return True
        if before and before[-1].isalpha():
            if f" {' '.join(before)} {word} " in flat:
                return True
            if before[-1] not in _FUNCTION_WORDS and f" {before[-1]} {word} " in flat:
                return True
        if (stem := _DENYING_VERB.match(word)) and f" {stem[0]}" in flat:
            return True
        starts_sentence = start == 0 or answer[start - 2] in ".!?|"
        in_title = word in title_words and answer[start].isupper()
        return in_title and (not starts_sentence or bool(after and after[0] in _VERBS))

    def mask(match: re.Match[str]) -> str:
        return "_" * len(match[0]) if denies_nothing(match) else match[0]

    masked = _NOT_A_DENIAL.sub(lambda m: "_" * len(m[0]), _MAY_BE_IN_TITLE.sub(mask, lowered))
    return _ALL_BUT.sub(lambda m: f"except {'_' * (len(m[0]) - 7)}", masked)
