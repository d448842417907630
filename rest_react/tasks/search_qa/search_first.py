"""No Terminate before the first search (`agent.search_first`).

    candidates, actions = refuse_terminate(candidates, actions, "Who founded Vell?")

A small model often answers without a search. Before the first search, samples that terminate are refused: they cannot
be chosen and are no targets (preferences may take one as the rejected sample). If no other sample can be used, a search
for the question itself is supplied, which does not train either, because the policy did not sample it.
Source: our own measurement that small models search too seldom; the paper has no such rule.
Not here: forced Terminate when no searches remain (agent).
"""

from collections.abc import Sequence
from dataclasses import replace

from rest_react.records import Candidate
from rest_react.tasks.search_qa.actions import Search, Terminate, canonical_text, decision_of
from rest_react.trajectories.parsed import SUPPLIED, ParsedAction

REFUSED = "Terminate before the first search"
_THOUGHTS = "I search before I answer."


def refuse_terminate(
    candidates: Sequence[Candidate], actions: Sequence[ParsedAction], question: str
) -> tuple[tuple[Candidate, ...], tuple[ParsedAction, ...]]:
    """The candidates and their actions with Terminate refused, and a search for the question if nothing else is
    left."""
    early = [isinstance(parsed.action, Terminate) for parsed in actions]
    kept = [replace(c, problem=REFUSED) if refused else c for c, refused in zip(candidates, early, strict=True)]
    left = [ParsedAction(None, REFUSED) if refused else a for a, refused in zip(actions, early, strict=True)]
    if any(early) and not any(parsed.action for parsed in left):
        search = Search(question, _THOUGHTS)
        text = canonical_text(search)
        kept.append(Candidate(text, 0, None, SUPPLIED))
        left.append(ParsedAction(search, "", text, decision_of(search), complete=True))
    return tuple(kept), tuple(left)
