"""The rule-based verifier: finds the rules that an action of the search agent violates, without a model or labels.

    >>> violations(Search("birth of Ada Mell"), "Who taught Ada Mell?", past=())
    ['the query has a word from neither the question nor the results: birth']

The rules are valid only for the multi-hop questions and the passages of the built-in world. They reject most correct
answers to other questions, so the settings allow them only with `kind: world` (config.checks).
Not here: the use of violations (tasks.search_qa.agent for `agent.select`, selection.filters for Improve).
"""

import re
from collections.abc import Mapping, Sequence

from rest_react.metrics.text_match import strip_citations
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
from rest_react.tasks.search_qa.memory import memories, shown_results
from rest_react.text_safety.escaping import escape_control_tokens
from rest_react.trajectories.parsed import ParsedTrajectory, Violations

# A word that is a number or has a capital which is not due to the start of its sentence; "I" does not count.
_NAME_OR_NUMBER = re.compile(r"\b\d\w*|(?<![.!?:;] )(?<!^)\b(?!I\b)\w+")
_CITED = re.compile(r"\[link_id=([\d, ]+)\]")
_LINK_ID = re.compile(r"(?<!\d)\d{1,9}(?!\d)")
_NEXT_CLAIM = re.compile(r"(?<=[.;!?])\s+(?![\s\[])")
_ASKS_FOR_A_NUMBER = re.compile(r"\b(?:how many|how much|number|when|year)\b", re.IGNORECASE)
_FUNCTION_WORDS = frozenset(
    "a an and are as at be been by did do does for from had has have how in is it its many much of on or that the "
    "make person there these this those to town was were what when where which who whom whose why with year".split()
)
_STEM = 4  # founder, founded and founding agree in their first four letters


def violations(
    action: Action, question: str, past: Sequence[PastAction], shown: Sequence[ResultItem] = (), answer: str = ""
) -> list[str]:
    """The rules that an action violates, one message each; empty if there are none. `shown` are the search results for
    a summary, `answer` the text for a check.

    A query is new, uses words of the question or of the results, and contains a known name. Each claim of a summary or
    an answer cites a selected link, contains its page's title, says what the page says, and adds something new. A
    summary mentions the words of its query. Terminate, and an answer, need every word of the question to be mentioned
    and more than one link; the last claim of an answer has a number exactly if the question asks for one, and a later
    claim builds on each earlier one. A check passes an answer without violations and fails any other.

    Precision before recall: the result chooses training data, where a wrong action that passes costs more than a
    correct one that is rejected."""
    selected = {item.link_id: item for entry in past if isinstance(entry, SelectLink) for item in entry.selected_links}
    summaries = " ".join(entry.grounded_summarization for entry in past if isinstance(entry, SelectLink))
    match action:
        case Search(query):
            return _query_violations(query, f"{question} {summaries} {_page_texts(selected)}", past)
        case Terminate():
            return _single_link(len(selected)) + _missing_words(question, summaries)
        case LinkSelection(summary, _, ids):
            if not ids:
                return []
            query = next((entry.query for entry in reversed(past) if isinstance(entry, Search)), "")
            chosen = {item.link_id: item for item in shown if item.link_id in ids}
            return _missing_words(query, summary) + _claim_violations(summary, f"{question} {summaries}", chosen)
        case Answer(_, text) | ReviseAnswer(text):
            return _answer_violations(text, question, selected)
        case CheckAnswer(passed):
            found = _answer_violations(answer, question, selected)
            return found if passed else [] if found else ["the check fails an answer that violates no rule"]


def violations_of(trajectory: ParsedTrajectory) -> Violations:
    """The violations of each candidate of each step, and of the final answer."""
    question = escape_control_tokens(trajectory.trajectory.question)
    *before, end = memories(trajectory.steps)
    steps = tuple(
        tuple(
            None
            if parsed.action is None
            else tuple(violations(parsed.action, question, memory.past, shown_results(step.step), memory.answer))
            for parsed in step.actions
        )
        for step, memory in zip(trajectory.steps, before, strict=True)
    )
    return Violations(steps, tuple(violations(Answer("", end.answer), question, end.past)))


def _query_violations(query: str, known: str, past: Sequence[PastAction]) -> list[str]:
    repeated = query in [entry.query for entry in past if isinstance(entry, Search)]
    unknown = [
        f"the query has a word from neither the question nor the results: {word}" for word in _unmentioned(query, known)
    ]
    return ["the query repeats an earlier one"] * repeated + unknown + _without_name(query, known)


def _without_name(query: str, known: str) -> list[str]:
    """A violation if names are known and the query has none of them: "twin town" finds a page about any town. The first
    word of a sentence may be a name, but its capital does not prove it."""
    if not any(word[0].isupper() and word.lower() not in _FUNCTION_WORDS for word in _names_and_numbers(known)):
        return []
    capitalised = {word.lower() for word in _words(known) if word[0].isupper()} - _FUNCTION_WORDS
    stems = {word[:_STEM] for word in capitalised}
    named = any(word.lower()[:_STEM] in stems for word in _words(query))
    return [] if named else [f"the query contains no known name: {query}"]


def _answer_violations(answer: str, question: str, selected: Mapping[int, ResultItem]) -> list[str]:
    claims = [strip_citations(claim) for claim in _NEXT_CLAIM.split(answer.strip())]
    asks_for_number = bool(_ASKS_FOR_A_NUMBER.search(question))
    found = _claim_violations(answer, question, selected)
    found += _single_link(len({*_cited(answer)} & {*selected}))
    found += _missing_words(question, answer)
    found += [f"no later claim builds on this one: {claim}" for claim in _dead_ends(question, claims)]
    if asks_for_number != any(word[0].isdigit() for word in _words(claims[-1])):
        found.append(f"the question asks for {'a' if asks_for_number else 'no'} number: {claims[-1]}")
    return found


def _claim_violations(text: str, known: str, links: Mapping[int, ResultItem]) -> list[str]:
    """`known` is the text before this one; `links` are the links that it may cite."""
    found = []
    said = set(_words(known))
    page_words = {i: set(_words(f"{item.link_text} {item.snippet}")) for i, item in links.items()}
    for claim in _NEXT_CLAIM.split(text.strip()):
        cited = {i: links[i] for i in _cited(claim) if i in links}
        bare = strip_citations(claim)
        named = _names_and_numbers(bare)
        if not cited:
            found.append(f"no selected link is cited: {bare}")
        elif not all(item.link_text in bare for item in cited.values()):
            found.append(f"the title of a cited page is missing: {bare}")
        elif not all(any(word in page_words[i] for i in cited) for word in named):
            found.append(f"no cited page says this: {bare}")
        if named <= said:
            found.append(f"this was known before: {bare}")
        said |= named
    return found


def _dead_ends(question: str, claims: Sequence[str]) -> list[str]:
    """The claims, except the last, whose new names and numbers appear in no later claim."""
    last_in = {word: i for i, claim in enumerate(claims) for word in _words(claim)}
    known, found = set(_words(question)), []
    for i, claim in enumerate(claims[:-1]):
        if all(word in known or last_in[word] == i for word in _names_and_numbers(claim)):
            found.append(claim)
        known.update(_words(claim))
    return found


def _single_link(links: int) -> list[str]:
    return ["only one link supports this"] if links == 1 else []


def _missing_words(asked: str, said: str) -> list[str]:
    return [f"this word is not mentioned: {word}" for word in _unmentioned(asked, said)]


def _unmentioned(asked: str, said: str) -> list[str]:
    """The words of `asked`, except function words, that `said` contains in no form."""
    stems = {word.lower()[:length] for word in _words(strip_citations(said)) for length in range(1, _STEM + 1)}
    wanted = [word.lower() for word in _words(asked)]
    return [word for word in wanted if word not in _FUNCTION_WORDS and word[:_STEM] not in stems]


def _cited(text: str) -> list[int]:
    return [int(number) for cited in _CITED.findall(text) for number in _LINK_ID.findall(cited)]


def _names_and_numbers(text: str) -> set[str]:
    return {word for word in _NAME_OR_NUMBER.findall(text) if word[0].isupper() or word[0].isdigit()}


def _page_texts(links: Mapping[int, ResultItem]) -> str:
    return " ".join(f"{item.link_text} {item.snippet}" for item in links.values())


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text)
