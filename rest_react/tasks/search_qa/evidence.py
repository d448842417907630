"""The evidence of a trajectory of the search agent: its answer in short, its queries, and the results it selected.

    >>> short_answer("Where was Ada's teacher born?", "Her teacher is Bob Lin [link_id=1]. Bob Lin was born in Vell.")
    'Vell'

Not here: what is concluded from it (selection.trajectory_signals).
"""

import re
from collections.abc import Sequence

from rest_react.metrics.text_match import strip_citations
from rest_react.parsed_trajectories import Evidence, ParsedStep, ParsedTrajectory
from rest_react.records import Hit
from rest_react.tasks.search_qa.actions import LinkSelection, Search

_NEXT_CLAIM = re.compile(r"(?<=[.;!?])\s+(?=\w)")
_YES_OR_NO = re.compile(r"(?:yes|no)\b", re.IGNORECASE)
_WORD = re.compile(r"\w+(?:[-'’.]\w+)*")
_FUNCTION_WORDS = frozenset(
    "a an and are as at be been both but by did do does for from had has have he her his how i in is it its of on or "
    "she so that the their there they this to was we were what when where which who whom whose why with".split()
)


def evidence_of(trajectory: ParsedTrajectory) -> Evidence:
    """The evidence of a trajectory. Each result counts once, however often it was found."""
    queries: list[str] = []
    selected: dict[str, Hit] = {}
    retrieved: dict[str, Hit] = {}
    for parsed in trajectory.steps:
        hits = dict(enumerate(parsed.step.hits, start=parsed.step.first_link))
        retrieved |= {hit.source: hit for hit in hits.values()}
        match parsed.chosen.action if parsed.chosen else None:
            case Search(query=query):
                queries.append(query)
            case LinkSelection(selected_link_ids=ids):
                selected |= {hits[i].source: hits[i] for i in ids if i in hits}
    whole = trajectory.trajectory
    return Evidence(
        whole.question,
        whole.answer,
        short_answer(whole.question, whole.answer),
        tuple(queries),
        tuple(selected.values()),
        tuple(retrieved.values()),
    )


def gathering_of(step: ParsedStep) -> tuple[str, ...]:
    """For each candidate a key of what it gathers: a query, or results selected from these results; empty for none."""
    sources = {i: hit.source for i, hit in enumerate(step.step.hits, start=step.step.first_link)}
    shown = " ".join(sorted(sources.values()))
    keys = []
    for parsed in step.actions:
        match parsed.action:
            case Search(query=query):
                keys.append(f"search {' '.join(query.lower().split())}")
            case LinkSelection(selected_link_ids=ids):
                keys.append(f"select {' '.join(sorted(sources[i] for i in ids if i in sources))} of {shown}")
            case _:
                keys.append("")
    return tuple(keys)


def short_answer(question: str, answer: str) -> str:
    """The part of a long-form answer that answers the question: `yes` or `no` where its first or last claim begins so;
    else what the last claim adds to the question and to earlier claims: its new names and numbers, or its new words. If
    it adds no name to a question that offers a choice, or nothing at all, its first name."""
    claims = [claim for claim in _NEXT_CLAIM.split(strip_citations(answer)) if _WORD.search(claim)]
    if not claims:
        return ""
    for claim in (claims[-1], claims[0]):
        if found := _YES_OR_NO.match(claim):
            return found[0].lower()
    last = claims[-1].rstrip(" .;!?")
    words = [match for match in _WORD.finditer(last) if match[0].lower() not in _FUNCTION_WORDS]
    known = {word.lower() for text in (question, *claims[:-1]) for word in _WORD.findall(text)}
    new = [match for match in words if match[0].lower() not in known]
    names = [match for match in words if match[0][0].isupper() or match[0][0].isdigit()]
    added = [match for match in names if match in new]
    if not added and " or " not in question:
        added = new
    if added:
        return last[added[0].start() : added[-1].end()]
    return _first_name(last, names) if names else last


def _first_name(text: str, names: Sequence[re.Match[str]]) -> str:
    """The first run of neighbours among the names."""
    end = names[0].end()
    for name in names[1:]:
        if name.start() == end + 1:
            end = name.end()
    return text[names[0].start() : end]
