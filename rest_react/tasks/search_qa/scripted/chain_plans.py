"""Makes the scripted expert's plan for a question of a user from its chain.

    plan_of(labelled, titles)       # Plan(..., (Hop("author of Emma", ..., "Emma", "The author of Emma is ..."), ...

The hops follow one branch of the chain to its end, then the next one; lookups in one passage are one hop, whose query
names nothing that is still to be found. A question of one branch (compositional, inference) is answered by its findings
in order, one of several branches (comparison, yes or no, with or without a bridge) by the gold answer and the values
compared. A chain without a sound plan raises NoPlan: a demonstration must not say what its passages do not.
Not here: reading chains (questions.chains), and following plans (scripted).
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from rest_react.errors import ModelFault, short_reason
from rest_react.judges.grader import rule_verdict
from rest_react.protocols import Search
from rest_react.records import Hop, LabelledQuestion, Lookup, Passage, Plan
from rest_react.tasks.agent_settings import AgentSettings
from rest_react.tasks.search_qa.scripted.expert import states
from rest_react.text_safety.escaping import escape_control_tokens

_ENDS_WITH_PREPOSITION = re.compile(r"\b(?:at|by|for|from|in|of|on|to|with)$")
TOO_MANY_SEARCHES = "it needs more searches than agent.max_searches"
_YES_NO = ("yes", "no")
_ASKS_SAME = re.compile(r"(?!.*\bdiffer).*\b(?:same|share|both)\b", re.IGNORECASE | re.DOTALL)


class NoPlan(ValueError):
    """The expert cannot demonstrate this question; the message is the reason."""


class Titles:
    """The passages of a corpus by id and by name; without a corpus, titles are taken as the chain gives them."""

    def __init__(self, passages: Sequence[Passage] | None) -> None:
        self._closed = passages is not None
        self._by_id = {passage.id: passage.title for passage in passages or ()}
        self._count = Counter(self._by_id.values())
        self._by_name: dict[str, list[str]] = {}
        for title in self._count:
            self._by_name.setdefault(name_of(title), []).append(title)

    def of(self, lookup: Lookup) -> str:
        """The title of the passage of a lookup. Raises NoPlan if it is not one passage of the corpus."""
        if not self._closed:
            title = lookup.title
        elif lookup.passage:
            title = self._by_id.get(lookup.passage, "")
        else:
            named = [lookup.title] if lookup.title in self._count else self._by_name.get(name_of(lookup.title), [])
            title = named[0] if len(named) == 1 else ""
        if not title:
            raise NoPlan("a passage of its chain is not in the corpus")
        if self._count[title] > 1:
            raise NoPlan("two passages of the corpus have the title of one of its chain")
        return title


def name_of(text: str) -> str:
    """A name without case, accents, signs and additions in brackets, to compare names."""
    bare = unicodedata.normalize("NFKD", re.sub(r"\([^()]*\)", "", text))
    return " ".join(re.findall(r"\w+", "".join(c for c in bare if not unicodedata.combining(c)).casefold()))


def plan_of(labelled: LabelledQuestion, titles: Titles) -> Plan:
    """The plan for a question with its chain. Raises NoPlan."""
    if not labelled.chain:
        raise NoPlan("it has no chain")
    branches = _branches([_plain(lookup) for lookup in labelled.chain])
    ordered = dict.fromkeys(lookup for branch in branches for lookup in branch)
    groups: dict[str, list[Lookup]] = {}  # by title: lookups in one passage are one hop
    for lookup in ordered:
        groups.setdefault(titles.of(lookup), []).append(lookup)
    cites = {lookup: f"{{{i}}}" for i, group in enumerate(groups.values()) for lookup in group}
    gold = _line(labelled.answers[0])
    findings = " ".join(f"{_finding(lookup)} {cites[lookup]}." for lookup in ordered)
    compared = _comparison(labelled.question.text, gold, branches, cites) if len(branches) > 1 else None
    answer, thoughts = compared or (findings, f"I have it: {gold}.")
    if rule_verdict(labelled, re.sub(r" \{\d+\}", "", answer)).verdict != "correct":
        raise NoPlan("its chain does not end with the gold answer")
    hops = _hops(labelled.question.text, groups)
    # A small model that was tuned on such comments repeated them up to the limit of tokens (docs/log.md).
    return Plan(_line(labelled.question.text), hops, thoughts, answer, tells_rejected=False)


async def why_not_found(plan: Plan, search: Search, agent: AgentSettings) -> str:
    """Why the search engine does not support a plan; empty if it does: each query finds its passage, which states the
    values that the plan takes from it."""
    if len(plan.hops) > agent.max_searches:
        return TOO_MANY_SEARCHES
    for hop in plan.hops:
        try:
            hits = await search.search(hop.query, agent.hits_per_search)
        except ModelFault as error:  # the engine refuses this query, for example as too long
            return f"search refuses a query of its chain ({short_reason(str(error))})"
        # As the expert compares them: a title with two spaces in a row is not found.
        title = escape_control_tokens(hop.title)
        shown = [hit.snippet for hit in hits if escape_control_tokens(hit.title) == title]
        if not shown:
            return "search does not find a passage of its chain"
        if not any(states(snippet, hop.values) for snippet in shown):
            return "a passage does not state what its chain says"
    return ""


def _branches(chain: Sequence[Lookup]) -> list[list[Lookup]]:
    """The chain in branches: one for each subject that no lookup gives, with the lookups that follow from it. Without
    subjects (questions of a decomposition) it is one branch."""
    if not all(lookup.subject for lookup in chain):
        return [list(chain)]
    given = {name_of(lookup.value) for lookup in chain}
    roots = dict.fromkeys(name_of(one.subject) for one in chain if name_of(one.subject) not in given)
    branches = []
    for root in roots or [name_of(chain[0].subject)]:
        reached, branch = {root}, []
        for lookup in chain:
            if name_of(lookup.subject) in reached:
                reached.add(name_of(lookup.value))
                branch.append(lookup)
        branches.append(branch)
    return branches


def _comparison(
    question: str, gold: str, branches: Sequence[Sequence[Lookup]], cites: Mapping[Lookup, str]
) -> tuple[str, str] | None:
    """Answer and thoughts of a comparison; None if the chain does not say which branch the gold answer means. Raises
    NoPlan if the branches look up different things (then a name in another spelling has split one of them), or if equal
    values are said not to be the same. Different values may be one in two spellings, "American" and "United States"."""
    if len(set(map(_path, branches))) > 1:
        raise NoPlan("its chain compares different things")
    ends = [_ends(branch) for branch in branches]
    values = [" and ".join(lookup.value for lookup in end) for end in ends]
    sources = [" ".join(dict.fromkeys(cites[lookup] for lookup in branch)) for branch in branches]
    thoughts = f"I compare {' with '.join(values)}: {gold}."
    if gold.casefold() in _YES_NO:
        if gold.casefold() == "no" and _ASKS_SAME.match(question) and len(set(map(name_of, values))) == 1:
            raise NoPlan("the values of its chain are the same, and its gold answer says that they are not")
        facts = [f"for {b[0].subject} it is {v} {s}" for b, v, s in zip(branches, values, sources, strict=True)]
        return f"{gold.capitalize()}, the {_path(branches[0])}: {', '.join(facts)}.", thoughts
    won = [i for i, branch in enumerate(branches) if name_of(branch[0].subject) == name_of(gold)]
    if len(won) != 1:
        return None
    others = [f"{values[i]} {sources[i]}" for i in range(len(branches)) if i != won[0]]
    says = f"{gold}: the {_path(branches[won[0]])} is {values[won[0]]} {sources[won[0]]}"
    return f"{says}, that of the other is {', '.join(others)}.", thoughts


def _ends(branch: Sequence[Lookup]) -> list[Lookup]:
    """The lookups of a branch from which no other follows."""
    subjects = {name_of(lookup.subject) for lookup in branch}
    return [lookup for lookup in branch if name_of(lookup.value) not in subjects] or [branch[-1]]


def _path(branch: Sequence[Lookup]) -> str:
    """What a branch looks up in the end: "director's date of birth"."""
    ends = _ends(branch)
    between = list(dict.fromkeys(lookup.relation for lookup in branch if lookup not in ends))
    return "'s ".join([*between, " and ".join(dict.fromkeys(lookup.relation for lookup in ends))])


def _hops(question: str, groups: Mapping[str, Sequence[Lookup]]) -> tuple[Hop, ...]:
    """One hop for each passage. A lookup about a value that its own or a later hop finds is left out of the query: the
    agent cannot know the value yet, unless the question or an earlier hop names it."""
    hops: list[Hop] = []
    known, ahead = [question], [[lookup.value for lookup in group] for group in groups.values()]
    for i, (title, group) in enumerate(groups.items()):
        unknown = {value for values in ahead[i:] for value in values if not any(_names(text, value) for text in known)}
        asked = [one for one in group if not any(_names(one.subject or one.relation, value) for value in unknown)]
        if not asked:
            raise NoPlan("a search of its chain would name what is still to be found")
        hops.append(_hop(title, group, asked, first=not i))
        known += ahead[i]
    return tuple(hops)


def _names(text: str, value: str) -> bool:
    """Whether a text names a value, in any spelling of `name_of`."""
    return bool(name := name_of(value)) and states(name_of(text), (name,))


def _hop(title: str, group: Sequence[Lookup], asked: Sequence[Lookup], *, first: bool) -> Hop:
    """The hop of a passage. It searches for the lookups `asked`, and finds all of the group."""
    wanted = list(dict.fromkeys(map(_wanted, asked)))
    query = " and ".join(wanted) if len(wanted) < 3 else wanted[0]
    subject = asked[0].subject
    in_words = {lookup: _needed(lookup) for lookup in group}
    needed = " and ".join(dict.fromkeys(in_words[lookup] for lookup in asked))
    thoughts = (
        f"{'I need' if first else 'Now I need'} {needed}." if subject else f"{'First' if first else 'Now'}: {query}"
    )
    values = tuple(lookup.value for lookup in group)
    return Hop(query, thoughts, _line(title), f"{'; '.join(map(_finding, group))}.", values)


def _wanted(lookup: Lookup) -> str:
    """What a lookup searches for."""
    if not lookup.subject:
        return lookup.relation
    if _ENDS_WITH_PREPOSITION.search(lookup.relation):
        return f"{lookup.subject} {lookup.relation}"
    return f"{lookup.relation} of {lookup.subject}"


def _needed(lookup: Lookup) -> str:
    """What a lookup searches for, in words of a sentence. Raises NoPlan for a relation that is a verb."""
    if not _ENDS_WITH_PREPOSITION.search(lookup.relation):
        return f"the {_wanted(lookup)}"
    if lookup.relation.split()[0].endswith("s"):
        raise NoPlan(f"its chain has the relation {lookup.relation!r}, which names nothing")
    return f"what {lookup.subject} was {lookup.relation}"


def _finding(lookup: Lookup) -> str:
    """What a lookup finds, as a sentence without its full stop."""
    if not lookup.subject:
        return f"{lookup.relation.rstrip(' ?.')}? {lookup.value}"
    if _ENDS_WITH_PREPOSITION.search(lookup.relation):
        return f"{lookup.subject} was {lookup.relation} {lookup.value}"
    return f"The {lookup.relation} of {lookup.subject} is {lookup.value}"


def _plain(lookup: Lookup) -> Lookup:
    subject, relation, value = map(_line, (lookup.subject, lookup.relation, lookup.value))
    return replace(lookup, subject=subject, relation=relation, value=value)


def _line(text: str) -> str:
    """Untrusted text as one line of a prompt, without the braces that stand for citations in a plan."""
    return escape_control_tokens(" ".join(text.split()).replace("{", "(").replace("}", ")"))


def plans_of(rows: Iterable[LabelledQuestion], titles: Titles) -> tuple[dict[str, Plan], dict[str, str]]:
    """The plans of questions by the text that the expert reads, and the ids of the others with the reason."""
    plans, without = {}, {}
    for row in rows:
        try:
            plans[escape_control_tokens(row.question.text)] = plan_of(row, titles)
        except NoPlan as reason:
            without[row.question.id] = str(reason)
    return plans, without
