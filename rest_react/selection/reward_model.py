"""The reward model: an LLM asked which candidate of a step is best (paper section 3.5 and its rater prompt).

    reward = RewardModel(llm, ranking_prompt, judged_good_prompt, max_tokens=256)
    opinion = await reward.rank(state, ["...", "..."], seed=7)      # Opinion(order=(1, 0), reply=Completion(...))

Candidates are shown in a shuffled order, so that none profits from its place, and the reply's numbers are mapped back.
A reply that cannot be read (verdicts) is an Opinion without an order, never an error.
`objections` needs no model: rules that tell what speaks against an action.
Not here: which candidates are worth showing, and what becomes of the winner (improve).
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rest_react.judges.judge_replies import read_good, read_ranking
from rest_react.metrics.statistics import strip_citations
from rest_react.records import LLM, Completion, Prompt, Sampling
from rest_react.tasks.search_qa.actions import (
    Action,
    Answer,
    CheckAnswer,
    LinkSelection,
    PastAction,
    ResultItem,
    ReviseAnswer,
    Search,
    SelectLink,
    Terminate,
)
from rest_react.text_safety import escape_control_tokens

# A word, but "I" and those whose capital may be that of their sentence; a number anywhere.
_CLAIM = re.compile(r"\b\d\w*|(?<![.!?:;] )(?<!^)\b(?!I\b)\w+")
_CITED = re.compile(r"\[link_id=([\d, ]+)\]")
_NEXT_CLAIM = re.compile(r"(?<=[.;!?])\s+(?![\s\[])")
_ASKS_FOR_A_NUMBER = re.compile(r"\b(?:how many|how much|number|when|year)\b", re.IGNORECASE)
_FUNCTION_WORDS = frozenset(
    "a an and are as at be been by did do does for from had has have how in is it its many much of on or that the "
    "make person there these this those to town was were what when where which who whom whose why with year".split()
)
_STEM = 4  # founder, founded and founding agree in their first four letters


@dataclass(frozen=True, slots=True)
class Opinion:
    """The candidates' indexes, best first, and the reply; no order where the reply was unusable."""

    order: tuple[int, ...]
    reply: Completion


@dataclass(frozen=True, slots=True)
class RewardModel:
    """Ranks and approves. `ranking` and `judged_good` are templates with {inputs} and {outputs} or {output}, fences
    around {inputs} and {output} included; {outputs} brings its own."""

    llm: LLM
    ranking: str
    judged_good: str
    max_tokens: int

    async def rank(self, state: str, candidates: Sequence[str], *, seed: int) -> Opinion:
        """Orders distinct candidates; raises what the door raises."""
        shown = list(range(len(candidates)))
        random.Random(seed).shuffle(shown)
        outputs = "\n\n".join(
            f"*** Model Output #{number}:\n```\n{_inert(candidates[i])}\n```" for number, i in enumerate(shown, start=1)
        )
        reply = await self._ask(_fill(self.ranking, inputs=_inert(state), outputs=outputs), seed)
        return Opinion(tuple(shown[place] for place in read_ranking(reply.text, len(candidates))), reply)

    async def is_good(self, state: str, candidate: str, *, seed: int) -> tuple[bool | None, Completion]:
        """The yes/no line on one candidate, None where the reply has none; raises what the door raises."""
        reply = await self._ask(_fill(self.judged_good, inputs=_inert(state), output=_inert(candidate)), seed)
        return read_good(reply.text), reply

    async def _ask(self, text: str, seed: int) -> Completion:
        sampling = Sampling(temperature=0.0, max_tokens=self.max_tokens, seed=seed, logprobs=False)
        (completion,) = await self.llm.sample(Prompt("", text), n=1, sampling=sampling)
        return completion


def objections(
    action: Action, question: str, past: Sequence[PastAction], shown: Sequence[ResultItem] = (), answer: str = ""
) -> list[str]:
    """What speaks against an action, told by rules alone, without knowing what is right; `shown` are the search results
    that a summary is about, `answer` the text that a check is about.

    A query is new, asks with words of the question or of what was found, and has one of their names. Each claim of a
    summary or an answer cites a link that is held, names its page, says what stands there, and something not said
    before. A summary takes up the words of its query. Searching ends, and an answer is complete, when every word of the
    question was taken up, from more than one link; the answer ends in a number exactly where one is asked for, and each
    claim before it leads on to a later one. A check passes what all this can be said of.

    Made for questions that lead from fact to fact. Right actions of other forms are objected to as well: this is for
    choosing what to learn from, where a wrong one that passes costs more than a right one that does not."""
    held = {item.link_id: item for entry in past if isinstance(entry, SelectLink) for item in entry.selected_links}
    found = " ".join(entry.grounded_summarization for entry in past if isinstance(entry, SelectLink))
    match action:
        case Search(query):
            again = ["this was searched for"] if query in [p.query for p in past if isinstance(p, Search)] else []
            known = f"{question} {found} {' '.join(f'{i.link_text} {i.snippet}' for i in held.values())}"
            unheard = [f"not in the question: {word}" for word in _not_taken_up(query, known)]
            return again + unheard + _naming_nothing(query, known)
        case Terminate():
            return _on_one_link(len(held)) + [f"not taken up: {word}" for word in _not_taken_up(question, found)]
        case LinkSelection(summary, _, ids):
            chosen = {item.link_id: item for item in shown if item.link_id in ids}
            if not ids:
                return []
            asked = next((entry.query for entry in reversed(past) if isinstance(entry, Search)), "")
            unanswered = [f"not taken up: {word}" for word in _not_taken_up(asked, summary)]
            return unanswered + _against_claims(summary, f"{question} {found}", chosen)
        case Answer(_, text) | ReviseAnswer(text):
            return _against_answer(text, question, held)
        case CheckAnswer(passed):
            against = _against_answer(answer, question, held)
            return against if passed else [] if against else ["nothing speaks against this answer"]


def _naming_nothing(query: str, known: str) -> list[str]:
    """The query, where names are known and it has none of them: "twin town" finds a page about any of them. A word that
    opens a sentence may be a name, but does not show that there is one."""
    if not any(word[0].isupper() and word.lower() not in _FUNCTION_WORDS for word in _named(known)):
        return []
    capital = {word.lower() for word in _words(known) if word[0].isupper()} - _FUNCTION_WORDS
    stems = {word[:_STEM] for word in capital}
    return [] if any(word.lower()[:_STEM] in stems for word in _words(query)) else [f"names nothing: {query}"]


def _against_answer(answer: str, question: str, held: Mapping[int, ResultItem]) -> list[str]:
    found = _against_claims(answer, question, held)
    found += _on_one_link(len({*_cited(answer)} & {*held}))
    found += [f"not taken up: {word}" for word in _not_taken_up(question, answer)]
    claims = [strip_citations(claim) for claim in _NEXT_CLAIM.split(answer.strip())]
    found += [f"leads nowhere: {claim}" for claim in _leading_nowhere(question, claims)]
    if bool(_ASKS_FOR_A_NUMBER.search(question)) != any(word[0].isdigit() for word in _words(claims[-1])):
        found.append("a number where none is asked for, or none where one is")
    return found


def _against_claims(text: str, known: str, links: Mapping[int, ResultItem]) -> list[str]:
    found = []
    said = set(_words(known))
    stands = {i: set(_words(f"{item.link_text} {item.snippet}")) for i, item in links.items()}
    for claim in _NEXT_CLAIM.split(text.strip()):
        cited = {i: links[i] for i in _cited(claim) if i in links}
        bare = strip_citations(claim)
        named = _named(bare)
        if not cited:
            found.append(f"no link that is held is cited: {bare}")
        elif not all(item.link_text in bare for item in cited.values()):
            found.append(f"the page cited is not named: {bare}")
        elif not all(any(word in stands[i] for i in cited) for word in named):
            found.append(f"the page cited does not say so: {bare}")
        if named <= said:
            found.append(f"nothing is said that was not known: {bare}")
        said |= named
    return found


def _leading_nowhere(question: str, claims: Sequence[str]) -> list[str]:
    """The claims, but the last, that introduce nothing which a later one takes up."""
    last_in = {word: i for i, claim in enumerate(claims) for word in _words(claim)}
    known, found = set(_words(question)), []
    for i, claim in enumerate(claims[:-1]):
        if all(word in known or last_in[word] == i for word in _named(claim)):
            found.append(claim)
        known.update(_words(claim))
    return found


def _on_one_link(links: int) -> list[str]:
    return ["it rests on one link alone"] if links == 1 else []


def _cited(text: str) -> list[int]:
    return [int(number) for cited in _CITED.findall(text) for number in re.findall(r"\d+", cited)]


def _named(text: str) -> set[str]:
    return {word for word in _CLAIM.findall(text) if word[0].isupper() or word[0].isdigit()}


def _not_taken_up(asked: str, said: str) -> list[str]:
    """The words of one text, function words aside, that another has in no form."""
    spoken = {word.lower()[:length] for word in _words(strip_citations(said)) for length in range(1, _STEM + 1)}
    wanted = [word.lower() for word in _words(asked)]
    return [word for word in wanted if word not in _FUNCTION_WORDS and word[:_STEM] not in spoken]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


def _fill(template: str, **parts: str) -> str:
    """Puts the parts in at their marks in one pass, so that braces in a part mean nothing."""
    return re.sub(r"\{(\w+)\}", lambda mark: parts.get(mark[1], mark[0]), template)


def _inert(text: str) -> str:
    """Untrusted text, fit to stand between fences: nothing inside can close them, or a turn of a chat."""
    return re.sub("`{3,}", lambda fence: " ".join(fence[0]), escape_control_tokens(text)).rstrip()
